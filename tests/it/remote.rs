//! A remote authority that is not well: callers hear 503 in time, and it is not asked without end.

use std::time::{Duration, Instant};

use keylender::app::settings::Settings;
use serde_json::json;
use tokio::net::TcpListener;

use crate::authority::{self, ScriptedAuthority};
use crate::wire::{Answer, Ask};
use crate::world::{NAMESPACE, World};

const SIGNED: &str = r#"Hawk id="x", ts="1795176000", nonce="n", mac="m=""#;

fn claim() -> Ask {
    Ask::claim(NAMESPACE, "{}").with("Authorization", SIGNED)
}

async fn world(authority: &ScriptedAuthority) -> World {
    World::with(|settings| {
        authority.settle(settings);
        hurry(settings);
    })
    .await
}

fn hurry(settings: &mut Settings) {
    let patience = &mut settings.patience.authority;
    (patience.try_timeout, patience.total_timeout) = (Duration::from_millis(200), Duration::from_millis(700));
    patience.pause = Duration::from_millis(1);
}

fn assert_unavailable(answer: &Answer, world: &World) {
    assert_eq!(answer.error(), (503, "ServiceUnavailable".into()));
    assert_eq!(answer.header("retry-after"), Some("5"));
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("auth service") && !message.contains("127.0.0.1"), "{message}");
    assert!(world.broker.calls().iter().all(|call| call.starts_with("GET")), "nothing was lent");
}

#[tokio::test]
async fn garbage_is_no_answer_and_is_not_asked_for_twice() {
    let huge = format!(r#"{{"status":"auth-success","clientId":"x","scopes":["{}"]}}"#, "a".repeat(5 << 20));
    for body in [
        "nonsense",
        "",
        "[]",
        "{}",
        r#"{"status":"auth-success"}"#,
        r#"{"status":"auth-success","clientId":"x","scopes":"*"}"#,
        r#"{"status":"auth-success","clientId":"x","scopes":[1]}"#,
        r#"{"status":"auth-success","scopes":["*"]}"#,
        r#"{"status":"auth-perhaps","clientId":"x","scopes":["*"]}"#,
        huge.as_str(),
    ] {
        let answer = authority::json("200 OK", body);
        let authority = ScriptedAuthority::start(move |_| answer.clone()).await;
        let world = world(&authority).await;
        assert_unavailable(&world.ask(&claim()).await, &world);
        assert_eq!(authority.questions().len(), 1, "{:.40}", body);
    }
}

#[tokio::test]
async fn redirects_and_refusals_of_the_question_are_not_followed() {
    for status in ["302 Found", "400 Bad Request", "404 Not Found"] {
        let authority = ScriptedAuthority::start(move |_| {
            authority::json(
                &format!("{status}\r\nlocation: /elsewhere"),
                r#"{"status":"auth-success","clientId":"x","scopes":["*"]}"#,
            )
        })
        .await;
        let world = world(&authority).await;
        assert_unavailable(&world.ask(&claim()).await, &world);
        assert_eq!(authority.questions().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn trouble_is_asked_about_six_times_and_then_no_more() {
    for answer in [
        authority::json("503 Service Unavailable", "{}"),
        Vec::new(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec(),
    ] {
        let authority = ScriptedAuthority::start(move |_| answer.clone()).await;
        let world = world(&authority).await;
        assert_unavailable(&world.ask(&claim()).await, &world);
        assert_eq!(authority.questions().len(), 6);
    }
}

#[tokio::test]
async fn an_authority_that_recovers_is_believed() {
    let failures_left = std::sync::atomic::AtomicI32::new(3);
    let authority =
        ScriptedAuthority::start(move |_| match failures_left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) {
            1.. => authority::json("500 Internal Server Error", "{}"),
            _ => authority::json("200 OK", r#"{"status":"auth-success","clientId":"x","scopes":["pulse:*"]}"#),
        })
        .await;
    let world = world(&authority).await;
    assert_eq!(world.ask(&claim()).await.status, 200);
    assert_eq!(authority.questions().len(), 4);
}

#[tokio::test]
async fn silence_ends_with_the_patience_for_it() {
    let authority = ScriptedAuthority::silent().await;
    let world = world(&authority).await;
    let began = Instant::now();
    assert_unavailable(&world.ask(&claim()).await, &world);
    assert!(began.elapsed() >= Duration::from_millis(700) && began.elapsed() < Duration::from_secs(5));
    assert!((2..=4).contains(&authority.questions().len()), "each try had its own limit");
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable_too() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = World::with(|settings| {
        settings.root_url = Some(format!("http://{free}").parse().unwrap());
        hurry(settings);
    })
    .await;
    assert_unavailable(&world.ask(&claim()).await, &world);
    assert_eq!(world.ask(&Ask::get("/v1/namespaces")).await.status, 200, "what is public still works");
    assert_eq!(world.ask(&Ask::claim(NAMESPACE, "{}")).await.error().0, 403, "and nobody is nobody");
}

#[tokio::test]
async fn what_the_authority_refuses_is_refused_in_its_words() {
    let authority = ScriptedAuthority::saying(json!({"status": "auth-failed", "message": "it is not you"})).await;
    let world = world(&authority).await;
    let answer = world.ask(&claim()).await;
    assert_eq!(answer.error(), (401, "AuthenticationFailed".into()));
    assert!(answer.json()["message"].as_str().unwrap().starts_with("it is not you\n\n---\n"));
    assert_eq!(answer.header("www-authenticate"), Some("hawk"));
}

/// Pitfall 13: the authority takes only names of hosts, so such a signature cannot be checked.
#[tokio::test]
async fn a_host_that_the_authority_does_not_know_cannot_be_signed() {
    let authority =
        ScriptedAuthority::saying(json!({"status": "auth-success", "scopes": ["*"], "clientId": "x"})).await;
    let world = world(&authority).await;
    for host in ["[::1]:8080", "under_score", "a b", "", "a..b", "-a", "a:b"] {
        let answer = world.ask(&claim().with("Host", host)).await;
        // Some of these are no Host at all, which the listener refuses before anybody looks at credentials.
        assert!(matches!(answer.status, 400 | 401), "{host}: {answer:?}");
    }
    assert!(authority.questions().is_empty());
    assert_eq!(world.ask(&claim().with("Host", "127.0.0.1:8080")).await.status, 200);
}
