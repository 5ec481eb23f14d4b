//! Kinds of queues on a real broker: what each tells of itself, and what a limit does to it.

use keylender::base::{Kind, VhostName};
use keylender::ports::broker::{Overflow, Queue, QueueLimit, Version};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde_json::{Value, json};

use crate::contract::World;
use crate::node::{encoded, node};
use crate::real::{RealWorld, eventually};

/// A channel of the administrator, with confirmations.
async fn channel(vhost: &VhostName) -> (Connection, Channel) {
    let (user, password) = (&node().username, node().password.expose());
    let uri = format!("amqp://{user}:{password}@127.0.0.1:{}/{}", node().amqp_port, encoded(vhost.as_str()));
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

/// Whether the broker took the message.
async fn publish(channel: &Channel, queue: &str, body: &str) -> bool {
    let properties = BasicProperties::default().with_delivery_mode(2).with_timestamp(1_700_000_000);
    let sent =
        channel.basic_publish("".into(), queue.into(), BasicPublishOptions::default(), body.as_bytes(), properties);
    matches!(sent.await.unwrap().await.unwrap(), Confirmation::Ack(_))
}

async fn declare(world: &RealWorld, name: &str, kind: &str, mut arguments: Value) {
    arguments["x-queue-type"] = kind.into();
    let body = json!({"durable": true, "arguments": arguments});
    node().admin("PUT", &format!("queues/{}/{}", world.vhost(), encoded(name)), body).await;
}

async fn depth(world: &RealWorld, queue: &str) -> u64 {
    world.broker().depth(world.vhost(), queue).await.unwrap().unwrap().ready
}

async fn has_streams(world: &RealWorld) -> bool {
    world.version().await >= Version::parse("3.9.0").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_refuses_what_comes_or_drops_the_oldest_in_queues_of_either_kind() {
    let world = RealWorld::new("a_limit_refuses_what_comes").await;
    let (_connection, channel) = channel(world.vhost()).await;
    for kind in ["classic", "quorum"] {
        declare(&world, kind, kind, json!({})).await;
        for n in 0..5 {
            assert!(publish(&channel, kind, &n.to_string()).await);
        }
        let limit =
            |messages, overflow| QueueLimit { queue: kind.into(), messages: Some(messages), bytes: None, overflow };
        let refused = world.broker().limit_queue(world.vhost(), &limit(5, Overflow::RejectPublish)).await;
        if kind == "quorum" && world.version().await < Version::parse("3.9.0").unwrap() {
            assert_eq!(refused.unwrap_err().kind(), Kind::Conflict);
        } else {
            refused.unwrap();
            // A policy takes hold in a moment.
            eventually(async || (!publish(&channel, kind, "more").await).then_some(())).await;
            assert!(depth(&world, kind).await >= 5, "{kind}: what is there stays");
            assert!(world.broker().purge_queue(world.vhost(), kind).await.unwrap());
            eventually(async || publish(&channel, kind, "more").await.then_some(())).await;
            assert!(world.broker().unlimit_queue(world.vhost(), kind).await.unwrap());
            for _ in 0..9 {
                assert!(publish(&channel, kind, "more").await, "{kind}");
            }
        }

        world.broker().limit_queue(world.vhost(), &limit(3, Overflow::DropHead)).await.unwrap();
        eventually(async || (publish(&channel, kind, "new").await && depth(&world, kind).await == 3).then_some(()))
            .await;
        assert!(publish(&channel, kind, "new").await, "{kind}: what comes is taken");
        assert_eq!(depth(&world, kind).await, 3, "{kind}");
        world.broker().unlimit_queue(world.vhost(), kind).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_policy_of_somebody_else_says_holds_beside_a_limit() {
    let world = RealWorld::new("what_the_operator_policy_of_somebody_else_says").await;
    declare(&world, "q", "classic", json!({})).await;
    let body = json!({"pattern": "^q$", "apply-to": "queues", "priority": 4, "definition": {"message-ttl": 60_000}});
    let path = format!("operator-policies/{}/theirs", world.vhost());
    node().admin("PUT", &path, body).await;
    let told = async || node().told(&format!("queues/{}/q", world.vhost())).await;
    eventually(async || (told().await["operator_policy"] == "theirs").then_some(())).await;
    let limit = QueueLimit { queue: "q".into(), messages: Some(3), bytes: None, overflow: Overflow::DropHead };
    world.broker().limit_queue(world.vhost(), &limit).await.unwrap();
    eventually(async || {
        let definition = &told().await["effective_policy_definition"];
        (definition["message-ttl"] == 60_000 && definition["max-length"] == 3).then_some(())
    })
    .await;
    world.broker().unlimit_queue(world.vhost(), "q").await.unwrap();
    eventually(async || (told().await["operator_policy"] == "theirs").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_queue_tells_what_the_table_says() {
    let world = RealWorld::new("each_kind_of_queue_tells").await;
    let (_connection, channel) = channel(world.vhost()).await;
    let tells_segments = world.version().await >= Version::parse("4.3.0").unwrap();
    let mut kinds = vec!["classic", "quorum"];
    kinds.extend(has_streams(&world).await.then_some("stream"));
    for kind in &kinds {
        declare(&world, kind, kind, json!({})).await;
        for n in 0..5 {
            assert!(publish(&channel, kind, &n.to_string()).await);
        }
    }
    for kind in &kinds {
        assert_eq!(depth(&world, kind).await, 5, "{kind}: streams, too, say how much they keep");
        let listed = world.broker().queues(world.vhost()).await.unwrap();
        let listed = listed.iter().find(|queue| queue.name == *kind).unwrap();
        let (has_bytes, has_head, has_members) = match *kind {
            "classic" => (true, true, false),
            "quorum" => (true, false, true),
            _ => (false, tells_segments, true),
        };
        let told = |queue: &Queue| (queue.bytes.is_some(), queue.head.is_some(), queue.members.is_some());
        // Statistics come in parts.
        let single = eventually(async || {
            let queue = world.broker().queue(world.vhost(), kind).await.unwrap().unwrap();
            let is_counted = queue.messages == Some(5) && queue.consumers.is_some();
            (is_counted && told(&queue) == (has_bytes, has_head, has_members)).then_some(queue)
        })
        .await;
        assert_eq!(listed.messages.is_some(), *kind != "stream", "{kind}: {listed:?}");
        assert_eq!(single.members.unwrap_or((1, 1)), (1, 1));
        assert_eq!(single.stream().is_some(), *kind == "stream");
        assert!(!single.is_bounded);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_known_to_be_bounded_by_its_arguments_and_by_a_policy() {
    let world = RealWorld::new("a_stream_is_known_to_be_bounded").await;
    if !has_streams(&world).await {
        return;
    }
    declare(&world, "by-argument", "stream", json!({"x-max-age": "1h"})).await;
    declare(&world, "by-policy", "stream", json!({})).await;
    let body = json!({"pattern": "^by-policy$", "apply-to": "queues", "definition": {"max-length-bytes": 1_000_000}});
    node().admin("PUT", &format!("policies/{}/bound", world.vhost()), body).await;
    for name in ["by-argument", "by-policy"] {
        eventually(async || {
            let queue = world.broker().queue(world.vhost(), name).await.unwrap().unwrap();
            queue.is_bounded.then_some(())
        })
        .await;
    }
}
