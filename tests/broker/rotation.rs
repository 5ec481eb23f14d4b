//! Rotation on a real broker: who holds the old password works on, who asks gets the new one.

use std::time::Duration;

use keylender::domain::namespaces::Rotated;

use crate::appliance::Appliance;
use crate::lent::{Client, names, settled};
use crate::real::eventually;
use crate::servers::{Fate, Gate};

const NAMESPACE: &str = "taskcluster-a";
const HOUR: Duration = Duration::from_secs(3600);

async fn rotate(appliance: &Appliance) -> Rotated {
    appliance.running.appliance.namespaces.rotate_due().await.unwrap()
}

/// Whether the client is still connected and a message of its own comes back to it.
async fn works_on(client: &Client) -> bool {
    let (queue, exchange) = names(NAMESPACE);
    client.publish(&exchange, "key").await.unwrap();
    eventually(async || client.take(&queue).await.unwrap()).await;
    client.0.status().connected()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_connections_survive_rotations_and_the_old_password_works_until_its_promise_ends() {
    let appliance = Appliance::by_hand("rotation.survive", |_| {}).await;
    let first = appliance.lent(NAMESPACE).await;
    let old = settled(&first, NAMESPACE).await;
    let (queue, exchange) = names(NAMESPACE);
    old.bind(&queue, &exchange).await.unwrap();
    assert_eq!(rotate(&appliance).await, Rotated::default(), "it is not time");

    appliance.clock.advance(HOUR);
    assert_eq!(rotate(&appliance).await, Rotated { rotated: 1, waiting: 0, failed: 0 });
    let second = appliance.lent(NAMESPACE).await;
    assert_eq!(second.user, appliance.user(NAMESPACE, 2));
    assert!(appliance.works(&first).await && appliance.works(&second).await);
    let new = Client::new(&second).await;
    assert!(works_on(&old).await && works_on(&new).await);

    appliance.clock.advance(HOUR);
    assert_eq!(rotate(&appliance).await.rotated, 1);
    let third = appliance.lent(NAMESPACE).await;
    assert_eq!(third.user, first.user);
    assert!(!appliance.works(&first).await, "its promise has ended");
    assert!(appliance.works(&second).await && appliance.works(&third).await);
    assert!(works_on(&old).await && works_on(&new).await);
    let (users, permissions) = appliance.at_the_broker().await;
    assert_eq!((users.len(), permissions.len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_in_an_outage_leaves_the_active_password_in_force_and_is_finished_by_the_next_pass() {
    let gate = Gate::start().await;
    let appliance = Appliance::by_hand("rotation.outage", |settings| {
        let url = format!("http://{}/api", gate.address);
        settings.broker.as_mut().unwrap().base_url = url.parse().unwrap();
    })
    .await;
    let mut active = appliance.lent(NAMESPACE).await;
    for fate in [Fate::Lost, Fate::Unanswered] {
        appliance.clock.advance(2 * HOUR);
        let sent = fate.clone();
        gate.decide(move |_| sent.clone());
        assert_eq!(rotate(&appliance).await, Rotated { rotated: 0, waiting: 0, failed: 1 });
        let during = appliance.lent(NAMESPACE).await;
        assert_eq!((&during.user, &during.password), (&active.user, &active.password), "{fate:?}");
        assert!(appliance.works(&during).await);

        gate.decide(|_| Fate::Passes);
        assert_eq!(rotate(&appliance).await, Rotated { rotated: 1, waiting: 0, failed: 0 });
        let next = appliance.lent(NAMESPACE).await;
        assert_ne!(next.user, during.user, "{fate:?}");
        assert!(appliance.works(&during).await && appliance.works(&next).await);
        active = next;
    }
    assert_eq!(appliance.audited("namespace.rotate", "done").len(), 2);
}
