//! Stories about expiry: what goes, what stays, and what comes in between.

use futures_util::FutureExt;

use super::*;
use crate::ports::broker::{Exchange, Queue, Topology, Users};

fn queue(name: &str) -> Queue {
    Queue { name: name.into(), messages: Some(1), ..Queue::default() }
}

fn exchange(name: &str) -> Exchange {
    Exchange { name: name.into(), ..Exchange::default() }
}

/// A world with a claimed namespace that has queues and exchanges, next to those of others; its time is over.
async fn world_at_its_end() -> World {
    let world = World::new();
    world.claim_until(world.clock.now()).await.unwrap();
    let vhost = VhostName::parse("/").unwrap();
    for name in ["queue/t-a/x", "queue/t-a/y", "queue/t-ab/x", "queue/t-a", "other"] {
        world.broker.put_queue(&vhost, queue(name));
    }
    for name in ["exchange/t-a/x", "exchange/t-ab/x", "other"] {
        world.broker.put_exchange(&vhost, exchange(name));
    }
    world.clock.advance(2 * HOUR);
    world
}

async fn left(world: &World) -> (Vec<String>, Vec<String>, usize) {
    let vhost = VhostName::parse("/").unwrap();
    let mut queues: Vec<_> = world.broker.queues(&vhost).await.unwrap().into_iter().map(|queue| queue.name).collect();
    let exchanges = world.broker.exchanges(&vhost).await.unwrap();
    let mut exchanges: Vec<_> = exchanges.into_iter().map(|exchange| exchange.name).collect();
    queues.sort();
    exchanges.sort();
    exchanges.retain(|name| name.starts_with("exchange/") || name == "other");
    (queues, exchanges, world.broker.users().await.unwrap().len())
}

#[tokio::test]
async fn expiry_removes_users_queues_and_exchanges_of_the_namespace_and_nothing_else() {
    let world = world_at_its_end().await;

    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired { removed: 1, ..Expired::default() });

    let (queues, exchanges, users) = left(&world).await;
    assert_eq!(queues, ["other", "queue/t-a", "queue/t-ab/x"]);
    assert_eq!(exchanges, ["exchange/t-ab/x", "other"]);
    assert_eq!(users, 1, "the administrator");
    assert_eq!(world.namespaces.count().unwrap(), 0);
    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired::default());
}

#[tokio::test]
async fn a_promise_holds_expiry_back() {
    let world = World::new();
    let claimed = world.claim_until(world.clock.now().plus(Duration::from_secs(60))).await.unwrap();
    world.clock.set(claimed.reclaim_at.minus(Duration::from_secs(1)));
    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired::default());
    assert!(world.works(&claimed));
    world.clock.set(claimed.reclaim_at);
    assert_eq!(world.namespaces.expire_over().await.unwrap().removed, 1);
}

#[tokio::test]
async fn expiry_that_is_broken_off_anywhere_is_finished_by_the_next_pass() {
    for calls_before_outage in 0..8 {
        let world = world_at_its_end().await;
        world.broker.fail_after(calls_before_outage);
        let first = world.namespaces.expire_over().await.unwrap();
        world.broker.come_back();
        if first.failed == 1 {
            let claim = world.claim().await.unwrap_err();
            assert_eq!(claim.kind(), Kind::Busy, "a claim is told to come again");
        }
        world.namespaces.expire_over().await.unwrap();
        let (queues, exchanges, users) = left(&world).await;
        assert_eq!((queues.len(), exchanges.len(), users), (3, 2, 1), "after {calls_before_outage} calls");
        assert!(world.works(&world.claim().await.unwrap()), "and it can be claimed anew");
    }
}

#[tokio::test]
async fn a_claim_that_comes_first_saves_the_namespace() {
    let world = world_at_its_end().await;
    let saved = world.claim().await.unwrap();
    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired::default());
    assert!(world.works(&saved));
}

#[tokio::test]
async fn a_late_removal_spares_the_things_of_the_next_owner() {
    let world = world_at_its_end().await;
    let caller = Caller::of_loop("tests");
    let late = world.namespaces.end(&world.name(), &caller, Which::Over).await.unwrap().unwrap();
    world.namespaces.expire_over().await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    world.claim().await.unwrap();
    world.broker.put_queue(&VhostName::parse("/").unwrap(), queue("queue/t-a/new"));

    world.namespaces.clear(&late, &world.namespaces.resources().await.unwrap(), &caller).await.unwrap();

    assert!(left(&world).await.0.contains(&"queue/t-a/new".to_owned()));
    assert_eq!(world.namespaces.count().unwrap(), 1);
}

/// A world with so many namespaces, `t-0` and so on, each with a queue and an exchange; their time is over.
pub(super) async fn world_with_many_at_their_end(count: usize) -> World {
    let (world, vhost) = (World::new(), VhostName::parse("/").unwrap());
    for number in 0..count {
        let name = NamespaceName::parse(&format!("t-{number}")).unwrap();
        let claim = Claim { expires: Some(world.clock.now()), ..Claim::default() };
        world.namespaces.claim(&Caller::local("tests", "r"), &name, claim).await.unwrap();
        world.broker.put_queue(&vhost, queue(&format!("queue/{name}/x")));
        world.broker.put_exchange(&vhost, exchange(&format!("exchange/{name}/x")));
    }
    world.clock.advance(2 * HOUR);
    world
}

#[tokio::test]
async fn a_removal_of_many_that_was_released_and_broken_off_is_finished_without_the_brake() {
    let world = world_with_many_at_their_end(30).await;
    let brake = world.namespaces.expiry_brake().await.unwrap();
    assert_eq!(brake.as_deref(), Some("it would remove 30 of 30 namespaces: is the clock right?"));
    world.broker.go_away();
    assert_eq!(world.namespaces.expire_over().await.unwrap().failed, 30);
    world.broker.come_back();
    assert_eq!(world.namespaces.expiry_brake().await.unwrap(), None);
    assert_eq!(world.namespaces.expire_over().await.unwrap(), Expired { removed: 30, ..Expired::default() });
}

#[tokio::test]
async fn many_are_removed_side_by_side_and_each_claim_meanwhile_wins_or_loses() {
    let count = 2 * WORKERS;
    let world = world_with_many_at_their_end(count).await;
    let caller = Caller::local("tests", "r");
    let names: Vec<_> = (0..count).map(|number| NamespaceName::parse(&format!("t-{number}")).unwrap()).collect();
    let claims = names.iter().map(|name| world.namespaces.claim(&caller, name, Claim::default()));

    let (expired, claims) = tokio::join!(world.namespaces.expire_over(), futures_util::future::join_all(claims));

    assert_eq!(expired.unwrap().failed, 0);
    let mut won = Vec::new();
    for claim in claims {
        match claim {
            Ok(claimed) => won.push(claimed.into_inner()),
            Err(error) => assert_eq!(error.kind(), Kind::Busy),
        }
    }
    assert!(won.iter().all(|claimed| world.works(claimed)));
    assert_eq!(world.namespaces.count().unwrap(), won.len() as u64);
    assert_eq!(left(&world).await.2, 1 + 2 * won.len());
}

#[tokio::test]
async fn of_many_that_are_removed_each_loses_its_own_things() {
    let world = world_with_many_at_their_end(2 * WORKERS).await;
    let saved = NamespaceName::parse("t-1").unwrap();
    world.namespaces.claim(&Caller::local("tests", "r"), &saved, Claim::default()).await.unwrap();

    let expired = world.namespaces.expire_over().await.unwrap();

    assert_eq!(expired, Expired { removed: 2 * WORKERS - 1, ..Expired::default() });
    assert_eq!(left(&world).await, (vec!["queue/t-1/x".into()], vec!["exchange/t-1/x".into()], 3));
}

#[tokio::test]
async fn two_that_clear_the_same_namespace_take_turns() {
    let world = world_at_its_end().await;
    let (caller, before) = (Caller::of_loop("tests"), left(&world).await);
    let ended = world.namespaces.end(&world.name(), &caller, Which::Over).await.unwrap().unwrap();
    let resources = world.namespaces.resources().await.unwrap();
    let turn = world.namespaces.clearing.take(&[world.name()]).await;
    assert!(world.namespaces.clear(&ended, &resources, &caller).now_or_never().is_none());
    assert_eq!(left(&world).await.0, before.0, "nothing is deleted out of turn");
    drop(turn);
    world.namespaces.clear(&ended, &resources, &caller).await.unwrap();
    assert_eq!(world.namespaces.count().unwrap(), 0);
}

#[tokio::test]
async fn a_user_of_somebody_else_outlives_the_end_of_a_namespace_whatever_fails_meanwhile() {
    for answers in 0..16 {
        let world = World::new();
        world.claim_until(world.clock.now()).await.unwrap();
        let claim = Claim { expires: Some(world.clock.now()), ..Claim::default() };
        let other = world.namespaces.parse("t-b").unwrap();
        world.broker.go_away();
        world.namespaces.claim(&Caller::local("tests", "r"), &other, claim).await.unwrap_err();
        world.broker.come_back();
        let (name, theirs) = (AccountName::parse("t-b-1").unwrap(), Secret::new("theirs"));
        let login = crate::ports::broker::Login::Hash(crate::ports::broker::PasswordHash::of(&theirs));
        let wish = crate::ports::broker::UserWish { name: &name, login, tags: &[], permissions: &[] };
        world.broker.put_user(&wish).await.unwrap();

        world.clock.advance(2 * HOUR);
        world.broker.fail_after(answers);
        _ = world.namespaces.expire_over().await;
        world.broker.come_back();
        for _ in 0..3 {
            _ = world.namespaces.expire_over().await;
        }
        assert!(world.broker.can_login("t-b-1", &theirs), "{answers}");
        assert_eq!(world.namespaces.count().unwrap(), 0, "{answers}");
    }
}
