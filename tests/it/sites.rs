//! A second broker has the users of every namespace, too. The main one decides what is lent: nobody waits for the other.

use std::time::Duration;

use keylender::base::{AccountName, NamespaceName, Secret, VhostName};
use keylender::domain::auth::Caller;
use keylender::ports::broker::{Access, Exchange, MemoryBroker, Queue, Topology, Users};
use serde_json::json;

use crate::sign::Client;
use crate::wire::Answer;
use crate::world::{NAMESPACE, World};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn world() -> (World, Client, MemoryBroker) {
    let (mut world, eu) = (World::start().await, MemoryBroker::default());
    world.restart_with(Some(eu.clone())).await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
    (world, client, eu)
}

fn vhost() -> VhostName {
    VhostName::parse("/eu").unwrap()
}

/// The user and the password of a claim.
fn login(claimed: &Answer) -> (String, Secret) {
    assert_eq!(claimed.status, 200, "{}", claimed.text());
    let text = claimed.json()["connectionString"].as_str().unwrap().to_owned();
    let (user, rest) = text.strip_prefix("amqp://").unwrap().split_once(':').unwrap();
    (user.to_owned(), Secret::new(rest.split_once('@').unwrap().0))
}

fn may_enter(broker: &MemoryBroker, world: &World, (user, password): &(String, Secret)) -> bool {
    broker.connect(user, password, &vhost(), world.clock.now()).is_some()
}

/// Runs a loop. Whether it did all of it is another matter.
async fn run(world: &World, name: &str) -> Result<String, String> {
    world.appliance().loops.run(name).await.map_err(|error| error.message().to_owned())
}

#[tokio::test]
async fn a_claim_is_told_to_every_broker_with_one_password() {
    let (mut world, client, eu) = world().await;
    let login = login(&world.claim(&client, NAMESPACE, "{}").await);
    // By itself, and at once: no clock is moved and no loop is asked.
    let told = async {
        while !may_enter(&eu, &world, &login) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), told).await.expect("it is told");
    assert!(world.broker.can_login(&login.0, &login.1));
    run(&world, "reconcile").await.unwrap();
    let shown = world.operate("GET", "/namespaces/taskcluster-foo", None).await;
    assert_eq!(shown["accounts"][0]["sites"], json!({ "eu": true, "main": true }));
    assert_eq!(eu.users().await.unwrap().len(), 3, "two users beside the administrator");

    eu.forget_calls();
    world.restart().await;
    assert_eq!(run(&world, "reconcile").await.unwrap(), "", "a restart forgets nothing");
    assert!(eu.calls().iter().all(|call| call.starts_with("GET ")), "{:?}", eu.calls());
}

#[tokio::test]
async fn a_further_broker_that_is_away_keeps_nobody_from_claiming_and_has_all_when_it_is_back() {
    let (world, client, eu) = world().await;
    eu.go_away();
    let first = login(&world.claim(&client, NAMESPACE, "{}").await);
    let error = run(&world, "reconcile").await.unwrap_err();
    assert!(error.starts_with("at the broker `eu`: "), "{error}");
    let shown = world.operate("GET", "/namespaces/taskcluster-foo", None).await;
    assert_eq!(shown["accounts"][0]["sites"], json!({ "eu": false, "main": true }));
    assert_eq!(shown["accounts"][0]["settled"], false);
    let broker = world.operate("GET", "/broker", None).await;
    assert_eq!((&broker["isWell"], &broker["sites"][0]["site"]), (&json!(true), &json!("eu")));
    assert_eq!(broker["sites"][0]["grade"], "problem");

    world.clock.advance(Duration::from_secs(3600));
    run(&world, "rotate").await.unwrap();
    let second = login(&world.claim(&client, NAMESPACE, "{}").await);
    assert_ne!(first.0, second.0, "the main broker decides of a rotation, too");

    eu.come_back();
    run(&world, "reconcile").await.unwrap();
    assert!(may_enter(&eu, &world, &first) && may_enter(&eu, &world, &second));
    assert_eq!(run(&world, "reconcile").await.unwrap(), "");
    let says = async || world.operate("GET", "/broker", None).await["sites"][0]["health"].to_string();
    assert!(says().await.contains("rabbitmqctl set_permissions -p /eu administrator"), "{}", says().await);
    let all = || ".*".to_owned();
    let access = Access { configure: all(), write: all(), read: all() };
    eu.put_permission(&vhost(), &AccountName::parse("administrator").unwrap(), &access).await.unwrap();
    assert!(says().await.contains("RabbitMQ"), "{}", says().await);
}

#[tokio::test]
async fn without_the_main_broker_nothing_is_lent_that_the_further_one_has() {
    let (world, client, eu) = world().await;
    world.broker.go_away();
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 503);
    assert!(run(&world, "reconcile").await.is_err());
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 503);
    assert_eq!(eu.users().await.unwrap().len(), 3, "each is told for itself");
    world.broker.come_back();
    let login = login(&world.claim(&client, NAMESPACE, "{}").await);
    assert!(may_enter(&eu, &world, &login));
}

#[tokio::test]
async fn what_is_changed_on_one_broker_is_put_back_there_and_only_there() {
    let (world, client, eu) = world().await;
    let login = login(&world.claim(&client, NAMESPACE, "{}").await);
    run(&world, "reconcile").await.unwrap();
    world.broker.forget_calls();
    eu.wipe();
    run(&world, "reconcile").await.unwrap();
    assert!(may_enter(&eu, &world, &login));
    assert!(world.broker.calls().iter().all(|call| call.starts_with("GET ")), "{:?}", world.broker.calls());
    let drifts = world.audited("account.drift").await;
    assert_eq!(drifts.len(), 2);
    assert_eq!(drifts[0]["details"]["what"], "at the broker `eu`: the user is gone");
    assert_eq!(drifts[0]["object"], "taskcluster-foo-1");

    let name = AccountName::parse("taskcluster-foo-1").unwrap();
    eu.put_permission(&VhostName::parse("/").unwrap(), &name, &Default::default()).await.unwrap();
    let plan = world.appliance().loops.plan("reconcile").await.unwrap();
    assert_eq!(plan, "put taskcluster-foo-1 right: at the broker `eu`: it may enter the vhost /");
    run(&world, "reconcile").await.unwrap();
    assert_eq!(eu.permissions().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_namespace_ends_on_every_broker_and_waits_for_the_one_that_is_away() {
    let (world, client, eu) = world().await;
    world.claim(&client, NAMESPACE, "{}").await;
    run(&world, "reconcile").await.unwrap();
    let queue = |name: &str| Queue { name: name.into(), ..Queue::default() };
    eu.put_queue(&vhost(), queue("queue/taskcluster-foo/x"));
    eu.put_queue(&vhost(), queue("queue/other/x"));
    eu.put_exchange(&vhost(), Exchange { name: "exchange/taskcluster-foo/x".into(), ..Exchange::default() });
    world.clock.advance(DAY);
    eu.go_away();
    let error = run(&world, "expire").await.unwrap_err();
    assert!(error.contains("1 could not be: at the broker `eu`: "), "{error}");
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 503, "its queues are there still");
    assert_eq!(world.broker.users().await.unwrap().len(), 1, "what can be ended has ended");

    eu.come_back();
    run(&world, "expire").await.unwrap();
    assert_eq!(eu.users().await.unwrap().len(), 1);
    assert_eq!(eu.queues(&vhost()).await.unwrap().len(), 1);
    assert!(eu.exchanges(&vhost()).await.unwrap().iter().all(|each| !each.name.contains("taskcluster-foo")));
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
}

#[tokio::test]
async fn what_is_revoked_ends_on_every_broker_that_answers() {
    let (world, client, eu) = world().await;
    let login = login(&world.claim(&client, NAMESPACE, "{}").await);
    run(&world, "reconcile").await.unwrap();
    assert!(may_enter(&eu, &world, &login), "somebody is connected");
    world.broker.go_away();
    let name = NamespaceName::parse(NAMESPACE).unwrap();
    let revoked = world.appliance().namespaces.revoke(&name, &Caller::local("tests", "r")).await;
    assert!(revoked.is_err(), "the main one could not be told");
    assert_eq!(eu.closed().len(), 1, "the connection has ended");
    assert!(!may_enter(&eu, &world, &login));
}

#[tokio::test]
async fn a_broker_that_is_taken_out_of_the_settings_keeps_its_users_and_is_told() {
    let (mut world, client, eu) = world().await;
    let login = login(&world.claim(&client, NAMESPACE, "{}").await);
    run(&world, "reconcile").await.unwrap();
    world.restart_with(None).await;
    let findings = world.operate("GET", "/doctor", None).await.to_string();
    assert!(findings.contains("`eu` is not in RABBIT_SITES_FILE any more: up to 2 users"), "{findings}");
    world.clock.advance(DAY);
    run(&world, "expire").await.unwrap();
    assert!(may_enter(&eu, &world, &login), "nobody changes that broker now");
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
}

#[tokio::test]
async fn what_waits_for_a_broker_that_is_gone_for_good_ends_when_it_is_taken_out_of_the_settings() {
    let (mut world, client, eu) = world().await;
    world.claim(&client, NAMESPACE, "{}").await;
    run(&world, "reconcile").await.unwrap();
    world.clock.advance(DAY);
    eu.go_away();
    assert!(run(&world, "expire").await.is_err());
    world.restart_with(None).await;
    // By itself, after the start, or now.
    let _ = run(&world, "expire").await;
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
}
