//! `VERIFY_LOGINS`: a password is handed out only after a login with it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::appliance::Appliance;
use crate::node::node;
use crate::servers::silent;

const NAMESPACE: &str = "taskcluster-a";

async fn verifying(name: &str, amqp_port: u16) -> Appliance {
    Appliance::with(name, |settings| {
        settings.verify_logins = true;
        settings.namespaces.amqp.port = amqp_port;
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proven_password_is_lent() {
    let appliance = verifying("proof.works", node().amqp_port).await;
    let lent = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&lent).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_the_broker_refuses_is_not_lent_until_it_works() {
    let appliance = verifying("proof.refused", node().amqp_port).await;
    node().admin("PUT", "vhost-limits/proof.refused/max-connections", json!({"value": 0})).await;
    appliance.refused(NAMESPACE).await;
    assert!(appliance.audited("namespace.claim", "done").is_empty());
    assert_eq!(appliance.failures().len(), 1);
    let done = appliance.running.appliance.accounts.reconcile().await.unwrap();
    assert_eq!(done.failed, 1, "the second user, which nobody logs in as, is settled");

    node().admin("DELETE", "vhost-limits/proof.refused/max-connections", json!({})).await;
    let lent = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&lent).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lent_while_the_amqp_port_is_wrong() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let appliance = verifying("proof.port", unused).await;
    appliance.refused(NAMESPACE).await;
    let appliance = appliance.restart(|settings| settings.namespaces.amqp.port = node().amqp_port).await;
    let lent = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&lent).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amqp_port_that_never_answers_is_given_up() {
    let appliance = verifying("proof.silent", silent().await.port()).await;
    let begun = Instant::now();
    appliance.refused(NAMESPACE).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
