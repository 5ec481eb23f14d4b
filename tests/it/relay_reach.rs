//! What an account of the relay can reach, as it is told before anybody tries.

use serde_json::{Value, json};

use crate::relay::world;
use crate::world::World;

const PROFILE: &str = r"
name = 'r'
[[vhost]]
name = 'v'
exchange = [{ name = 'events', type = 'topic' }]
queue = [{ name = 'agent.a' }, { name = 'agent.b' }]
[[account]]
name = 'agent'
[[account.grant]]
vhost = 'v'
configure = '^agent\.a$'
write = '^(events|agent\.a)$'
read = '^(events|agent\.a|(?R)?x)$'
topic = [{ exchange = 'events', write = '^{username}\.', read = '^news\.' }]
";

async fn reach(world: &World, query: &str) -> Vec<Value> {
    let path = format!("/relay/accounts/agent/reach{query}");
    world.operate("GET", &path, None).await["names"].as_array().unwrap().clone()
}

fn of(names: &[Value], name: &str) -> Value {
    names.iter().find(|row| row["name"] == name).unwrap_or(&Value::Null).clone()
}

#[tokio::test]
async fn what_an_account_may_do_is_told_by_the_rules_of_the_broker_and_a_doubt_is_a_doubt() {
    let text = PROFILE.replace("|(?R)?x", "");
    let world = world(&text).await;
    let names = reach(&world, "").await;
    let own = of(&names, "agent.a");
    assert_eq!((&own["kind"], &own["exists"]), (&json!("queue"), &json!(false)), "it was not applied yet");
    let all =
        ["declare the queue", "delete the queue", "consume", "get a message", "purge the queue", "bind the queue"];
    assert!(all.iter().all(|word| own["may"].as_array().unwrap().contains(&json!(word))), "{own}");
    assert_eq!(of(&names, "agent.b")["may"], json!(["look how full the queue is"]), "3.10 tells anybody");

    let events = of(&reach(&world, "?key=agent.up").await, "events");
    assert_eq!(events["may"][0], "publish", "{events}");
    let events = of(&reach(&world, "?key=other.up").await, "events");
    assert!(!events["may"].to_string().contains("\"publish\""), "{events}");
    let events = of(&names, "events");
    assert_eq!(
        events["unsure"][0],
        json!({ "operation": "publish", "because": "depends on a name that is not known" })
    );

    let more = reach(&world, "?queue=agent.aa&exchange=").await;
    assert_eq!(
        (&of(&more, "agent.aa")["may"], &of(&more, "agent.aa")["exists"]),
        (&json!(["look how full the queue is"]), &json!(false))
    );
    assert_eq!(of(&more, "")["may"], json!([]), "around the exchanges");
}

#[tokio::test]
async fn of_a_pattern_that_is_not_read_here_nothing_is_guessed() {
    let world = world(PROFILE).await;
    let own = of(&reach(&world, "").await, "agent.a");
    assert_eq!(own["unsure"][0]["operation"], "consume");
    assert!(own["unsure"][0]["because"].as_str().unwrap().starts_with("holds a recursion"), "{own}");
    assert!(own["may"].as_array().unwrap().contains(&json!("declare the queue")), "the others are told: {own}");
}
