//! Rules for queues and forecasts over the network: who may, and what is answered.

use std::time::Duration;

use keylender::ports::broker::Queue;
use serde_json::json;

use crate::sign::Client;
use crate::wire::Ask;
use crate::world::{World, segment};

const MINUTE: Duration = Duration::from_secs(60);
const QUEUE: &str = "queue/taskcluster-foo/jobs";

fn ruled(client: &Client, method: &str, pattern: &str) -> Ask {
    let ask = Ask::new(method, &format!("/api/keylender/v1/queues/rules/{}", segment(pattern)));
    let ask = ask.with("Authorization", &client.bearer()).with("Content-Type", "application/json");
    ask.body(r#"{"warnMessages":9,"deleteMessages":99}"#)
}

#[tokio::test]
async fn a_rule_can_be_set_for_what_the_scope_begins_with_and_nothing_else() {
    let world = World::start().await;
    let client = world.client("team", &["keylender:queue:rule:queue/taskcluster-foo/*"]).await;
    for (pattern, status) in [
        ("queue/taskcluster-foo/*", 200),
        ("queue/taskcluster-foo/jobs", 200),
        ("queue/taskcluster-foo*", 403),
        ("queue/taskcluster-bar/*", 403),
        ("*", 403),
    ] {
        assert_eq!(world.ask(&ruled(&client, "PUT", pattern)).await.status, status, "{pattern}");
    }
    let list = Ask::get("/api/keylender/v1/queues/rules").with("Authorization", &client.bearer());
    assert_eq!(world.ask(&list).await.status, 403);
    let rules = world.operate("GET", "/queues/rules", None).await;
    assert_eq!(rules["rules"].as_array().unwrap().len(), 2);
    assert_eq!(world.ask(&ruled(&client, "DELETE", "queue/taskcluster-foo/jobs")).await.status, 200);
    assert_eq!(world.ask(&ruled(&client, "DELETE", "queue/taskcluster-foo/jobs")).await.status, 404);
    assert_eq!(world.ask(&ruled(&client, "PUT", "queue/taskcluster-foo/*").body(r#"{"warn":9}"#)).await.status, 400);
    assert_eq!(world.audited("queue_rule.set").await.len(), 2);
}

#[tokio::test]
async fn a_forecast_follows_the_queue_and_its_rule() {
    let world = World::start().await;
    world.operate("PUT", "/queues/rules/%2A", Some(json!({"warnMessages": 100, "deleteMessages": 200}))).await;
    let client = world.client("team", &["pulse:namespace:*", "keylender:queue:show:queue/taskcluster-foo/*"]).await;
    assert_eq!(world.claim(&client, "taskcluster-foo", "{}").await.status, 200);
    let path = format!("/api/keylender/v1/queues/{}/forecast", segment(QUEUE));
    let ask = Ask::get(&path).with("Authorization", &client.bearer());
    assert_eq!(world.ask(&ask).await.json(), json!({ "queue": QUEUE }));
    for messages in [11, 21, 31, 41] {
        let queue = Queue { name: QUEUE.into(), messages: Some(messages), ..Queue::default() };
        world.broker.put_queue(&world.settings.namespaces.amqp.vhost, queue);
        world.clock.advance(MINUTE);
        world.operate("POST", "/loops/monitor/run", None).await;
    }
    let forecast = json!({"perHour": 600.0, "toWarningSeconds": 360, "toDeletionSeconds": 960});
    assert_eq!(world.ask(&ask).await.json(), json!({"queue": QUEUE, "forecast": forecast}));
    let other = path.replace("foo", "bar");
    assert_eq!(world.ask(&Ask::get(&other).with("Authorization", &client.bearer())).await.status, 403);
}
