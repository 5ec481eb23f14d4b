//! Who asks too much hears so, and the others are served on.

use std::time::{Duration, Instant};

use keylender::app::settings::Settings;
use keylender::web::peer::TrustProxy;

use crate::authority::ScriptedAuthority;
use crate::sign::Client;
use crate::wire::{Answer, Ask, Talk};
use crate::world::{NAMESPACE, World};

const SCOPES: [&str; 1] = ["pulse:namespace:taskcluster-*"];

/// An appliance whose clients come through a proxy on this host.
async fn world(change: impl FnOnce(&mut Settings)) -> (World, Client) {
    let world = World::with(|settings| {
        settings.listen.trust_proxy = TrustProxy::Hops(vec!["127.0.0.0/8".parse().unwrap()].into());
        change(settings);
    })
    .await;
    let client = world.client("builds", &SCOPES).await;
    (world, client)
}

fn from(address: &str, ask: &Ask) -> Ask {
    ask.clone().with("X-Forwarded-For", address).with("X-Forwarded-Proto", "https")
}

fn assert_limited(answer: &Answer, seconds: &str) {
    assert_eq!(answer.error(), (429, "TooManyRequests".into()));
    assert_eq!(answer.header("retry-after"), Some(seconds), "{}", answer.text());
}

#[tokio::test]
async fn a_client_that_asks_too_often_waits_and_others_do_not() {
    let (world, client) = world(|settings| settings.listen.limits.per_minute = 10).await;
    let other = world.client("other", &SCOPES).await;
    let claim = |client: &Client, address: &str| {
        from(address, &Ask::claim(NAMESPACE, "{}")).with("Authorization", &client.bearer())
    };
    for n in 0..10 {
        assert_eq!(world.ask(&claim(&client, &format!("192.0.2.{n}"))).await.status, 200, "{n}");
    }
    assert_limited(&world.ask(&claim(&client, "192.0.2.99")).await, "6");
    assert_eq!(world.ask(&claim(&other, "192.0.2.1")).await.status, 200, "another client at the same address");
    // On this host nobody is counted.
    for _ in 0..20 {
        assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    }
    world.clock.advance(Duration::from_secs(6));
    assert_eq!(world.ask(&claim(&client, "192.0.2.99")).await.status, 200);
    assert_limited(&world.ask(&claim(&client, "192.0.2.99")).await, "6");
}

#[tokio::test]
async fn who_shows_no_credentials_is_counted_by_address() {
    let (world, _) = world(|settings| settings.listen.limits.per_minute = 5).await;
    let ping = Ask::get("/v1/ping");
    for _ in 0..5 {
        assert_eq!(world.ask(&from("192.0.2.1", &ping)).await.status, 200);
    }
    assert_limited(&world.ask(&from("192.0.2.1", &ping)).await, "12");
    assert_eq!(world.ask(&from("192.0.2.2", &ping)).await.status, 200);
    assert_eq!(world.ask(&Ask::get("/__lbheartbeat__")).await.status, 200);
}

#[tokio::test]
async fn guessing_is_slow() {
    let (world, client) = world(|settings| settings.listen.limits.failures_per_minute = 5).await;
    let claim = |token: &str, address: &str| {
        from(address, &Ask::claim(NAMESPACE, "{}")).with("Authorization", &format!("Bearer builds/{token}"))
    };
    let right = client.token.expose();
    for n in 0..5 {
        assert_eq!(world.ask(&claim(&format!("guess{n}"), "2001:db8::1")).await.status, 401);
    }
    // Not even the right one is looked at, from any address of that machine.
    assert_limited(&world.ask(&claim(right, "2001:db8::2")).await, "12");
    assert_eq!(world.ask(&claim(right, "192.0.2.1")).await.status, 200);
    assert_eq!(world.ask(&from("2001:db8::1", &Ask::get("/v1/ping"))).await.status, 200);
    world.clock.advance(Duration::from_secs(12));
    assert_eq!(world.ask(&claim(right, "2001:db8::2")).await.status, 200, "what is right is not counted");
    assert_eq!(world.ask(&claim("guess", "2001:db8::2")).await.status, 401);
    assert_limited(&world.ask(&claim("guess", "2001:db8::2")).await, "12");
    // On this host it is a matter of the processor only.
    for _ in 0..10 {
        let guess = Ask::claim(NAMESPACE, "{}").with("Authorization", "Bearer builds/guess");
        assert_eq!(world.ask(&guess).await.status, 401);
    }
}

#[tokio::test]
async fn requests_in_hand_are_limited_for_all_and_for_each_address() {
    let (world, client) = world(|settings| {
        settings.listen.limits.requests = 4;
        settings.listen.limits.requests_each = 2;
    })
    .await;
    let claim = client.sign(&world, &Ask::claim(NAMESPACE, "{}"));
    let slow = |address: &str| from(address, &claim).with("Content-Length", "3");
    let ping = Ask::get("/v1/ping");
    let mut held = Vec::new();
    for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2"] {
        let mut talk = Talk::connect(world.address()).await;
        talk.send(&slow(address).bytes()).await;
        held.push(talk);
    }
    // They are in hand when one more of the first address is not taken.
    let refused = async |ask: &Ask| loop {
        let answer = world.ask(ask).await;
        if answer.status == 503 {
            return answer;
        }
    };
    let answer = refused(&from("192.0.2.1", &ping)).await;
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert!(answer.text().contains("too many requests are in hand"), "{}", answer.text());
    assert_eq!(world.ask(&ping).await.status, 200, "there is room for others");
    let mut last = Talk::connect(world.address()).await;
    last.send(&slow("192.0.2.3").bytes()).await;
    refused(&ping).await;
    world.operate("GET", "/clients", None).await;
    drop((held, last));
    while world.ask(&ping).await.status != 200 {}
}

#[tokio::test]
async fn a_request_that_nobody_answers_ends() {
    let authority = ScriptedAuthority::silent().await;
    let world = World::with(|settings| {
        authority.settle(settings);
        settings.patience.head = Duration::from_millis(50);
        settings.patience.work = Duration::from_millis(300);
    })
    .await;
    let began = Instant::now();
    let mut talk = Talk::connect(world.address()).await;
    let signed = r#"Hawk id="x", ts="1795176000", nonce="n", mac="m=""#;
    talk.send(&Ask::claim(NAMESPACE, "{}").with("Authorization", signed).bytes()).await;
    assert!(talk.end().await.is_empty());
    assert!(began.elapsed() >= Duration::from_millis(300) && began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn one_address_has_few_connections_at_once() {
    let (world, _) = world(|settings| {
        settings.listen.proxy_protocol = true;
        settings.listen.limits.connections_each = 2;
    })
    .await;
    let open = async |address: &str| {
        let mut talk = Talk::connect(world.address()).await;
        let header = format!("PROXY TCP4 {address} 127.0.0.1 8080 80\r\n");
        talk.send(&[header.into_bytes(), Ask::get("/v1/ping").bytes()].concat()).await;
        let status = talk.answer("GET").await.map(|answer| answer.status);
        (talk, status)
    };
    let (first, status) = open("192.0.2.1").await;
    assert_eq!(status, Some(200));
    let (second, status) = open("192.0.2.1").await;
    assert_eq!(status, Some(200));
    assert_eq!(open("192.0.2.1").await.1, None);
    assert_eq!(open("192.0.2.2").await.1, Some(200));
    drop(first);
    while open("192.0.2.1").await.1.is_none() {}
    drop(second);
    let mut proxies = Vec::new();
    for _ in 0..5 {
        let (talk, status) = open("127.0.0.1").await;
        assert_eq!(status, Some(200), "who speaks for many may have many");
        proxies.push(talk);
    }
}
