//! Heartbeats over HTTP, as agents of 2019 send them, and the answers that they expect.

use serde_json::{Value, json};

use super::{Fleet, WEB, WEB_ADDRESS};
use crate::wire::{Answer, Ask};
use crate::world::BEGIN;

const A: &str = "linux.a";

fn body() -> Value {
    let mut body: Value =
        serde_json::from_str(include_str!("../../../src/proto/heartbeat/tests/captures/2019_http_heartbeat.json"))
            .unwrap();
    body["queueLoc"] = A.into();
    body["name"] = WEB.into();
    body["startTime"] = BEGIN.to_string().into();
    body["environment"]["publicIP"] = WEB_ADDRESS.into();
    body
}

async fn post(fleet: &Fleet, address: &str, body: &str) -> Answer {
    fleet.world.ask(&Ask::post("/heartbeat", body).with("X-Forwarded-For", address)).await
}

/// What the agent hears: the status, and the text of the error.
async fn hears(fleet: &Fleet, address: &str, body: &Value) -> (u16, Value) {
    let answer = post(fleet, address, &body.to_string()).await;
    if answer.status == 200 {
        // Agents do not read it, and keep a connection open for each that has something to read.
        assert_eq!((answer.body.len(), answer.header("content-length")), (0, Some("0")));
        assert_eq!(answer.header("connection"), Some("close"));
        return (200, Value::Null);
    }
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error: Value = serde_json::from_slice(&answer.body).unwrap();
    (answer.status, error["error"].clone())
}

#[tokio::test]
async fn an_agent_is_taken_that_the_whitelist_has_and_whose_host_dns_confirms() {
    let fleet = Fleet::start().await;
    assert_eq!(fleet.world.ask(&Ask::get("/heartbeat")).await.body, b"gatorz say hi");
    let not_listed = json!("Agent is not authorized to upload heartbeats: it is not in the whitelist");
    assert_eq!(hears(&fleet, WEB_ADDRESS, &body()).await, (401, not_listed));
    let rows = fleet.rows("/agents/pending", "pending", &["queueloc", "from", "host", "verdict"]).await;
    assert_eq!(rows, [format!("linux.a {WEB_ADDRESS} {WEB} {WEB_ADDRESS} is {WEB}, both ways")]);
    fleet.admit(A).await;
    assert_eq!(hears(&fleet, WEB_ADDRESS, &body()).await, (200, Value::Null));
    assert_eq!(fleet.rows("/agents", "agents", &["host", "state"]).await, ["web1.example.net online"]);
}

#[tokio::test]
async fn a_listed_agent_is_believed_from_its_own_host_only() {
    let fleet = Fleet::start().await;
    fleet.admit(A).await;
    fleet.dns.host("192.0.2.22", "web2.example.net");
    let (status, error) = hears(&fleet, "192.0.2.22", &body()).await;
    assert_eq!(status, 401, "another host that says it is web1: {error}");
    assert_eq!(hears(&fleet, "192.0.2.99", &body()).await.0, 401, "one that DNS does not know");
    let mut stranger = body();
    stranger["queueLoc"] = "linux.made-up".into();
    assert_eq!(hears(&fleet, "192.0.2.99", &stranger).await.0, 401);
    assert_eq!(fleet.rows("/agents/pending", "pending", &["queueloc"]).await, Vec::<String>::new(), "nor does it wait");
    assert_eq!(hears(&fleet, WEB_ADDRESS, &body()).await.0, 200);
    // Whose queue it is stays so, whatever another host calls itself.
    let mut other = body();
    other["name"] = "web2.example.net".into();
    assert_eq!(hears(&fleet, "192.0.2.22", &other).await.0, 401);
    assert_eq!(fleet.rows("/agents", "agents", &["host", "name"]).await, ["web1.example.net web1.example.net"]);
}

#[tokio::test]
async fn what_is_malformed_is_answered_in_the_words_of_the_api() {
    let fleet = Fleet::start().await;
    fleet.admit(A).await;
    let with = |change: fn(&mut Value)| {
        let mut body = body();
        change(&mut body);
        body
    };
    let without_address = with(|body| drop(body["environment"].as_object_mut().unwrap().remove("publicIP")));
    for (body, says) in [
        (without_address, "missing field(s): environment.publicIP"),
        (with(|body| body["startTime"] = "2026-11-20T11:54:00Z".into()), "heartbeat expired"),
        (with(|body| body["startTime"] = "2026-11-20T12:06:00Z".into()), "from the future"),
        (with(|body| body["name"] = "n".repeat(65_536).into()), "a name that is too long"),
    ] {
        let (status, error) = hears(&fleet, WEB_ADDRESS, &body).await;
        assert!(status == 400 && error.as_str().unwrap().contains(says), "{status} {error}");
    }
    for body in ["", "[", "no JSON", "null"] {
        assert_eq!(post(&fleet, WEB_ADDRESS, body).await.status, 400, "{body:?}");
    }
    let long = post(&fleet, WEB_ADDRESS, &" ".repeat(102_401)).await;
    assert!(long.status == 400 && long.body.starts_with(b"{\"error\":\"Failed to decode"), "{long:?}");
    assert_eq!(fleet.states().await, Vec::<String>::new());
}

#[tokio::test]
async fn where_no_agents_are_declared_nobody_is_answered() {
    let world = crate::relay::world("name = 'r'").await;
    for ask in [Ask::get("/heartbeat"), Ask::post("/heartbeat", "{}")] {
        assert_eq!(world.ask(&ask).await.status, 404);
    }
}
