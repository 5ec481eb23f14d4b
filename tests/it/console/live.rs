//! The stream that says when there is something new to see.

use std::time::Duration;

use keylender::domain::operators::Role;
use keylender::web::console::STREAMS_MAX;

use super::browser::Browser;
use crate::wire::{Ask, Talk};
use crate::world::World;

/// Shorter than a stream lasts by itself, and longer than anything that ends it before.
const SOON: Duration = Duration::from_secs(8);

/// A stream that knows all of the audit log, after its first words.
async fn open(world: &World, browser: &Browser) -> Talk {
    let newest = world.appliance().store.read(|tx| tx.last_entry()).unwrap().unwrap();
    let mut talk = Talk::connect(world.address()).await;
    talk.send(&Ask::get(&format!("/live?since={newest}")).with("Cookie", &browser.cookie).bytes()).await;
    talk
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.expect("soon")
}

#[tokio::test]
async fn a_stream_says_when_there_is_something_new_and_ends_with_its_session() {
    let world = World::start().await;
    let (viewer, operator) =
        (Browser::signed_in(&world, Role::Viewer).await, Browser::signed_in(&world, Role::Operator).await);
    let mut talk = open(&world, &viewer).await;
    let begun = soon(talk.until("retry: 1000")).await;
    assert!(begun.starts_with("HTTP/1.1 200") && begun.contains("content-type: text/event-stream"), "{begun}");
    assert!(begun.contains("cache-control: no-store") && !begun.contains("data:"), "{begun}");
    assert_eq!(operator.post(&world, "/loops/rotate/pause", &[]).await.status, 303);
    let entry = world.audited("loop.pause").await[0]["seq"].to_string();
    soon(talk.until(&format!("id: {entry}\ndata: {entry}\n\n"))).await;
    assert_eq!(viewer.post(&world, "/logout", &[]).await.status, 303);
    soon(talk.until("0\r\n\r\n")).await;
}

#[tokio::test]
async fn a_stream_does_not_hold_up_the_stop() {
    let mut world = World::start().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    let mut talk = open(&world, &viewer).await;
    soon(talk.until("retry: 1000")).await;
    soon(world.stop()).await;
    let rest = soon(talk.end()).await;
    assert!(rest.ends_with(b"0\r\n\r\n"), "it ends as it should: {:?}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn there_are_so_many_streams_and_no_more_and_each_says_what_it_knows() {
    let world = World::start().await;
    let viewer = Browser::signed_in(&world, Role::Viewer).await;
    for since in ["/live", "/live?since=", "/live?since=x"] {
        assert_eq!(viewer.get(&world, since).await.status, 400, "{since}");
    }
    let mut held = Vec::new();
    for _ in 0..STREAMS_MAX {
        let mut talk = open(&world, &viewer).await;
        soon(talk.until("retry: 1000")).await;
        held.push(talk);
    }
    let full = viewer.get(&world, "/live?since=0").await;
    assert!(full.status == 503 && full.header("retry-after").is_some(), "{full:?}");
}
