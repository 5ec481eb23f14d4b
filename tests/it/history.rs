//! Who had what, and when, as the audit log of a real history tells it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::dns::DnsServer;
use crate::hosts::{HOST, NAME, ask_from, set_up};
use crate::wire::Ask;
use crate::world::{NAMESPACE, World};

async fn held(world: &World, what: &str) -> Vec<Value> {
    let told = world.operate("GET", &format!("/audit/{what}"), None).await;
    assert_eq!((&told["reachesBack"], &told["more"], &told["unreadable"]), (&json!(true), &json!(false), &json!(0)));
    told["held"].as_array().unwrap().clone()
}

fn texts(rows: &[Value], members: &[&str]) -> Vec<String> {
    let text = |row: &Value, member: &str| row[member].as_str().unwrap_or("-").to_owned();
    rows.iter().map(|row| members.iter().map(|member| text(row, member)).collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn the_log_tells_who_held_what_at_any_moment_of_a_real_history() {
    let dns = DnsServer::start().await;
    dns.host(HOST, NAME);
    let world = World::with(|settings| set_up(settings, &[&dns])).await;
    let hour = Duration::from_secs(3600);
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    let input = r#"{"expires":"2030-01-01T00:00:00Z"}"#;
    let claim = async || world.ask_as(&client, &Ask::claim(NAMESPACE, input).with("X-Forwarded-For", HOST)).await;
    world.clock.advance(hour); // 13:00
    assert_eq!(claim().await.status, 200);
    assert_eq!(ask_from(&world, HOST).await.status, 200);
    for _ in 0..2 {
        world.clock.advance(hour); // 14:00, 15:00
        world.operate("POST", "/loops/rotate/run", None).await;
        assert_eq!(claim().await.status, 200);
    }
    world.clock.advance(hour); // 16:00
    world.operate("POST", "/clients/builds/disable", None).await;
    world.operate("POST", &format!("/namespaces/{NAMESPACE}/expire"), None).await;
    world.clock.advance(24 * hour);

    let at = async |time: &str| texts(&held(&world, &format!("at?time={time}")).await, &["part", "holder", "from"]);
    let [client, host] =
        ["builds client builds -".to_owned(), format!("project/host/org.example.builder-1 host {NAME} {HOST}")];
    let [first, second] = [1, 2].map(|slot| format!("{NAMESPACE}-{slot} client builds {HOST}"));
    let [client, host, first, second] = [&client, &host, &first, &second].map(String::as_str);
    assert_eq!(at("2026-11-20T11:59:59Z").await, Vec::<String>::new());
    assert_eq!(at("2026-11-20T12:30:00Z").await, [client]);
    assert_eq!(at("2026-11-20T13:30:00Z").await, [client, host, first]);
    assert_eq!(at("2026-11-20T14:30:00Z").await, [client, host, first, second], "both passwords work");
    assert_eq!(at("2026-11-20T15:30:00Z").await, [client, host, second, first]);
    assert_eq!(at("2026-11-20T16:30:00Z").await, [host]);
    assert_eq!(at("2026-11-21T02:00:00Z").await, Vec::<String>::new(), "it was for twelve hours");

    let rows = held(&world, &format!("held?object={NAMESPACE}")).await;
    let told = texts(&rows, &["part", "since", "until", "ended"]);
    assert_eq!(
        told,
        [
            "taskcluster-foo-1 2026-11-20T13:00:00.000Z 2026-11-20T15:00:00.000Z replaced",
            "taskcluster-foo-2 2026-11-20T14:00:00.000Z 2026-11-20T16:00:00.000Z removed",
            "taskcluster-foo-1 2026-11-20T15:00:00.000Z 2026-11-20T16:00:00.000Z removed",
        ]
    );
    let by_holder = held(&world, "held?holder=builds&since=2026-11-20T15:30:00Z").await;
    assert_eq!(texts(&by_holder, &["part"]), ["builds", "taskcluster-foo-2", "taskcluster-foo-1"]);
    let answer = world.ask(&Ask::get("/api/keylender/v1/audit/at?time=2026-11-20T12:30:00Z")).await;
    assert_eq!(answer.error(), (403, "InsufficientScopes".into()));
}

#[tokio::test]
async fn asking_whether_a_secret_was_lent_leaves_an_entry_without_the_secret() {
    let world = World::start().await;
    world.client("builds", &["a"]).await;
    let asked = json!({ "secret": "canary-in-a-coal-mine" });
    let found = world.operate("POST", "/audit/reference", Some(asked)).await;
    let entry = world.audited("audit.find_secret").await.remove(0);
    assert_eq!(entry["details"]["reference"], found["reference"]);
    assert!(entry["actor"]["local"].as_str().unwrap().starts_with("uid "), "{entry}");
    assert!(entry["secrets"].is_null() && !entry.to_string().contains("canary"), "{entry}");
    let path = format!("/audit?reference={}", found["reference"].as_str().unwrap());
    assert!(world.operate("GET", &path, None).await["entries"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_pruned_log_tells_what_is_left_and_says_that_it_is_not_all() {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    let day = Duration::from_secs(24 * 3600);
    let claim = async || world.ask_as(&client, &Ask::claim(NAMESPACE, r#"{"expires":"2030-01-01T00:00:00Z"}"#)).await;
    for _ in 0..4 {
        assert_eq!(claim().await.status, 200);
        world.clock.advance(day);
        world.operate("POST", "/loops/rotate/run", None).await;
    }
    let told = async |what: &str| world.operate("GET", &format!("/audit/{what}"), None).await;
    let at = "at?time=2026-11-23T00:00:00Z";
    let (before, all) = (told(at).await, told(&format!("held?object={NAMESPACE}")).await);
    let parts = |told: &Value| texts(told["held"].as_array().unwrap(), &["part", "since"]);
    assert_eq!((before["held"].as_array().unwrap().len(), parts(&all).len()), (3, 4), "{before} {all}");

    let prune = json!({ "before": "2026-11-22T00:00:00Z" });
    let pruned = world.operate("POST", "/audit/prune", Some(prune)).await;
    assert!(pruned["entries"].as_u64().unwrap() > 3, "{pruned}");
    world.operate("POST", "/audit/verify", None).await;

    let begins = pruned["through"].as_u64().unwrap() + 1;
    let old = told("at?time=2026-11-20T18:00:00Z").await;
    assert_eq!((&old["reachesBack"], &old["begins"]["seq"]), (&json!(false), &json!(begins)));
    assert_eq!(parts(&old), Vec::<String>::new());
    // What was lent before the beginning and not since is missing, whatever time is asked for: `begins` says so.
    let later = told(at).await;
    assert_eq!((&later["reachesBack"], &later["begins"]["seq"]), (&json!(true), &json!(begins)));
    assert_eq!(parts(&later), parts(&before)[2..]);
    let rest = told(&format!("held?object={NAMESPACE}")).await;
    assert_eq!(parts(&rest), parts(&all)[2..]);
    assert_eq!(rest["reachesBack"], false);
}

#[tokio::test]
async fn a_secret_that_was_lent_under_a_former_key_is_found() {
    let world = World::start().await;
    let client = world.client("builds", &["a"]).await;
    let question = || Some(json!({ "secret": client.token.expose() }));
    let before = world.operate("POST", "/audit/reference", question()).await;
    world.operate("POST", "/key/rotate", Some(json!({}))).await;
    let after = world.operate("POST", "/audit/reference", question()).await;
    let reference = after["reference"].as_str().unwrap();
    assert_eq!(reference.split(',').nth(1), before["reference"].as_str());
    let found = world.operate("GET", &format!("/audit?reference={reference}"), None).await;
    assert_eq!(found["entries"][0]["object"], "builds", "{found}");
}
