//! What every implementation promises of queues, exchanges and bindings.

use keylender::ports::broker::{Binding, Depth, Destination};

use super::{ODD_NAMES, World};

pub async fn odd_names_of_queues_and_exchanges_come_back_as_they_were(world: &dyn World) {
    let (broker, vhost) = (world.broker(), world.vhost());
    for name in ODD_NAMES {
        world.declare_queue(name).await;
        world.declare_exchange(name).await;
        assert_eq!(broker.queue(vhost, name).await.unwrap().unwrap().name, name);
        let listed = broker.queues(vhost).await.unwrap();
        assert_eq!(
            listed.iter().map(|queue| (queue.name.as_str(), queue.messages)).collect::<Vec<_>>(),
            [(name, Some(0))]
        );
        assert!(broker.exchanges(vhost).await.unwrap().iter().any(|exchange| exchange.name == name));
        assert_eq!(broker.depth(vhost, name).await.unwrap(), Some(Depth { ready: 0, consumers: 0 }), "{name}");
        assert!(broker.purge_queue(vhost, name).await.unwrap(), "{name}");
        assert!(broker.delete_queue(vhost, name).await.unwrap(), "{name}");
        assert!(broker.delete_exchange(vhost, name).await.unwrap(), "{name}");
        assert_eq!(broker.queue(vhost, name).await.unwrap(), None);
        assert!(!broker.exchanges(vhost).await.unwrap().iter().any(|exchange| exchange.name == name));
    }
}

pub async fn bindings_are_told_until_one_of_their_ends_is_gone(world: &dyn World) {
    let (broker, vhost) = (world.broker(), world.vhost());
    world.declare_queue("q").await;
    world.declare_exchange("x").await;
    world.declare_exchange("y").await;
    assert_eq!(broker.bindings(vhost).await.unwrap(), [], "that of the default exchange to the queue is left out");
    let binding = |source: &str, destination: &Destination, routing_key: &str| Binding {
        source: source.to_owned(),
        destination: destination.clone(),
        routing_key: routing_key.to_owned(),
    };
    let (queue, exchange) = (Destination::Queue("q".into()), Destination::Exchange("y".into()));
    let keys = ["", "#", "a.*.<b>&'\"/%2F", "\u{202e}ключ 鍵"];
    let mut all: Vec<Binding> = keys.iter().map(|key| binding("x", &queue, key)).collect();
    all.extend([binding("x", &exchange, "a.#"), binding("y", &queue, "#")]);
    for each in all.iter().chain(&all[..1]) {
        world.bind(each).await;
    }
    all.sort();
    let told = async || {
        let mut told = broker.bindings(vhost).await.unwrap();
        told.sort();
        told
    };
    assert_eq!(told().await, all, "each once, and as it was made");

    assert!(broker.delete_exchange(vhost, "y").await.unwrap());
    all.retain(|each| each.source == "x" && each.destination == queue);
    assert_eq!(told().await, all, "neither from nor to an exchange that is gone");
    assert!(broker.delete_queue(vhost, "q").await.unwrap());
    assert_eq!(told().await, []);
}

pub async fn a_queue_without_copies_is_on_one_node_which_runs(world: &dyn World) {
    let (broker, vhost) = (world.broker(), world.vhost());
    world.declare_queue("q").await;
    let (nodes, places) = (broker.nodes().await.unwrap(), broker.places(vhost).await.unwrap());
    let [place] = &places[..] else { panic!("{places:?}") };
    assert_eq!((place.name.as_str(), place.is_replicated, place.judge(&nodes)), ("q", false, None));
    let leader = place.leader.clone().unwrap();
    assert!(nodes.iter().any(|node| node.name == leader && node.is_running && !node.is_drained), "{nodes:?}");
}
