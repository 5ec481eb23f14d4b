//! Archives of queues over the network: who may, and how an answer of any length is read.

use std::collections::BTreeSet;
use std::time::Duration;

use keylender::ports::broker::Message;
use reqwest::Response;
use serde_json::{Value, json};

use crate::console::queues::{QUEUE, world as busy_world};
use crate::openapi::{call, lines};
use crate::sign::Client;
use crate::wire::Ask;
use crate::world::{World, segment};

const OWN: &str = "/api/keylender/v1";

fn put(world: &World, bodies: impl IntoIterator<Item = Vec<u8>>) {
    let messages = bodies.into_iter().map(|body| Message { body, ..Message::default() });
    world.broker.put_messages(&world.settings.namespaces.amqp.vhost, QUEUE, messages);
}

/// Takes the queue. The name of the archive.
pub async fn taken(world: &World) -> String {
    let path = format!("/queues/{}/archive", segment(QUEUE));
    let taken = world.operate("POST", &path, Some(json!({ "reason": "poisoned" }))).await;
    taken["archive"].as_str().unwrap().to_owned()
}

/// Calls each method about archives, for what the document says of them.
pub async fn every_method(world: &World, seen: &mut BTreeSet<String>, queue: &str) {
    let why = json!({"reason": "to see"});
    put(world, [b"hello".to_vec(), vec![0xff]]);
    let taken = call(world, seen, "POST", &format!("{queue}/archive"), Some(why.clone())).await;
    let archive = format!("/archives/{}", taken["archive"].as_str().unwrap());
    for path in ["/archives", &archive, &format!("{archive}/messages?from=0&limit=1")] {
        call(world, seen, "GET", path, None).await;
    }
    lines(world, seen, &format!("{archive}/export")).await;
    let way = json!({"to": QUEUE, "perSecond": 1000, "reason": "to see"});
    call(world, seen, "POST", &format!("{archive}/replay"), Some(way)).await;
    call(world, seen, "POST", &format!("{archive}/delete"), Some(why)).await;
}

fn ask(client: &Client, method: &str, path: &str, body: &str) -> Ask {
    let ask = Ask::new(method, &format!("{OWN}{path}")).with("Authorization", &client.bearer());
    if body.is_empty() { ask } else { ask.with("Content-Type", "application/json").body(body) }
}

#[tokio::test]
async fn each_scope_opens_what_it_says_and_nothing_else() {
    let (world, _) = busy_world().await;
    put(&world, [b"hello".to_vec(), vec![0xff]]);
    let why = r#"{"reason":"poisoned"}"#;
    let (queue, other) = (segment(QUEUE), segment("queue/taskcluster-bar/jobs"));
    let taker = world.client("taker", &["keylender:archive:take:queue/taskcluster-foo/*"]).await;
    for (queue, body, status) in [(&other, why, 403), (&queue, "{}", 400), (&queue, why, 200)] {
        let answer = world.ask(&ask(&taker, "POST", &format!("/queues/{queue}/archive"), body)).await;
        assert_eq!(answer.status, status, "{queue}: {}", answer.text());
    }
    let archive = world.operate("GET", "/archives", None).await["archives"][0]["archive"].clone();
    let path = format!("/archives/{}", archive.as_str().unwrap());
    let calls = [
        ("list", "GET", "/archives".to_owned(), ""),
        ("list", "GET", path.clone(), ""),
        ("read", "GET", format!("{path}/messages"), ""),
        ("export", "GET", format!("{path}/export"), ""),
        ("replay", "POST", format!("{path}/replay"), why),
        ("delete", "POST", format!("{path}/delete"), why),
    ];
    for right in ["list", "read", "export", "replay", "delete"] {
        let scope =
            if right == "list" { format!("keylender:archive:{right}") } else { format!("keylender:archive:{right}:*") };
        let client = world.client(right, &[&scope]).await;
        for (needed, method, path, body) in &calls {
            let status = world.ask(&ask(&client, method, path, body)).await.status;
            assert_eq!(status, if *needed == right { 200 } else { 403 }, "{method} {path} with {scope}");
        }
    }
}

#[tokio::test]
async fn messages_come_in_pages_and_all_of_them_in_lines() {
    let (world, _) = busy_world().await;
    put(&world, (0..250).map(|n| format!("body of {n}").into_bytes()));
    let path = format!("/archives/{}", taken(&world).await);
    let page = world.operate("GET", &format!("{path}/messages"), None).await;
    assert_eq!((page["messages"].as_array().unwrap().len(), &page["next"]), (100, &json!(100)));
    let page = world.operate("GET", &format!("{path}/messages?from=200&limit=1000"), None).await;
    assert_eq!((page["messages"].as_array().unwrap().len(), page.get("next")), (50, None));
    assert_eq!(page["messages"][49]["body"], "body of 249");

    let client = world.client("reader", &["keylender:archive:*"]).await;
    for query in ["limit=0", "limit=1001", "from=-1", "skip=1"] {
        assert_eq!(
            world.ask(&ask(&client, "GET", &format!("{path}/messages?{query}"), "")).await.status,
            400,
            "{query}"
        );
    }
    let answer = world.ask(&ask(&client, "GET", &format!("{path}/export"), "")).await;
    assert_eq!(answer.header("content-type"), Some("application/jsonl"));
    let lines: Vec<Value> = answer.text().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!((lines.len(), &lines[249]["number"]), (250, &json!(249)));
    for unknown in ["20261130T012345Z-3f9c2a", "x"] {
        let answer = world.ask(&ask(&client, "GET", &format!("/archives/{unknown}/export"), "")).await;
        assert_eq!(answer.status, if unknown == "x" { 400 } else { 404 });
    }
}

#[tokio::test]
async fn a_replay_goes_to_queues_of_namespaces_only() {
    let (world, _) = busy_world().await;
    put(&world, [b"hello".to_vec()]);
    let path = format!("{OWN}/archives/{}/replay", taken(&world).await);
    let client = world.client("replayer", &["keylender:archive:*"]).await;
    for (to, status) in [("somebody-elses", 404), ("queue/taskcluster-foo/gone", 404), (QUEUE, 200)] {
        let body = json!({ "to": to, "reason": "mended" }).to_string();
        for query in ["?plan=1", ""] {
            let answer = world.ask(&ask(&client, "POST", &format!("{}{query}", &path[OWN.len()..]), &body)).await;
            assert_eq!(answer.status, status, "{to}{query}: {}", answer.text());
        }
    }
}

/// Reads the rest of an answer slowly. Its length, or why it broke off.
async fn slowly(mut answer: Response) -> reqwest::Result<usize> {
    let mut len = 0;
    while let Some(part) = answer.chunk().await? {
        len += part.len();
        // Whatever lies between is full by now, and waits for the one who reads.
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_answer_goes_on_for_as_long_as_it_is_read() {
    let world = World::with(|settings| settings.patience.head = Duration::from_millis(300)).await;
    let told = keylender::ports::broker::Queue { name: QUEUE.into(), ..Default::default() };
    world.broker.put_queue(&world.settings.namespaces.amqp.vhost, told);
    let client = world.client("builds", &["pulse:namespace:*", "keylender:archive:*"]).await;
    assert_eq!(world.claim(&client, "taskcluster-foo", "{}").await.status, 200);
    put(&world, (0..40).map(|n| vec![n; 1 << 20]));
    let url = format!("http://{}{OWN}/archives/{}/export", world.address(), taken(&world).await);
    let answer = reqwest::Client::new().get(url).header("authorization", client.bearer()).send().await.unwrap();
    let len = slowly(answer).await.unwrap();
    assert!(len > 40 << 20, "{len}");
}
