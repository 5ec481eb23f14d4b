//! The broker goes away in the middle of a claim: nothing is handed out, and later one password that works.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use keylender::base::Secret;
use keylender::ports::broker::{Access, Login, PasswordHash, UserWish, Users};
use serde_json::Value;

use crate::appliance::Appliance;
use crate::node::node;
use crate::real::eventually;
use crate::servers::{Fate, Gate};

const NAMESPACE: &str = "taskcluster-a";

/// An appliance that reaches the management API through a gate.
async fn behind(gate: &Gate, name: &str) -> Appliance {
    let url = format!("http://{}/api", gate.address).parse().unwrap();
    Appliance::with(name, |settings| settings.broker.as_mut().unwrap().base_url = url).await
}

/// The passwords that were lent, as the audit log knows them.
fn lent_secrets(appliance: &Appliance) -> Vec<Value> {
    let mut secrets: Vec<Value> =
        appliance.audited("namespace.claim", "done").iter().map(|entry| entry["secrets"].clone()).collect();
    secrets.dedup();
    secrets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_in_an_outage_lends_nothing_and_the_next_one_completes_it() {
    let gate = Gate::start().await;
    let appliance = behind(&gate, "outage.next").await;
    gate.decide(|_| Fate::Lost);
    appliance.refused(NAMESPACE).await;
    assert_eq!(appliance.audited("namespace.create", "done").len(), 1);
    assert_eq!(appliance.failures().len(), 1);
    assert!(lent_secrets(&appliance).is_empty());

    gate.decide(|_| Fate::Passes);
    let lent = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&lent).await);
    assert_eq!(appliance.lent(NAMESPACE).await, lent);
    assert_eq!(lent_secrets(&appliance).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_in_an_outage_is_completed_by_reconciling() {
    let gate = Gate::start().await;
    let appliance = behind(&gate, "outage.reconcile").await;
    gate.decide(|_| Fate::Lost);
    appliance.refused(NAMESPACE).await;
    assert!(appliance.running.appliance.accounts.reconcile().await.is_err());

    gate.decide(|_| Fate::Passes);
    let done = appliance.running.appliance.accounts.reconcile().await.unwrap();
    assert_eq!((done.seen, done.drifted, done.failed), (2, 0, 0));
    assert_eq!(appliance.audited("account.settle", "done").len(), 2);
    gate.decide(|_| Fate::Lost);
    let lent = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&lent).await);
    assert_eq!(lent_secrets(&appliance).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loop_completes_what_an_outage_and_a_restart_left() {
    let gate = Gate::start().await;
    let appliance = behind(&gate, "outage.restart").await;
    gate.decide(|_| Fate::Lost);
    appliance.refused(NAMESPACE).await;
    let period = Duration::from_millis(100);
    let appliance = appliance.restart(|settings| settings.reconcile_period = period).await;
    appliance.refused(NAMESPACE).await;

    gate.decide(|_| Fate::Passes);
    eventually(async || (appliance.audited("account.settle", "done").len() == 2).then_some(())).await;
    gate.decide(|_| Fate::Lost);
    let lent = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&lent).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_hangs_is_given_up_and_nothing_is_lent() {
    let gate = Gate::start().await;
    let appliance = behind(&gate, "outage.hangs").await;
    gate.decide(|_| Fate::Hangs);
    let begun = Instant::now();
    appliance.refused(NAMESPACE).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());

    gate.decide(|_| Fate::Passes);
    let lent = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&lent).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_a_broker_that_hangs_is_answered_in_time() {
    let gate = Gate::start().await;
    let appliance = behind(&gate, "outage.crowd").await;
    gate.decide(|_| Fate::Hangs);
    let begun = Instant::now();
    let names: Vec<String> = (0..64).map(|n| format!("taskcluster-{}", n / 4)).collect();
    join_all(names.iter().map(|name| appliance.refused(name))).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_whose_making_was_never_answered_is_lent_with_the_password_it_has() {
    let gate = Gate::start().await;
    let appliance = behind(&gate, "outage.unanswered").await;
    gate.decide(|request| if request.starts_with("PUT /api/users/") { Fate::Unanswered } else { Fate::Passes });
    appliance.refused(NAMESPACE).await;
    assert_eq!(appliance.at_the_broker().await.0.len(), 2, "the broker made both users");

    gate.decide(|_| Fate::Passes);
    let lent = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&lent).await);
    assert_eq!(lent_secrets(&appliance).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_got_its_login_and_not_its_permissions_heals() {
    let gate = Gate::start().await;
    let appliance = behind(&gate, "outage.half").await;
    // An earlier try of ours made it, and it has other rights since: only a new user gets its permissions with its login.
    gate.decide(|request| if request.starts_with("PUT /api/users/") { Fate::Unanswered } else { Fate::Passes });
    appliance.refused(NAMESPACE).await;
    let (name, vhost) = (appliance.user(NAMESPACE, 1), appliance.vhost.clone());
    let before = Secret::generate();
    let login = Login::Hash(PasswordHash::of(&before));
    let permissions = [(vhost, Access::default())];
    let tags = appliance.settings.namespaces.user_tags.clone();
    let wish = UserWish { name: &name, login, tags: &tags, permissions: &permissions };
    node().broker().put_user(&wish).await.unwrap();
    gate.decide(|request| if request.starts_with("PUT /api/permissions/") { Fate::Lost } else { Fate::Passes });
    appliance.refused(NAMESPACE).await;
    assert!(!appliance.can_login(&name, &before).await, "half of it was done");
    let (_, permissions) = appliance.at_the_broker().await;
    assert!(permissions.iter().any(|permission| permission.access == Access::default()), "{permissions:?}");

    gate.decide(|_| Fate::Passes);
    let done = appliance.running.appliance.accounts.reconcile().await.unwrap();
    assert_eq!((done.seen, done.failed), (2, 0));
    let lent = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&lent).await);
    let (_, permissions) = appliance.at_the_broker().await;
    assert_eq!(permissions[0].access, permissions[1].access);
}
