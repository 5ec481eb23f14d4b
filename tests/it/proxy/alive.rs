//! Sessions that last no longer than their worker lives, and that take fresh credentials where they are asked.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Site, Task, at_port};
use crate::sign::Client;
use crate::wire::Ask;

const SESSIONS: &str = "/api/keylender/v1/proxy/sessions";

async fn worker(site: &Site, name: &str) -> Client {
    site.world.client(name, &["keylender:proxy:open", "files:*", "queue:*"]).await
}

async fn open(site: &Site, worker: &Client, more: Value) -> Task {
    let mut input = json!({ "scopes": ["files:a", "queue:read"], "listen": at_port() });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Task::of(&site.world.ask_as(worker, &Ask::post(SESSIONS, &input.to_string())).await.json())
}

/// What a worker is answered that says that it lives.
async fn alive(site: &Site, worker: &Client, task: &Task) -> (u16, String) {
    let ask = Ask::new("POST", &format!("{SESSIONS}/{}/alive", task.session));
    let answer = site.world.ask_as(worker, &ask).await;
    (answer.status, answer.json()["message"].as_str().unwrap_or_default().to_owned())
}

async fn cause(site: &Site, task: &Task) -> Value {
    site.world.operate("GET", &format!("/proxy/sessions/{}", task.session), None).await["cause"].clone()
}

/// How many entries the audit log has.
async fn entries(site: &Site) -> usize {
    site.world.operate("GET", "/audit", None).await["entries"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_session_ends_when_its_worker_is_not_heard_of() {
    let mut site = Site::start().await;
    let (own, other) = (worker(&site, "worker").await, worker(&site, "other").await);
    let task = open(&site, &own, json!({ "heardWithinSeconds": 60 })).await;
    let lasting = open(&site, &own, json!({})).await;
    let entries = entries(&site).await;
    for _ in 0..3 {
        site.world.clock.advance(Duration::from_secs(59));
        assert_eq!(alive(&site, &own, &task).await.0, 200);
    }
    assert_eq!(alive(&site, &other, &task).await.0, 404, "it is not theirs");
    assert_eq!(self::entries(&site).await, entries, "that a worker lives is no entry");
    assert_eq!(site.sweep().await, "");
    assert_eq!(task.get("/files/x").await.status, 200);

    site.world.clock.advance(Duration::from_secs(60));
    // Before any loop looks.
    let late = task.get("/files/x").await;
    assert_eq!((late.status, late.text()), (403, "this session is over\n"));
    assert_eq!(alive(&site, &own, &task).await.0, 404, "it does not wake again");
    assert_eq!(site.sweep().await, "ended 1 session");
    assert!(!task.is_asked().await && lasting.is_asked().await);
    assert_eq!(cause(&site, &task).await, "its worker was not heard of");
    assert_eq!(alive(&site, &own, &task).await.0, 404, "another one may be opened");
    assert_eq!(alive(&site, &own, &lasting).await.0, 200);

    // What was decided is not to be opened anew; what a process lost is.
    let end = format!("/proxy/sessions/{}/end", lasting.session);
    site.world.operate("POST", &end, Some(json!({ "reason": "it was stolen" }))).await;
    let (status, message) = alive(&site, &own, &lasting).await;
    assert!(status == 409 && message.contains("is over: it was stolen"), "{message}");
    let lost = open(&site, &own, json!({ "heardWithinSeconds": 10 })).await;
    site.world.restart().await;
    assert_eq!(alive(&site, &own, &lost).await.0, 404);
    for seconds in [9, 3601] {
        let input = json!({ "scopes": ["files:a"], "listen": at_port(), "heardWithinSeconds": seconds });
        let answer = site.world.ask_as(&own, &Ask::post(SESSIONS, &input.to_string())).await;
        assert!(answer.status == 400 && answer.text().contains("from 10 to 3600"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_session_takes_fresh_credentials_at_its_listener_where_that_was_asked_for() {
    let site = Site::start().await;
    let own = worker(&site, "worker").await;
    let credentials = json!({ "clientId": "task/A", "accessToken": "key-a" });
    let task = open(&site, &own, json!({ "credentials": credentials, "takesCredentials": true })).await;
    assert_eq!(task.opened["rootUrl"], site.service.url(""));
    let put = |json: Value| Ask::new("PUT", "/credentials").body(json.to_string());
    assert_eq!(task.get("/api/queue/v1/ping").await.header("x-taskcluster-proxy-perm-clientid"), Some("task/A"));
    assert_eq!(task.ask(&put(json!({ "clientId": "task/B", "accessToken": "key-b" }))).await.status, 200);
    assert_eq!(task.get("/api/queue/v1/ping").await.header("x-taskcluster-proxy-perm-clientid"), Some("task/B"));
    let entry = site.world.audited("proxy.refresh").await.pop().unwrap();
    assert_eq!((&entry["details"]["client"], &entry["actor"]), (&"task/B".into(), &json!({ "client": "worker" })));

    let narrow = own.issue(crate::world::BEGIN, None, &["queue:other"]);
    for (json, why) in [
        (json!({}), "not credentials in JSON"),
        (json!({ "clientId": "", "accessToken": "k" }), "client"),
        (json!({ "clientId": "task/C", "accessToken": "k", "certificate": narrow.certificate() }), "does not cover"),
    ] {
        let answer = task.ask(&put(json)).await;
        assert!(answer.status == 400 && answer.text().contains(why), "{} {}", answer.status, answer.text());
    }
    assert_eq!(task.get("/api/queue/v1/ping").await.header("x-taskcluster-proxy-perm-clientid"), Some("task/B"));
    assert_eq!(site.world.audited("proxy.refresh").await.len(), 1);
    // A task finds no way from there to the API.
    let say = format!("{SESSIONS}/{}/alive", task.session);
    task.ask(&Ask::new("POST", &say)).await;
    assert_eq!(site.service.asked().pop().unwrap().target, say, "it goes to the deployment, as every such path");
    assert_eq!(task.ask(&Ask::new("POST", "/alive")).await.status, 404);
}
