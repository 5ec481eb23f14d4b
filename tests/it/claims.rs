//! Claims: the same document until something changes, nothing that is nobody's business, and nothing at all while the
//! broker is away.

use std::time::Duration;

use keylender::base::Secret;
use serde_json::Value;

use crate::sign::Client;
use crate::wire::{Answer, Ask};
use crate::world::{NAMESPACE, World};

async fn world() -> (World, Client) {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    (world, client)
}

#[tokio::test]
async fn a_claim_with_equal_inputs_returns_the_same_document() {
    let (mut world, client) = world().await;
    let input = r#"{"expires":"2026-11-21T12:00:00Z","contact":"a@example.com"}"#;
    let first = world.claim(&client, NAMESPACE, input).await;
    assert_eq!(first.status, 200);
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(world.claim(&client, NAMESPACE, input).await.body, first.body);
    world.restart().await;
    assert_eq!(world.claim(&client, NAMESPACE, input).await.body, first.body);
    assert_eq!(world.claim(&client, "taskcluster-Foo", input).await.status, 200);
    assert_eq!(world.operate("GET", "/namespaces", None).await["namespaces"].as_array().unwrap().len(), 2);
    assert_eq!(world.audited("namespace.create").await.len(), 2);
    assert_eq!(world.audited("namespace.claim").await.len(), 4, "each time it was lent is in the log");
}

#[tokio::test]
async fn fields_that_are_left_out_are_reset() {
    let (world, client) = world().await;
    let shown = async || world.operate("GET", "/namespaces/taskcluster-foo", None).await;
    let input = r#"{"expires":"2030-01-01T00:00:00Z","contact":"a@example.com"}"#;
    world.claim(&client, NAMESPACE, input).await;
    assert_eq!(shown().await["contact"], "a@example.com");
    world.claim(&client, NAMESPACE, "{}").await;
    let after = shown().await;
    assert_eq!(after["contact"], Value::Null);
    assert_eq!(after["expires"], "2026-11-20T16:00:00.000Z", "four hours from now, also where it shortens");
}

#[tokio::test]
async fn the_contact_is_nobodys_business() {
    let (world, client) = world().await;
    let claimed = world.claim(&client, NAMESPACE, r#"{"contact":"canary@example.com"}"#).await;
    assert_eq!(claimed.status, 200);
    let mut answers = vec![claimed];
    for path in ["/v1/namespaces", "/v1/namespace/taskcluster-foo", "/", "/metrics", "/__heartbeat__"] {
        for mount in ["", "/api/pulse"] {
            answers.push(world.ask(&Ask::get(&format!("{mount}{path}"))).await);
        }
    }
    assert!(answers.iter().filter(|answer| answer.status == 200).count() >= 7);
    for answer in answers {
        assert!(!answer.text().contains("canary") && !answer.text().contains("contact"), "{}", answer.text());
    }
}

#[tokio::test]
async fn the_list_follows_every_change_and_pages_through() {
    let (world, client) = world().await;
    let names = async |query: &str| {
        let page = world.ask(&Ask::get(&format!("/v1/namespaces{query}"))).await.json();
        let names: Vec<String> =
            page["namespaces"].as_array().unwrap().iter().map(|n| n["namespace"].as_str().unwrap().into()).collect();
        (names, page["continuationToken"].as_str().map(str::to_owned))
    };
    assert_eq!(names("").await, (vec![], None));
    for name in ["taskcluster-c", "taskcluster-a", "taskcluster-b"] {
        assert_eq!(world.claim(&client, name, "{}").await.status, 200);
    }
    let (mut all, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let (page, token) = names(&query).await;
        all.extend(page);
        let Some(token) = token else { break };
        query = format!("?limit=2&continuationToken={}", crate::world::segment(&token));
    }
    assert_eq!(all, ["taskcluster-a", "taskcluster-b", "taskcluster-c"]);
    assert_eq!(names("").await, (all, None));
    for token in ["x", "~", "a~other", "a/b~namespace"] {
        let answer = world.ask(&Ask::get(&format!("/v1/namespaces?continuationToken={token}"))).await;
        assert_eq!(answer.error(), (400, "InvalidRequestArguments".into()), "{token}");
    }
}

fn password(answer: &Answer) -> Secret {
    let string = answer.json()["connectionString"].as_str().unwrap().to_owned();
    Secret::new(string.split_once('@').unwrap().0.rsplit_once(':').unwrap().1)
}

#[tokio::test]
async fn while_the_broker_is_away_nothing_is_lent_and_later_the_same_claim_works() {
    let (mut world, client) = world().await;
    world.broker.go_away();
    for _ in 0..2 {
        let answer = world.claim(&client, NAMESPACE, "{}").await;
        assert_eq!(answer.error(), (503, "ServiceUnavailable".into()));
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert!(!answer.text().contains("amqp"), "{}", answer.text());
    }
    assert!(world.audited("namespace.claim").await.is_empty());
    world.restart().await;
    world.broker.come_back();
    let answer = world.claim(&client, NAMESPACE, "{}").await;
    assert_eq!(answer.status, 200);
    assert!(world.broker.can_login("taskcluster-foo-1", &password(&answer)));
    assert!(!world.broker.can_login("taskcluster-foo-2", &password(&answer)));
    assert_eq!(world.audited("namespace.create").await.len(), 1);
}

#[tokio::test]
async fn an_answer_of_the_broker_that_is_lost_costs_nothing_but_a_repetition() {
    for lost in 1..=4 {
        let (world, client) = world().await;
        world.broker.lose_answers(lost);
        assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 503);
        world.broker.lose_answers(0);
        let answer = world.claim(&client, NAMESPACE, "{}").await;
        assert_eq!(answer.status, 200);
        assert!(world.broker.can_login("taskcluster-foo-1", &password(&answer)));
    }
}

#[tokio::test]
async fn a_namespace_that_is_settled_is_lent_without_the_broker() {
    let (world, client) = world().await;
    let input = r#"{"expires":"2030-01-01T00:00:00Z"}"#;
    let first = world.claim(&client, NAMESPACE, input).await;
    world.broker.go_away();
    assert_eq!(world.claim(&client, NAMESPACE, input).await.body, first.body);
}

#[tokio::test]
async fn a_claim_that_is_refused_leaves_nothing_behind() {
    let (world, client) = world().await;
    for (namespace, input, code) in [
        ("taskcluster-foo", r#"{"surprise":1}"#, "InputValidationError"),
        ("taskcluster-foo", r#"{"expires":"tomorrow"}"#, "InputValidationError"),
        ("taskcluster-foo", r#"{"expires":"2026-11-21T12:00:60Z"}"#, "InputValidationError"),
        ("taskcluster-foo", r#"{"expires":null}"#, "InputValidationError"),
        ("taskcluster-foo", r#"{"contact":"nobody"}"#, "InputValidationError"),
        ("taskcluster-a.b", "{}", "InvalidRequestArguments"),
    ] {
        let answer = world.claim(&client, namespace, input).await;
        assert_eq!(answer.error(), (400, code.into()), "{input}");
    }
    let everything = world.client("everything", &["*"]).await;
    assert_eq!(world.claim(&everything, "other-foo", "{}").await.error().1, "InvalidRequestArguments");
    assert!(world.operate("GET", "/namespaces", None).await["namespaces"].as_array().unwrap().is_empty());
    assert!(world.broker.calls().iter().all(|call| call.starts_with("GET")));
}

#[tokio::test]
async fn two_claims_of_one_name_at_once_get_the_same_password() {
    let (world, client) = world().await;
    let claims = (0..8).map(|_| world.claim(&client, NAMESPACE, r#"{"expires":"2030-01-01T00:00:00Z"}"#));
    let answers = futures_util::future::join_all(claims).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
    }
    assert_eq!(world.audited("namespace.create").await.len(), 1);
}
