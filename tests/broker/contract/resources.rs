//! What every implementation promises of what is declared in a vhost.

use std::collections::BTreeSet;

use keylender::base::{Kind, VhostName};
use keylender::ports::broker::{
    Arguments, Binding, DeclaredBinding, DeclaredExchange, DeclaredQueue, DeclaredVhost, Destination, Key, Limit,
    Policy, Resource,
};
use serde_json::{Value, json};

use super::World;

fn arguments(value: Value) -> Arguments {
    Arguments::new(value.as_object().unwrap().clone())
}

fn exchange(name: &str, kind: &str, some: Value) -> Resource {
    let (name, kind, arguments) = (name.to_owned(), kind.to_owned(), arguments(some));
    Resource::Exchange(DeclaredExchange { name, kind, durable: true, auto_delete: false, internal: false, arguments })
}

fn queue(name: &str, kind: &str, some: Value) -> Resource {
    let (name, kind, arguments) = (name.to_owned(), kind.to_owned(), arguments(some));
    Resource::Queue(DeclaredQueue { name, kind, durable: true, auto_delete: false, arguments })
}

fn binding(source: &str, destination: Destination, key: &str, some: Value) -> Resource {
    let binding = Binding { source: source.to_owned(), destination, routing_key: key.to_owned() };
    Resource::Binding(DeclaredBinding { binding, arguments: arguments(some) })
}

fn policy(name: &str, priority: i64, definition: Value) -> Policy {
    let definition = arguments(definition);
    Policy { name: name.to_owned(), pattern: "^a\\.b/".to_owned(), apply_to: "queues".to_owned(), priority, definition }
}

/// Everything that can be declared, with names that a URL could take for its own, in an order in which it can be put.
fn table() -> Vec<Resource> {
    let (odd, to_odd) = ("a/b %2F+grün?#", Destination::Queue("a/b %2F+grün?#".to_owned()));
    vec![
        Resource::Vhost(DeclaredVhost::default()),
        exchange("x", "topic", json!({})),
        exchange(odd, "headers", json!({"alternate-exchange": "x", "x-note": {"b": [1, 2.5, true], "a": "1"}})),
        Resource::Exchange(DeclaredExchange {
            name: "inner".to_owned(),
            kind: "fanout".to_owned(),
            durable: true,
            auto_delete: false,
            internal: true,
            arguments: Arguments::default(),
        }),
        Resource::Exchange(DeclaredExchange {
            name: "fleeting".to_owned(),
            kind: "direct".to_owned(),
            durable: false,
            auto_delete: true,
            internal: false,
            arguments: Arguments::default(),
        }),
        queue("q", "classic", json!({})),
        queue(odd, "classic", json!({"x-max-length": 10, "x-expires": 9_000_000, "x-dead-letter-exchange": "x"})),
        queue("quorum", "quorum", json!({"x-delivery-limit": 5})),
        binding("x", Destination::Queue("q".to_owned()), "", json!({})),
        binding("x", to_odd.clone(), "a.*.<b>&'\"/%2F", json!({})),
        binding("x", to_odd.clone(), "a+b %", json!({"n": "1"})),
        // With arguments as well RabbitMQ 3.10 would fail whenever it is asked for a key with a `~` inside.
        binding("x", to_odd.clone(), "~a~b+", json!({})),
        binding("x", Destination::Exchange("inner".to_owned()), "#", json!({})),
        binding("amq.topic", Destination::Queue("q".to_owned()), "k", json!({})),
        binding(odd, to_odd.clone(), "", json!({"x-match": "all", "n": 1})),
        binding(odd, to_odd.clone(), "", json!({"x-match": "all", "n": 2})),
        binding(odd, to_odd, "", json!({})),
        Resource::Policy(policy(odd, 3, json!({"max-length": 10, "message-ttl": 5}))),
        Resource::Policy(policy("same", -1, json!({"expires": 1000}))),
        Resource::OperatorPolicy(policy("same", 0, json!({"max-length": 100}))),
        Resource::Limit(Limit { name: "max-queues".to_owned(), value: 50 }),
        Resource::Limit(Limit { name: "max-connections".to_owned(), value: -1 }),
    ]
}

pub async fn what_is_declared_is_told_exactly_until_it_is_removed(world: &dyn World) {
    let (broker, vhost) = (world.broker(), world.vhost());
    assert_eq!(
        broker.resources(vhost).await.unwrap(),
        BTreeSet::from([Resource::Vhost(DeclaredVhost::default())]),
        "without what it brings along"
    );
    let all = table();
    for (count, resource) in all.iter().enumerate() {
        broker.put_resource(vhost, resource).await.unwrap_or_else(|error| panic!("{resource:?}: {}", error.chain()));
        broker.put_resource(vhost, resource).await.unwrap();
        assert_eq!(broker.resources(vhost).await.unwrap(), all[..=count].iter().cloned().collect(), "{resource:?}");
    }
    let queues = broker.queues(vhost).await.unwrap();
    assert_eq!(queues.len(), 3);
    for count in (1..all.len()).rev() {
        assert!(broker.remove_resource(vhost, &all[count].key()).await.unwrap(), "{:?}", all[count]);
        assert!(!broker.remove_resource(vhost, &all[count].key()).await.unwrap(), "{:?}", all[count]);
        let left: BTreeSet<Resource> = all[..count].iter().cloned().collect();
        assert_eq!(broker.resources(vhost).await.unwrap(), left, "{:?}", all[count]);
    }
}

pub async fn what_is_there_otherwise_is_a_conflict_and_what_has_a_key_is_replaced(world: &dyn World) {
    let (broker, vhost) = (world.broker(), world.vhost());
    for resource in [queue("q", "classic", json!({})), exchange("x", "topic", json!({}))] {
        broker.put_resource(vhost, &resource).await.unwrap();
    }
    for other in [queue("q", "classic", json!({"x-max-length": 1})), exchange("x", "direct", json!({}))] {
        assert_eq!(broker.put_resource(vhost, &other).await.unwrap_err().kind(), Kind::Conflict, "{other:?}");
    }
    for (before, after) in [
        (
            Resource::Policy(policy("p", 1, json!({"max-length": 1}))),
            Resource::Policy(policy("p", 2, json!({"expires": 9}))),
        ),
        (
            Resource::Limit(Limit { name: "max-queues".to_owned(), value: 5 }),
            Resource::Limit(Limit { name: "max-queues".to_owned(), value: 6 }),
        ),
    ] {
        broker.put_resource(vhost, &before).await.unwrap();
        broker.put_resource(vhost, &after).await.unwrap();
        let told = broker.resources(vhost).await.unwrap();
        assert!(told.contains(&after) && !told.contains(&before), "{told:?}");
    }
    let nowhere = binding("x", Destination::Queue("missing".to_owned()), "", json!({}));
    assert_eq!(broker.put_resource(vhost, &nowhere).await.unwrap_err().kind(), Kind::NotFound);
    assert!(!broker.remove_resource(vhost, &nowhere.key()).await.unwrap());
}

pub async fn what_is_the_brokers_own_is_left_out_and_refused(world: &dyn World) {
    let (broker, vhost) = (world.broker(), world.vhost());
    for name in ["amq.topic", "amq.mine"] {
        let resource = exchange(name, "topic", json!({}));
        assert_eq!(broker.put_resource(vhost, &resource).await.unwrap_err().kind(), Kind::Forbidden);
        assert_eq!(broker.remove_resource(vhost, &resource.key()).await.unwrap_err().kind(), Kind::Forbidden);
    }
    for name in ["", ".", "..", "a\nb", "a\r"] {
        let resource = queue(name, "classic", json!({}));
        assert_eq!(broker.put_resource(vhost, &resource).await.unwrap_err().kind(), Kind::Invalid, "{name:?}");
        assert_eq!(broker.remove_resource(vhost, &resource.key()).await.unwrap_err().kind(), Kind::Invalid, "{name:?}");
    }
}

pub async fn a_vhost_comes_and_goes_with_all_that_is_in_it(world: &dyn World) {
    let broker = world.broker();
    let vhost = VhostName::parse(&format!("{}/%2F é", world.vhost())).unwrap();
    assert_eq!(broker.resources(&vhost).await.unwrap_err().kind(), Kind::NotFound, "it is not read as empty");
    for resource in table().into_iter().skip(1).filter(|it| !matches!(it, Resource::Binding(_))) {
        assert_eq!(broker.put_resource(&vhost, &resource).await.unwrap_err().kind(), Kind::NotFound, "{resource:?}");
        assert!(!broker.remove_resource(&vhost, &resource.key()).await.unwrap(), "{resource:?}");
    }
    for resource in table() {
        broker.put_resource(&vhost, &resource).await.unwrap();
    }
    assert_eq!(broker.resources(&vhost).await.unwrap().len(), table().len());
    assert!(broker.remove_resource(&vhost, &Key::Vhost).await.unwrap());
    assert!(!broker.remove_resource(&vhost, &Key::Vhost).await.unwrap());
    assert_eq!(broker.resources(&vhost).await.unwrap_err().kind(), Kind::NotFound);
}

pub async fn a_vhost_is_made_with_the_type_of_its_queues_and_keeps_it(world: &dyn World) {
    let (broker, vhost) = (world.broker(), VhostName::parse(&format!("{}-quorum", world.vhost())).unwrap());
    let made = Resource::Vhost(DeclaredVhost::of("quorum"));
    broker.put_resource(&vhost, &made).await.unwrap();
    let is_told = world.version().await.has_default_queue_types();
    let expected = if is_told { made } else { Resource::Vhost(DeclaredVhost::default()) };
    broker.put_resource(&vhost, &Resource::Vhost(DeclaredVhost::of("stream"))).await.unwrap();
    assert_eq!(broker.resources(&vhost).await.unwrap(), BTreeSet::from([expected]));
    assert!(broker.remove_resource(&vhost, &Key::Vhost).await.unwrap());
}
