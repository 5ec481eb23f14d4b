//! A broker whose answers are broken: the monitor deletes nothing, and says why.

use keylender::ports::broker::Topology;
use serde_json::{Value, json};

use crate::appliance::Appliance;
use crate::lent::{Client, names, none, settler};
use crate::monitor::{behind, counted, guarded};
use crate::node::{encoded, node};
use crate::servers::{Fate, Gate, answer, json as json_answer};

const NAMESPACE: &str = "taskcluster-a";
/// So many that a list without them is not believed.
const MANY: usize = 14;

/// An appliance that had a sound pass over many things, and now has one of each sort that is to be deleted.
async fn ripe(name: &str, gate: &Gate) -> Appliance {
    let appliance = Appliance::with(name, |settings| {
        guarded(settings);
        behind(gate)(settings.broker.as_mut().unwrap());
    })
    .await;
    let client: Client = settler(&appliance, NAMESPACE).await;
    for number in 1..MANY {
        client.declare_queue(&format!("queue/{NAMESPACE}/{number}"), none()).await.unwrap();
        client.declare_exchange(&format!("exchange/{NAMESPACE}/{number}"), none()).await.unwrap();
    }
    let (queue, exchange) = names(NAMESPACE);
    client.bind(&queue, &exchange).await.unwrap();
    counted(&appliance, &queue, 0).await;
    appliance.running.appliance.loops.run("monitor").await.unwrap();
    for _ in 0..7 {
        client.publish(&exchange, "key").await.unwrap();
    }
    let (gone, gone_exchange) = names("taskcluster-gone");
    let vhost = &appliance.vhost;
    node().admin("PUT", &format!("queues/{vhost}/{}", encoded(&gone)), json!({"durable": true})).await;
    let topic = json!({"type": "topic", "durable": true});
    node().admin("PUT", &format!("exchanges/{vhost}/{}", encoded(&gone_exchange)), topic).await;
    counted(&appliance, &queue, 7).await;
    counted(&appliance, &gone, 0).await;
    appliance
}

/// What the monitor's line in `loop list` says: the last error, and the brake.
fn shown(appliance: &Appliance) -> (String, String) {
    let list = serde_json::to_value(appliance.running.appliance.loops.list().unwrap()).unwrap();
    let monitor = list.as_array().unwrap().iter().find(|each| each["name"] == "monitor").unwrap().clone();
    let text = |member: &str| monitor[member].as_str().unwrap_or_default().to_owned();
    (text("lastError"), text("brake"))
}

/// Runs the monitor while one question is answered like this. Nothing may be deleted.
async fn fed(appliance: &Appliance, gate: &Gate, question: &'static str, answer: Vec<u8>) -> (String, String) {
    gate.decide(move |line| {
        if line.starts_with(&format!("GET /api/{question}")) && line.contains('?') {
            Fate::Instead(answer.clone())
        } else {
            Fate::Passes
        }
    });
    gate.requests();
    drop(appliance.running.appliance.loops.run("monitor").await);
    gate.decide(|_| Fate::Passes);
    let asked = gate.requests();
    assert!(asked.iter().any(|line| line.starts_with(&format!("GET /api/{question}"))), "{asked:?}");
    assert!(asked.iter().all(|line| line.starts_with("GET ")), "{question}: {asked:?}");
    shown(appliance)
}

/// The queues as the broker lists them, changed.
async fn queues(appliance: &Appliance, change: impl Fn(usize, &mut Value)) -> Vec<u8> {
    let all = node().broker().queues(&appliance.vhost).await.unwrap();
    let row = |(number, queue): (usize, &keylender::ports::broker::Queue)| {
        let mut row = json!({"name": queue.name, "messages": queue.messages, "type": "classic", "exclusive": false,
                             "state": "running"});
        change(number, &mut row);
        row
    };
    json_answer("200 OK", &Value::Array(all.iter().enumerate().map(row).collect()).to_string())
}

/// Answers that are no answers.
fn broken() -> Vec<(&'static str, Vec<u8>)> {
    let list = r#"[{"name":"queue/taskcluster-gone/q","messages":9999,"user":"u"},{"name":"#;
    vec![
        ("an error", json_answer("500 Internal Server Error", r#"{"error":"internal_server_error"}"#)),
        ("an error that holds a list", json_answer("500 Internal Server Error", "[]")),
        ("a page", answer("200 OK", "text/html", "<!doctype html><h1>Welcome</h1>")),
        ("half a list", json_answer("200 OK", list)),
        ("a list that breaks off", {
            let mut whole = json_answer("200 OK", &format!("{list}{}", " ".repeat(1000)));
            whole.truncate(whole.len() - 1000);
            whole
        }),
        ("nothing", json_answer("200 OK", "")),
        ("no list", json_answer("200 OK", r#"{"queues": []}"#)),
        ("null", json_answer("200 OK", "null")),
        ("nobody", Vec::new()),
        ("rows that are none", json_answer("200 OK", "[1, {}, null]")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_none_delete_nothing() {
    let gate = Gate::start().await;
    let appliance = ripe("garbage.broken", &gate).await;
    for question in ["queues/", "exchanges/", "connections"] {
        for (what, answer) in broken() {
            let (error, brake) = fed(&appliance, &gate, question, answer).await;
            assert!(!error.is_empty() || !brake.is_empty(), "{question}: {what} is believed");
        }
    }
    swept(&appliance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_lack_what_was_there_put_the_brake_on() {
    let gate = Gate::start().await;
    let appliance = ripe("garbage.lacks", &gate).await;
    let few = json_answer("200 OK", r#"[{"name":"queue/taskcluster-gone/q","messages":9999}]"#);
    let few_exchanges = json_answer("200 OK", r#"[{"name":"exchange/taskcluster-gone/x","type":"topic"}]"#);
    let empty = json_answer("200 OK", "[]");
    let uncounted = queues(&appliance, |_, row| drop(row.as_object_mut().unwrap().remove("messages"))).await;
    let strange = queues(&appliance, |_, row| row["messages"] = json!("many")).await;
    let down = queues(&appliance, |_, row| {
        row.as_object_mut().unwrap().remove("messages");
        row["state"] = json!("down");
    })
    .await;
    for (question, answer, why) in [
        ("queues/", empty.clone(), "the broker lists no queues of ours, and had 14"),
        ("exchanges/", empty, "the broker lists no exchanges of ours, and had 14"),
        ("queues/", few, "the broker lists 1 queues of ours, and had 14"),
        ("exchanges/", few_exchanges, "the broker lists 1 exchanges of ours, and had 14"),
        ("queues/", uncounted, "of 15 queues 15 are without a count: is a node of the broker down?"),
        ("queues/", strange, "of 15 queues 15 are without a count: is a node of the broker down?"),
        ("queues/", down, "of 15 queues 15 are without a count: is a node of the broker down?"),
    ] {
        let (_, brake) = fed(&appliance, &gate, question, answer).await;
        assert_eq!(brake, why);
    }
    assert!(!appliance.audited("monitor.brake", "done").is_empty());
    swept(&appliance).await;
}

/// A sound pass takes the brake off, and deletes what all the others were kept from.
async fn swept(appliance: &Appliance) {
    let report = appliance.running.appliance.loops.run("monitor").await.unwrap();
    assert_eq!(report, "2 queues were deleted, 1 exchanges were deleted");
    assert_eq!(shown(appliance), (String::new(), String::new()));
    let left = node().broker().queues(&appliance.vhost).await.unwrap();
    assert_eq!(left.len(), MANY - 1);
}
