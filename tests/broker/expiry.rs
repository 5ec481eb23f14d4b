//! Expiry on a real broker: with live connections, full queues, outages in the middle, and claims meanwhile.

use std::time::Duration;

use keylender::domain::namespaces::Expired;
use keylender::ports::broker::Topology;
use lapin::options::QueueDeclareOptions;
use serde_json::json;

use crate::appliance::Appliance;
use crate::lent::{Client, names, none, settled};
use crate::node::{encoded, node};
use crate::real::eventually;
use crate::servers::{Fate, Gate};

const HOUR: Duration = Duration::from_secs(3600);

async fn expire(appliance: &Appliance) -> Expired {
    appliance.running.appliance.namespaces.expire_over().await.unwrap()
}

/// Queues and exchanges in the vhost of the story, without those that the broker brings along.
async fn things(appliance: &Appliance) -> Vec<String> {
    let (broker, vhost) = (node().broker(), &appliance.vhost);
    let queues = broker.queues(vhost).await.unwrap().into_iter().map(|queue| queue.name);
    let exchanges = broker.exchanges(vhost).await.unwrap().into_iter().map(|exchange| exchange.name);
    let ours = exchanges.filter(|name| !name.is_empty() && !name.starts_with("amq."));
    let mut things: Vec<String> = queues.chain(ours).collect();
    things.sort();
    things
}

/// A client at home in its namespace: a message waits in its queue.
async fn with_a_message(client: &Client, namespace: &str) {
    let (queue, exchange) = names(namespace);
    client.bind(&queue, &exchange).await.unwrap();
    client.publish(&exchange, "key").await.unwrap();
}

/// What the operator of the broker made beside the namespace.
async fn declare(appliance: &Appliance, kind: &str, name: &str) {
    let body = if kind == "queues" { json!({"durable": true}) } else { json!({"durable": true, "type": "topic"}) };
    node().admin("PUT", &format!("{kind}/{}/{}", appliance.vhost, encoded(name)), body).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_takes_users_connections_queues_and_exchanges_and_leaves_the_neighbours() {
    let appliance = Appliance::by_hand("expiry.live", |_| {}).await;
    let (over, lasting) = ("taskcluster-a", "taskcluster-ab");
    let lent = appliance.lent_for_now(over).await;
    let (guest, neighbour) = (settled(&lent, over).await, settled(&appliance.lent(lasting).await, lasting).await);
    with_a_message(&guest, over).await;
    with_a_message(&neighbour, lasting).await;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let channel = guest.channel().await;
    channel.queue_declare("queue/taskcluster-a/mine".into(), options, none()).await.unwrap();
    for (kind, name) in [("queues", "queue/taskcluster-a"), ("queues", "theirs"), ("exchanges", "x/taskcluster-a/x")] {
        declare(&appliance, kind, name).await;
    }
    assert_eq!(expire(&appliance).await, Expired::default(), "the password was promised for longer");
    assert!(guest.0.status().connected());

    appliance.clock.advance(3 * HOUR);
    assert_eq!(expire(&appliance).await, Expired { removed: 1, ..Expired::default() });

    eventually(async || (!guest.0.status().connected()).then_some(())).await;
    assert!(!appliance.works(&lent).await);
    let (queue, exchange) = names(lasting);
    let left = [exchange.as_str(), "queue/taskcluster-a", queue.as_str(), "theirs", "x/taskcluster-a/x"];
    assert_eq!(things(&appliance).await, left);
    assert!(neighbour.0.status().connected());
    assert!(neighbour.take(&queue).await.unwrap().is_some(), "its message is still there");
    let (users, _) = appliance.at_the_broker().await;
    assert_eq!(users.len(), 2, "those of the neighbour");
    assert_eq!(appliance.audited("account.delete", "done").len(), 2);
    assert_eq!(expire(&appliance).await, Expired::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_that_an_outage_breaks_off_is_finished_by_the_next_pass_and_claims_wait_for_it() {
    let gate = Gate::start().await;
    let appliance = Appliance::by_hand("expiry.outage", |settings| {
        let url = format!("http://{}/api", gate.address);
        settings.broker.as_mut().unwrap().base_url = url.parse().unwrap();
    })
    .await;
    let namespace = "taskcluster-a";
    let (queue, exchange) = names(namespace);
    for step in
        ["POST /api/users/bulk-delete", "GET /api/queues/", "DELETE /api/queues/", "GET /api/exch", "DELETE /api/exch"]
    {
        for fate in [Fate::Lost, Fate::Unanswered] {
            appliance.lent_for_now(namespace).await;
            declare(&appliance, "queues", &queue).await;
            declare(&appliance, "exchanges", &exchange).await;
            appliance.clock.advance(3 * HOUR);
            let sent = fate.clone();
            gate.decide(move |request| if request.starts_with(step) { sent.clone() } else { Fate::Passes });
            assert_eq!(expire(&appliance).await.failed, 1, "{step} {fate:?}");
            appliance.refused(namespace).await;

            gate.decide(|_| Fate::Passes);
            appliance.refused(namespace).await;
            assert_eq!(expire(&appliance).await, Expired { removed: 1, ..Expired::default() }, "{step} {fate:?}");
            assert!(things(&appliance).await.is_empty(), "{step} {fate:?}");
            assert!(appliance.at_the_broker().await.0.is_empty(), "{step} {fate:?}");
        }
    }
    let anew = appliance.lent(namespace).await;
    assert!(appliance.works(&anew).await);
}
