//! Revoking on a real broker: passwords end at once, and so do the connections that use them; nobody else's.

use std::time::Duration;

use keylender::app::operate::Operator;
use serde_json::json;

use crate::appliance::Appliance;
use crate::lent::settled;
use crate::real::eventually;

const NAMESPACE: &str = "taskcluster-a";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoking_ends_both_passwords_and_every_connection_of_the_namespace_at_once() {
    let appliance = Appliance::by_hand("revoke.both", |_| {}).await;
    let first = appliance.lent(NAMESPACE).await;
    let old = settled(&first, NAMESPACE).await;
    appliance.clock.advance(Duration::from_secs(3600));
    assert_eq!(appliance.running.appliance.namespaces.rotate_due().await.unwrap().rotated, 1);
    let second = appliance.lent(NAMESPACE).await;
    let new = settled(&second, NAMESPACE).await;
    let other_lent = appliance.lent("taskcluster-b").await;
    let other = settled(&other_lent, "taskcluster-b").await;
    assert!(appliance.works(&first).await && appliance.works(&second).await);

    let input = json!({ "name": NAMESPACE, "reason": "a password in a log", "dryRun": false });
    let operator = Operator::connect(&appliance.settings).unwrap();
    let done = operator.call("POST", "/leases/revoke", Some(input)).await.unwrap();
    assert_eq!(done["failed"], 0, "{done}");

    assert!(!appliance.works(&first).await && !appliance.works(&second).await);
    let is_cut_off = || !old.0.status().connected() && !new.0.status().connected();
    eventually(async || is_cut_off().then_some(())).await;
    assert!(other.0.status().connected() && appliance.works(&other_lent).await);
    let third = appliance.lent(NAMESPACE).await;
    assert!(appliance.works(&third).await, "the next claim gets a new password, and the queues are there");
}
