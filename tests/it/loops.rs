//! Loops as operators see them: what a pass could not do shows, and is tried again soon.

use std::time::Duration;

use keylender::app::operate::Operator;
use keylender::base::Kind;
use serde_json::{Value, json};

use crate::wire::PATIENCE;
use crate::world::{BEGIN, NAMESPACE, World};

/// A world with a namespace that is due for the loop of this name, while the broker is away.
async fn world_in_trouble() -> World {
    let world = World::start().await;
    for name in ["rotate", "expire", "reconcile"] {
        world.operate("POST", &format!("/loops/{name}/pause"), None).await;
    }
    let client = world.client("builds", &["pulse:namespace:*"]).await;
    assert_eq!(world.claim(&client, NAMESPACE, &json!({"expires": BEGIN.to_string()}).to_string()).await.status, 200);
    world.clock.advance(Duration::from_secs(2 * 3600));
    world.broker.go_away();
    world
}

async fn status(world: &World, name: &str) -> Value {
    let list = world.operate("GET", "/loops", None).await;
    list["loops"].as_array().unwrap().iter().find(|each| each["name"] == name).unwrap().clone()
}

#[tokio::test]
async fn a_pass_that_leaves_something_undone_has_failed_and_comes_again_in_seconds() {
    let world = world_in_trouble().await;
    let soon = world.clock.now().plus(Duration::from_secs(5)).to_string();
    for (name, said) in [
        ("rotate", "0 namespaces were rotated, 0 wait for a promise to end, 1 could not be"),
        ("expire", "0 namespaces were removed, 1 could not be: the broker does not answer"),
    ] {
        let operator = Operator::connect(&world.settings).unwrap();
        let error = operator.call("POST", &format!("/loops/{name}/run"), None).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Unavailable, said));
        let status = status(&world, name).await;
        assert_eq!(
            (&status["failures"], &status["lastError"], &status["due"]),
            (&json!(1), &json!(said), &json!(soon))
        );
    }
    world.broker.come_back();
    let ran = world.operate("POST", "/loops/expire/run", None).await;
    assert_eq!(ran["report"], "1 namespaces were removed, 0 could not be");
    assert_eq!(status(&world, "expire").await["failures"], 0);
}

/// Waits until the loops have removed the namespace by themselves.
async fn until_it_is_gone(world: &World) {
    let gone = async {
        while world.operate("GET", "/namespaces", None).await["namespaces"] != json!([]) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn a_removal_that_an_operator_asked_for_and_an_outage_broke_off_is_finished_at_once() {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:*"]).await;
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    for name in ["expire", "reconcile"] {
        world.operate("POST", &format!("/loops/{name}/run"), None).await;
    }
    world.broker.fail_next(1);
    let operator = Operator::connect(&world.settings).unwrap();
    let error = operator.call("POST", &format!("/namespaces/{NAMESPACE}/expire"), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    until_it_is_gone(&world).await;
}

#[tokio::test]
async fn a_removal_that_was_broken_off_is_finished_at_the_next_start() {
    let mut world = world_in_trouble().await;
    world.broker.come_back();
    // The users go, and nothing further.
    world.broker.fail_after(2);
    let operator = Operator::connect(&world.settings).unwrap();
    operator.call("POST", "/loops/expire/run", None).await.unwrap_err();
    world.broker.come_back();
    assert_eq!(world.operate("GET", "/namespaces", None).await["namespaces"][0]["accounts"], json!([]));

    world.operate("POST", "/loops/expire/resume", None).await;
    world.restart().await;
    until_it_is_gone(&world).await;
}
