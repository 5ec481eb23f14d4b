//! Namespaces of the broker that a task is lent, and its tunnel to the broker.

use std::net::SocketAddr;
use std::time::Duration;

use keylender::app::settings::{Settings, read_upstreams};
use keylender::base::Secret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use super::amqp::{Broker, Client, HEADER};
use super::{Task, at_port, own_user};
use crate::wire::{Answer, Ask};
use crate::world::World;

const UPSTREAMS: &str = r#"
[[upstream]]
name = "pulse"
credential = { kind = "namespace" }
"#;
const SCOPE: &str = "pulse:namespace:taskcluster-ci";
const PLACE: &str = "/pulse/taskcluster-ci";

async fn world() -> World {
    world_with(|_| {}).await
}

async fn world_with(change: impl FnOnce(&mut Settings)) -> World {
    World::with(|settings| {
        settings.proxy.declared = Some(read_upstreams(UPSTREAMS).unwrap());
        settings.root_url = None;
        change(settings);
    })
    .await
}

/// One whose broker is this one over AMQP.
async fn world_at(broker: &Broker) -> World {
    let address = broker.address;
    world_with(|settings| {
        settings.namespaces.amqp.hostname = address.ip().to_string();
        settings.namespaces.amqp.port = address.port();
    })
    .await
}

async fn open(world: &World, scopes: &[&str]) -> Task {
    let input = json!({ "scopes": scopes, "listen": at_port() });
    Task::of(&world.operate("POST", "/proxy/sessions", Some(input)).await)
}

async fn lend(task: &Task, place: &str) -> Answer {
    task.ask(&Ask::post(place, "")).await
}

async fn end(world: &World, task: &Task) {
    let path = format!("/proxy/sessions/{}/end", task.session);
    world.operate("POST", &path, Some(json!({ "reason": "it is over" }))).await;
}

async fn namespaces(world: &World) -> Vec<Value> {
    world.operate("GET", "/namespaces", None).await["namespaces"].as_array().unwrap().clone()
}

/// Whether the broker lets in whoever has this answer.
fn works(world: &World, lent: &Value) -> bool {
    let url = Url::parse(lent["connectionString"].as_str().unwrap()).unwrap();
    world.broker.can_login(url.username(), &Secret::new(url.password().unwrap()))
}

fn amqp_address(task: &Task) -> SocketAddr {
    let url = task.opened["environment"]["PULSE_AMQP_URL"].as_str().unwrap();
    let url = Url::parse(url).unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()).parse().unwrap()
}

#[tokio::test]
async fn a_task_is_lent_a_namespace_of_its_own_that_ends_with_its_session() {
    let world = world().await;
    let task = open(&world, &[SCOPE]).await;
    let url = task.opened["address"].as_str().unwrap();
    assert_eq!(task.opened["environment"]["PULSE_PROXY_URL"], format!("{url}/pulse"));
    assert_eq!(namespaces(&world).await.len(), 0, "nothing is lent before it is asked for");

    let answer = lend(&task, PLACE).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let lent = answer.json();
    assert_eq!(
        (lent["namespace"].as_str(), lent["expires"].clone()),
        (Some("taskcluster-ci"), task.opened["ends"].clone())
    );
    assert!(works(&world, &lent));
    assert_eq!(lend(&task, "/pulse/taskcluster%2Dci").await.json(), lent, "asked again, it is the same");

    let own = &namespaces(&world).await[0];
    assert_eq!(own["session"], task.session.as_str());
    let shown = world.operate("GET", &format!("/proxy/sessions/{}", task.session), None).await;
    assert_eq!(shown["namespaces"], json!(["taskcluster-ci"]));
    let claims = world.audited("namespace.claim").await;
    assert_eq!(claims[0]["actor"], json!({ "session": task.session }));
    let held = world.operate("GET", "/leases?kind=namespace", None).await;
    assert_eq!(held["leases"][0]["holder"], format!("session {}", task.session), "{held}");

    end(&world, &task).await;
    assert!(!works(&world, &lent));
    assert_eq!(namespaces(&world).await.len(), 0);
    let had = world.operate("GET", &format!("/audit/held?holder={}", task.session), None).await;
    assert!(had.to_string().contains("taskcluster-ci"), "{had}");
    let calls = world.audited("proxy.calls").await;
    let call = &calls[0]["details"]["calls"][0];
    assert_eq!(
        (call["upstream"].as_str(), call["url"].as_str(), call["status"].as_u64()),
        (Some("pulse"), Some(PLACE), Some(200))
    );
}

#[tokio::test]
async fn only_what_was_granted_is_lent_and_the_task_hears_how() {
    let world = world().await;
    let task = open(&world, &["pulse:namespace:taskcluster-ci-*", "pulse:namespace:taskcluster-one"]).await;
    assert_eq!(lend(&task, "/pulse/taskcluster-ci-7").await.status, 200);
    assert_eq!(lend(&task, "/pulse/taskcluster-one").await.status, 200);
    for (ask, status, words) in [
        (Ask::post("/pulse/taskcluster-ci", ""), 403, "granted is: taskcluster-ci-*, taskcluster-one"),
        (Ask::post("/pulse/taskcluster-one2", ""), 403, "no namespace"),
        (Ask::get("/pulse/taskcluster-one"), 403, "lent by POST"),
        (Ask::post("/pulse/taskcluster-ci-a%2Fb", ""), 400, "Invalid namespace"),
        (Ask::get("/pulse"), 404, "/pulse/<namespace>"),
        (Ask::new("DELETE", "/pulse/taskcluster-ci-8"), 404, "no namespace"),
    ] {
        let answer = task.ask(&ask).await;
        assert_eq!(answer.status, status, "{} {}: {}", ask.method, ask.target, answer.text());
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    for number in 0..6 {
        assert_eq!(lend(&task, &format!("/pulse/taskcluster-ci-more{number}")).await.status, 200);
    }
    assert_eq!(lend(&task, "/pulse/taskcluster-ci-9").await.status, 503, "two users each are enough");
    assert_eq!(task.ask(&Ask::new("DELETE", "/pulse/taskcluster-one")).await.status, 204);
    assert_eq!(lend(&task, "/pulse/taskcluster-ci-9").await.status, 200);
    end(&world, &task).await;
    assert_eq!(namespaces(&world).await.len(), 0);
}

#[tokio::test]
async fn what_can_be_no_namespace_here_is_not_granted() {
    let world = world().await;
    let input = json!({ "scopes": ["pulse:namespace:other", "pulse:namespace:o*"], "listen": at_port() });
    let refused = crate::relay_rotation::try_to(&world, "POST", "/proxy/sessions", Some(input)).await.unwrap_err();
    assert!(refused.message().contains("begin with `taskcluster-`"), "{refused:?}");
    let explained = world.operate("GET", "/proxy/explain?scopes=pulse:namespace:t*%20pulse:namespace:x", None).await;
    assert_eq!(explained["upstreams"][0]["permissions"], json!(["t*"]));
    let task = open(&world, &["pulse:namespace:t*", SCOPE]).await;
    let url = task.opened["environment"]["PULSE_AMQP_URL"].as_str().unwrap();
    assert!(url.starts_with("amqp://taskcluster-ci:by-proxy@"), "{url}");
    assert_eq!(lend(&task, "/pulse/taskcluster-any").await.status, 200);
    let later = json!({ "expires": "2999-01-01T00:00:00.000Z" });
    let extend = "/namespaces/taskcluster-any/extend";
    let refused = crate::relay_rotation::try_to(&world, "POST", extend, Some(later)).await.unwrap_err();
    assert!(refused.message().contains("ends with its session"), "{refused:?}");
}

#[tokio::test]
async fn what_a_service_has_is_lent_to_no_task_and_what_a_task_has_to_no_service() {
    let world = world().await;
    let service = world.client("service", &["pulse:namespace:*"]).await;
    assert_eq!(world.claim(&service, "taskcluster-foo", "{}").await.status, 200);
    let task = open(&world, &["pulse:namespace:taskcluster-foo", SCOPE]).await;
    let refused = lend(&task, "/pulse/taskcluster-foo").await;
    assert_eq!((refused.status, refused.text().contains("a service's")), (409, true), "{}", refused.text());
    let lent = lend(&task, PLACE).await.json();
    assert_eq!(world.claim(&service, "taskcluster-ci", "{}").await.status, 409);
    let other = open(&world, &[SCOPE]).await;
    assert_eq!(lend(&other, PLACE).await.status, 409);
    end(&world, &other).await;
    assert!(works(&world, &lent), "the end of another session is not its end");
    end(&world, &task).await;
    let left = namespaces(&world).await;
    assert_eq!((left.len(), left[0]["namespace"].as_str()), (1, Some("taskcluster-foo")));
    assert_eq!(world.claim(&service, "taskcluster-ci", "{}").await.status, 200);
}

#[tokio::test]
async fn what_the_broker_did_not_lose_in_time_it_loses_later() {
    let world = world().await;
    let task = open(&world, &[SCOPE]).await;
    let lent = lend(&task, PLACE).await.json();
    world.broker.go_away();
    end(&world, &task).await;
    assert!(!task.is_asked().await);
    let ended = &world.audited("proxy.end").await[0];
    assert!(ended["details"]["not_revoked"][0].as_str().unwrap().contains("its namespaces"), "{ended}");
    let next = open(&world, &[SCOPE]).await;
    assert_eq!(lend(&next, PLACE).await.status, 503, "it is being removed");
    world.broker.come_back();
    world.operate("POST", "/loops/proxy/run", None).await;
    assert!(!works(&world, &lent));
    assert_eq!(lend(&next, PLACE).await.status, 200);
}

#[tokio::test]
async fn a_broker_that_is_away_is_waited_for_once_however_many_sessions_are_over() {
    let world = world().await;
    let mut lent = Vec::new();
    for number in 0..3 {
        let name = format!("taskcluster-ci-{number}");
        let scopes = [format!("pulse:namespace:{name}")];
        let input = json!({ "scopes": scopes, "listen": at_port(), "lastsSeconds": 60 });
        let task = Task::of(&world.operate("POST", "/proxy/sessions", Some(input)).await);
        lent.push(lend(&task, &format!("/pulse/{name}")).await.json());
    }
    world.broker.go_away();
    world.clock.advance(Duration::from_secs(61));
    let sweep = || world.operate("POST", "/loops/proxy/run", None);
    let report = sweep().await["report"].as_str().unwrap().to_owned();
    assert!(report.contains("ended 3 sessions") && report.contains("namespaces of sessions: "), "{report}");
    let ends = world.audited("proxy.end").await;
    assert!(ends.iter().all(|end| end["details"]["not_revoked"].is_null()), "none of them waited: {ends:?}");
    world.broker.come_back();
    sweep().await;
    assert!(lent.iter().all(|lent| !works(&world, lent)));
    assert_eq!(namespaces(&world).await.len(), 0);
}

#[tokio::test]
async fn a_broker_that_is_away_lends_nothing_and_the_session_goes_on() {
    let world = world().await;
    let task = open(&world, &[SCOPE]).await;
    world.broker.go_away();
    let answer = lend(&task, PLACE).await;
    assert_eq!((answer.status, answer.text().contains("nothing was lent")), (502, true), "{}", answer.text());
    world.broker.come_back();
    assert_eq!(lend(&task, PLACE).await.status, 200);
    end(&world, &task).await;
    assert_eq!(namespaces(&world).await.len(), 0);
}

#[tokio::test]
async fn a_task_speaks_amqp_and_the_broker_hears_the_login_that_is_lent() {
    let broker = Broker::start().await;
    let world = world_at(&broker).await;
    let task = open(&world, &[SCOPE]).await;
    let url = task.opened["environment"]["PULSE_AMQP_URL"].as_str().unwrap();
    assert!(url.starts_with("amqp://taskcluster-ci:by-proxy@127.0.0.1:") && url.ends_with("/%2F"), "{url}");

    let mut client = Client::log_in(amqp_address(&task), "taskcluster-ci").await;
    assert_eq!(client.echo("frames").await.as_deref(), Some("frames"));
    let [mechanism, user, password] = &broker.logins()[0];
    assert_eq!((mechanism.as_str(), user.as_str()), ("PLAIN", "taskcluster-ci-1"));
    assert!(world.broker.can_login(user, &Secret::new(password)));

    let refused = Client::log_in(amqp_address(&task), "taskcluster-other").await.refusal().await;
    assert_eq!(refused.0, 403);
    assert!(refused.1.contains("no namespace \"taskcluster-other\" is granted"), "{refused:?}");

    end(&world, &task).await;
    assert_eq!(client.echo("more").await, None, "it is cut off");
    assert!(TcpStream::connect(amqp_address(&task)).await.is_err());
    assert!(!world.broker.can_login(user, &Secret::new(password)));
    let calls = world.audited("proxy.calls").await;
    let calls: Vec<_> = calls.iter().flat_map(|entry| entry["details"]["calls"].as_array().unwrap()).collect();
    let urls: Vec<_> = calls.iter().map(|call| call["url"].as_str().unwrap()).collect();
    let url = |name: &str| format!("amqp://{name}@{}", broker.address);
    assert_eq!(urls, [url("taskcluster-ci"), url("taskcluster-other")]);
    let seen: Vec<_> =
        calls.iter().map(|call| (call["method"].as_str().unwrap(), call["status"].as_u64().unwrap())).collect();
    assert_eq!(seen, [("AMQP", 101), ("AMQP", 403)]);
}

#[tokio::test]
async fn what_is_under_way_is_cut_off_at_the_end_of_the_session() {
    let broker = Broker::start().await;
    let world = world_at(&broker).await;
    let input = json!({ "scopes": [SCOPE], "listen": at_port(), "lastsSeconds": 60 });
    let task = Task::of(&world.operate("POST", "/proxy/sessions", Some(input)).await);
    let mut client = Client::log_in(amqp_address(&task), "taskcluster-ci").await;
    assert_eq!(client.echo("frames").await.as_deref(), Some("frames"));
    world.clock.advance(Duration::from_secs(61));
    // No loop runs: it only tells, and takes back what is left.
    assert_eq!(client.0.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_lending_and_giving_back_meet_nothing_outlives_the_session() {
    let world = world().await;
    let task = open(&world, &["pulse:namespace:taskcluster-ci-*"]).await;
    let asks = (0..96).map(|number| {
        let (method, name) = (["POST", "POST", "DELETE"][number % 3], number % 4);
        let (task, ask) = (&task, Ask::new(method, &format!("/pulse/taskcluster-ci-{name}")));
        async move { task.ask(&ask).await.status }
    });
    let statuses = futures_util::future::join_all(asks).await;
    assert!(statuses.iter().all(|status| matches!(status, 200 | 204 | 404)), "{statuses:?}");
    let shown = world.operate("GET", &format!("/proxy/sessions/{}", task.session), None).await;
    assert_eq!(shown["namespaces"].as_array().unwrap().len(), namespaces(&world).await.len());
    end(&world, &task).await;
    assert_eq!(namespaces(&world).await.len(), 0);
}

#[tokio::test]
async fn a_task_that_asks_without_end_is_told_to_wait() {
    let world = world().await;
    let task = open(&world, &[SCOPE]).await;
    for _ in 0..240 {
        assert_eq!(lend(&task, PLACE).await.status, 200);
    }
    let answer = lend(&task, PLACE).await;
    assert_eq!((answer.status, answer.text().contains("240 logins in a minute")), (503, true), "{}", answer.text());
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(lend(&task, PLACE).await.status, 200);
}

#[tokio::test]
async fn a_tunnel_answers_what_is_no_amqp_as_a_broker_does() {
    let broker = Broker::start().await;
    let world = world_at(&broker).await;
    let task = open(&world, &[SCOPE]).await;
    for hello in [&b"GET / HT"[..], b"AMQP\x03\x01\x00\x00", b"AMQP\x00\x01\x00\x00"] {
        let mut stream = TcpStream::connect(amqp_address(&task)).await.unwrap();
        stream.write_all(hello).await.unwrap();
        let mut told = Vec::new();
        stream.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, HEADER);
    }
    assert!(broker.logins().is_empty());
}

#[tokio::test]
async fn a_tunnel_whose_broker_is_away_says_so() {
    let (broker, unused) = (Broker::start().await, tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let gone = Broker { address: unused.local_addr().unwrap(), ..broker };
    drop(unused);
    let world = world_at(&gone).await;
    let task = open(&world, &[SCOPE]).await;
    let (code, words) = Client::log_in(amqp_address(&task), "taskcluster-ci").await.refusal().await;
    assert_eq!((code, words.contains("the broker does not answer")), (541, true), "{words}");
}

#[tokio::test]
async fn a_session_at_a_socket_has_a_socket_for_amqp() {
    let broker = Broker::start().await;
    let world = world_at(&broker).await;
    let input = json!({ "scopes": [SCOPE], "listen": { "on": "socket", "users": [own_user()] } });
    let opened = world.operate("POST", "/proxy/sessions", Some(input)).await;
    let path = opened["environment"]["PULSE_AMQP_SOCKET"].as_str().unwrap().to_owned();
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"AMQP\x00\x00\x00\x00").await.unwrap();
    let mut told = [0; 8];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(told, HEADER);
    let end = format!("/proxy/sessions/{}/end", opened["session"].as_str().unwrap());
    world.operate("POST", &end, Some(json!({ "reason": "over" }))).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!std::path::Path::new(&path).exists());
}
