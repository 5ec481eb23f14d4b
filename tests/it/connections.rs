//! Connections: kept alive, pipelined, HTTP/1.0, HTTP/2, and how they end.

use std::time::Duration;

use crate::wire::{Ask, Talk, http_2};
use crate::world::{BEGIN, NAMESPACE, World};

const SCOPES: [&str; 1] = ["pulse:namespace:taskcluster-*"];

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let world = World::start().await;
    let client = world.client("builds", &SCOPES).await;
    let mut talk = Talk::connect(world.address()).await;
    for (ask, status) in [
        (Ask::get("/v1/ping"), 200),
        (Ask::new("HEAD", "/v1/ping"), 200),
        (client.sign(&world, &Ask::claim(NAMESPACE, "{}")), 200),
        (Ask::claim(NAMESPACE, "{"), 400),
        (Ask::claim(NAMESPACE, "{}"), 403),
        (Ask::get("/nowhere"), 404),
        (Ask::new("OPTIONS", "/v1/ping"), 200),
        (Ask::get("/v1/ping"), 200),
    ] {
        talk.send(&ask.bytes()).await;
        assert_eq!(talk.answer(&ask.method).await.unwrap().status, status, "{} {}", ask.method, ask.target);
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::start().await;
    let mut talk = Talk::connect(world.address()).await;
    let asks = [Ask::get("/v1/ping"), Ask::get("/v1/nosuch"), Ask::claim(NAMESPACE, "{}"), Ask::get("/robots.txt")];
    talk.send(&asks.iter().flat_map(Ask::bytes).collect::<Vec<_>>()).await;
    for status in [200, 404, 403, 200] {
        assert_eq!(talk.answer("GET").await.unwrap().status, status);
    }
}

#[tokio::test]
async fn who_wants_no_more_is_not_kept() {
    let world = World::start().await;
    let mut talk = Talk::connect(world.address()).await;
    talk.send(&Ask::get("/v1/ping").with("Connection", "close").bytes()).await;
    assert_eq!(talk.answer("GET").await.unwrap().status, 200);
    assert!(talk.end().await.is_empty());
}

#[tokio::test]
async fn http_1_0_without_a_host_is_served_unless_it_must_be_signed() {
    let world = World::start().await;
    let client = world.client("builds", &SCOPES).await;
    let old = |ask: Ask| Ask { version: "HTTP/1.0", ..ask.without("Host") };
    assert_eq!(world.ask(&old(Ask::get("/v1/ping"))).await.status, 200);
    let signed = client.sign(&world, &Ask::claim(NAMESPACE, "{}"));
    assert_eq!(world.ask(&old(signed)).await.error(), (401, "AuthenticationFailed".into()));
    let with_host = Ask { version: "HTTP/1.0", ..client.sign(&world, &Ask::claim(NAMESPACE, "{}")) };
    assert_eq!(world.ask(&with_host).await.status, 200);
}

#[tokio::test]
async fn hosts_of_every_kind_are_signed_or_refused_but_never_our_fault() {
    let world = World::start().await;
    let client = world.client("builds", &SCOPES).await;
    for host in ["[::1]:8080", "[::1]", "under_score", "under_score:80", "127.0.0.1:65535", "UPPER.example"] {
        let answer = world.ask_as(&client, &Ask::claim(NAMESPACE, "{}").with("Host", host)).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let signed = client.sign(&world, &Ask::claim(NAMESPACE, "{}"));
    for host in ["", "a b", "a:b", "a:99999", "[::1", "[x]", "a/b", "é", "user@keylender.test"] {
        let answer = world.ask(&signed.clone().with("Host", host)).await;
        assert!(matches!(answer.status, 400 | 401), "{host}: {}", answer.status);
    }
    let port = signed.clone().with("X-Forwarded-Port", "x");
    assert_eq!(world.ask(&port).await.error(), (401, "AuthenticationFailed".into()));
}

#[tokio::test]
async fn http_2_is_spoken_to_who_knows() {
    let world = World::start().await;
    let client = world.client("builds", &SCOPES).await;
    let (status, _, _) = http_2(world.address(), &Ask::get("/v1/ping")).await;
    assert_eq!(status, 200);
    let (status, _, page) = http_2(world.address(), &Ask::get("/api/pulse/v1/nosuch")).await;
    assert_eq!(status, 404);
    assert!(page.contains("<pre>Cannot GET /api/pulse/v1/nosuch</pre>"), "{page}");
    for (body, status) in [("{}", 200), ("", 400)] {
        // HTTP/2 sends no Host header, and the port is not the scheme's.
        let ask = Ask::claim(NAMESPACE, body).with("Host", &world.address().to_string());
        let answer = http_2(world.address(), &client.sign(&world, &ask)).await;
        assert_eq!(answer.0, status, "{body:?}: {}", answer.2);
    }
}

#[tokio::test]
async fn a_stop_lets_the_request_in_hand_end() {
    let mut world = World::start().await;
    let mut resting = Talk::connect(world.address()).await;
    resting.send(&Ask::get("/v1/ping").bytes()).await;
    assert_eq!(resting.answer("GET").await.unwrap().status, 200);
    let mut busy = Talk::connect(world.address()).await;
    let claim = Ask::claim(NAMESPACE, "{}").bytes();
    let (most, last) = claim.split_at(claim.len() - 1);
    busy.send(most).await;
    // The head is being read by now: the body is what the request waits for.
    tokio::task::yield_now().await;
    let began = std::time::Instant::now();
    let finish = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        busy.send(last).await;
        busy.answer("POST").await
    };
    let (answer, ()) = tokio::join!(finish, world.stop());
    assert_eq!(answer.unwrap().status, 403);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(resting.end().await.is_empty());
    assert_eq!(world.clock.now(), BEGIN);
}
