//! The audit log over the API: who may ask what of it.

use serde_json::{Value, json};

use crate::wire::Ask;
use crate::world::World;

const AUDIT: &str = "/api/keylender/v1/audit";

#[tokio::test]
async fn filters_are_checked_and_applied_on_the_server() {
    let world = World::start().await;
    let reader = world.client("reader", &["keylender:audit:read"]).await;
    world.role("r", &["b"]).await;
    let ask = async |query: &str| world.ask_as(&reader, &Ask::get(&format!("{AUDIT}?{query}"))).await;
    for (query, expected) in [
        ("action=role.*", json!([2])),
        ("action=client.&object=reader", json!([1])),
        ("object=r&outcome=refused", json!([])),
        ("from=2&since=2000-01-01T00:00:00Z", json!([2])),
        ("until=2000-01-01T00:00:00Z", json!([])),
    ] {
        let page: Value = ask(query).await.json();
        let numbers: Vec<&Value> = page["entries"].as_array().unwrap().iter().map(|entry| &entry["seq"]).collect();
        assert_eq!((json!(numbers), &page["seen"], &page["next"]), (expected, &json!(2), &Value::Null), "{query}");
    }
    for query in ["from=x", "action=", "action=A", "actor=", "outcome=no", "since=1", "until=", "reference=Z", "x=1"] {
        assert_eq!(ask(query).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn looking_for_a_secret_needs_a_scope_of_its_own() {
    let world = World::start().await;
    let reader = world.client("reader", &["keylender:audit:read"]).await;
    let finder = world.client("finder", &["keylender:audit:find-secret"]).await;
    let path = format!("{AUDIT}/reference");
    let question = Ask::post(&path, &json!({ "secret": finder.token.expose() }).to_string());
    assert_eq!(world.ask_as(&reader, &question).await.status, 403);
    let reference: Value = world.ask_as(&finder, &question).await.json();
    let found = format!("{AUDIT}?reference={}", reference["reference"].as_str().unwrap());
    assert_eq!(world.ask_as(&finder, &Ask::get(&found)).await.status, 403, "nor does it let read");
    let page: Value = world.ask_as(&reader, &Ask::get(&found)).await.json();
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["entries"][0]["object"]), (1, &json!("finder")));
    for wrong in [json!({}), json!({"secret": ""}), json!({"secret": 5}), json!({"secret": "a", "b": 1}), json!(["a"])]
    {
        assert_eq!(world.ask_as(&finder, &Ask::post(&path, &wrong.to_string())).await.status, 400, "{wrong}");
    }
    let spilt = json!({ "secret": ["spilt"], "spilt": 1 }).to_string();
    for client in [&reader, &finder] {
        let refusal = world.ask_as(client, &Ask::post(&path, &spilt)).await;
        assert!(refusal.status >= 400 && !refusal.text().contains("spilt"), "no error repeats it: {}", refusal.text());
    }
}
