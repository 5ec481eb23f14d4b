//! The cluster that a relay is on: what is told of its nodes and of the copies of its queues, and the alarms.

use keylender::ports::broker::{Place, Queue};
use serde_json::{Value, json};

use std::time::Duration;

use crate::relay::{apply, vhost, world};
use crate::world::World;

/// A pass a minute later.
async fn reconcile(world: &World) -> Result<String, keylender::base::Error> {
    world.clock.advance(Duration::from_secs(60));
    crate::relay::reconcile(world).await
}

const QUORUM: &str = "name = 'r'\n[[vhost]]\nname = 'v'\nqueue = [{ name = 'orders', type = 'quorum' }]\n";

fn on(world: &World, name: &str, members: &[&str], online: &[&str]) {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    world.broker.put_queue(&vhost("v"), Queue { name: name.into(), ..Queue::default() });
    world.broker.put_place(
        &vhost("v"),
        Place {
            name: name.into(),
            kind: Some("quorum".into()),
            state: Some("running".into()),
            leader: members.first().map(|first| (*first).to_owned()),
            members: names(members),
            online: names(online),
            is_replicated: true,
        },
    );
}

async fn alarms(world: &World) -> Vec<String> {
    let alarms = world.operate("GET", "/alarms", None).await;
    let alarms = alarms["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alarm| format!("{} {}: {}", alarm["grade"], alarm["alarm"], alarm["text"]).replace('"', ""));
    alarms.filter(|alarm| alarm.contains("relay")).collect()
}

#[tokio::test]
async fn a_queue_without_its_copies_is_an_alarm_when_it_is_so_for_two_looks() {
    let world = world(QUORUM).await;
    apply(&world).await;
    let [here, b, c] = ["memory@localhost", "memory@b", "memory@c"];
    world.broker.put_node(b, true);
    world.broker.put_node(c, true);
    on(&world, "orders", &[here, b, c], &[here, b, c]);
    reconcile(&world).await.unwrap();
    assert_eq!(alarms(&world).await, Vec::<String>::new());

    on(&world, "orders", &[here, b, c], &[here, b]);
    world.broker.put_node(c, false);
    reconcile(&world).await.unwrap();
    let node = "warning relay nodes: Nodes of the broker do not run: memory@c";
    assert_eq!(alarms(&world).await, [node], "a queue may be about to elect another leader");
    let report = reconcile(&world).await.unwrap();
    assert!(report.contains("1 queue of the relay may be lost with a node: orders in v"), "{report}");
    let copies =
        "warning relay copies: 1 queue of the relay may be lost with a node: orders in v (no copy in step on memory@c)";
    let mut both = alarms(&world).await;
    both.sort();
    assert_eq!(both, [copies, node]);

    let cluster = world.operate("GET", "/relay/cluster", None).await;
    assert_eq!((&cluster["nodes"][2]["node"], &cluster["nodes"][2]["running"]), (&json!(c), &json!(false)));
    let queue = &cluster["queues"][0];
    assert_eq!((&queue["leader"], &queue["online"]), (&json!(here), &json!([here, b])));
    assert_eq!(queue["trouble"], "no copy in step on memory@c");

    world.broker.put_node(b, false);
    let report = reconcile(&world).await.unwrap();
    assert!(!report.contains("cannot be used"), "it may elect another leader: {report}");
    crate::relay::reconcile(&world).await.unwrap();
    assert!(!alarms(&world).await.concat().contains("relay queues"), "a pass that comes at once is no second look");
    reconcile(&world).await.unwrap();
    let alarm = alarms(&world).await.remove(0);
    assert!(alarm.starts_with("problem relay queues: 1 queue of the relay cannot be used: orders in v"), "{alarm}");
    assert!(alarm.contains("only 1 of its 3 copies can be reached"), "{alarm}");

    world.broker.put_node(b, true);
    world.broker.put_node(c, true);
    on(&world, "orders", &[here, b, c], &[here, b, c]);
    assert_eq!(reconcile(&world).await.unwrap(), "");
    assert_eq!(alarms(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_the_broker_does_not_say_of_queues_keeps_nobody_from_hearing_of_nodes() {
    let world = world(QUORUM).await;
    apply(&world).await;
    world.broker.put_node("memory@b", false);
    world.broker.refuse("GET queues v with nodes");
    let report = reconcile(&world).await.unwrap();
    assert!(report.contains("does not list the queues of v") && report.contains("do not run: memory@b"), "{report}");
}

#[tokio::test]
async fn of_a_single_node_only_the_page_asks_for_its_queues() {
    let world = world(QUORUM).await;
    apply(&world).await;
    on(&world, "orders", &["memory@localhost"], &["memory@localhost"]);
    world.broker.forget_calls();
    reconcile(&world).await.unwrap();
    assert!(!world.broker.calls().iter().any(|call| call.contains("with nodes")), "{:?}", world.broker.calls());
    let cluster = world.operate("GET", "/relay/cluster", None).await;
    assert_eq!((&cluster["queues"][0]["trouble"], &cluster["troubles"]), (&Value::Null, &json!([])));
}
