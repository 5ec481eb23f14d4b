//! Stories about queues whose messages are archived by the monitor: in time, or as their last will.

use std::time::Duration;

use keylender::base::VhostName;
use keylender::domain::auth::Caller;
use keylender::domain::monitor::{Pattern, QueueRule, Rung};
use keylender::ports::broker::{Message, Properties, Queue, Topology};
use serde_json::json;

use crate::world::World;

/// Far more than a queue's deletion and the passes after it ask for.
const ANSWERS_MAX: u32 = 200;
const QUEUE: &str = "queue/taskcluster-foo/jobs";

fn vhost(world: &World) -> &VhostName {
    &world.settings.namespaces.amqp.vhost
}

/// A world with a namespace, a rule for its queues, and so many messages in one.
async fn with(rule: QueueRule, messages: usize) -> World {
    fill(World::start().await, rule, messages).await
}

async fn fill(world: World, rule: QueueRule, messages: usize) -> World {
    let client = world.client("tests", &["pulse:namespace:*"]).await;
    world.claim(&client, "taskcluster-foo", "{}").await;
    let caller = Caller::local("tests", "r");
    let pattern = Pattern::parse("queue/taskcluster-foo/*").unwrap();
    world.appliance().monitor.set_queue_rule(&caller, pattern, rule).await.unwrap();
    let told = Queue { name: QUEUE.into(), kind: Some("classic".into()), ..Queue::default() };
    world.broker.put_queue(vhost(&world), told);
    let message = |n: usize| Message {
        routing_key: QUEUE.into(),
        properties: Properties::default(),
        body: n.to_string().into_bytes(),
        ..Message::default()
    };
    world.broker.put_messages(vhost(&world), QUEUE, (0..messages).map(message));
    world
}

fn rule(archive: Rung) -> QueueRule {
    QueueRule { warn_messages: Some(5), delete_messages: Some(20), archive: Some(archive), ..QueueRule::default() }
}

async fn has_queue(world: &World) -> bool {
    world.broker.queue(vhost(world), QUEUE).await.unwrap().is_some()
}

#[tokio::test]
async fn the_messages_of_a_queue_are_taken_out_and_the_queue_stays() {
    let world = with(rule(Rung { messages: Some(10), ..Rung::default() }), 11).await;
    let report = world.appliance().monitor.run().await.unwrap();
    assert_eq!((report.archived, report.failed, has_queue(&world).await), (1, 0, true));
    assert!(world.broker.messages(vhost(&world), QUEUE).is_empty());
    let archives = world.appliance().archives.list().await.unwrap();
    assert_eq!(archives.iter().map(|archive| archive.messages).collect::<Vec<_>>(), [11]);
    assert_eq!(archives[0].why, "it has 11 messages, more than 10");
    let report = world.appliance().monitor.run().await.unwrap();
    assert_eq!(report.archived, 0, "what is gone is not taken again");
}

#[tokio::test]
async fn a_queue_that_is_deleted_leaves_its_messages() {
    let world = with(rule(Rung::default()), 21).await;
    let report = world.appliance().monitor.run().await.unwrap();
    assert_eq!((report.deleted_queues, report.failed, has_queue(&world).await), (1, 0, false));
    let archives = world.appliance().archives.list().await.unwrap();
    assert_eq!(archives.iter().map(|archive| archive.messages).collect::<Vec<_>>(), [21]);
}

#[tokio::test]
async fn a_queue_whose_messages_cannot_be_kept_is_not_deleted() {
    let world = World::with(|settings| settings.archives.bytes_max = 0).await;
    let world = fill(world, rule(Rung::default()), 21).await;
    let report = world.appliance().monitor.run().await.unwrap();
    assert_eq!((report.deleted_queues, report.failed, has_queue(&world).await), (0, 1, true));
    assert_eq!(world.broker.messages(vhost(&world), QUEUE).len(), 21);
}

#[tokio::test]
async fn what_is_told_of_a_deletion_is_what_was_lost_whatever_answer_of_the_broker_is_lost() {
    for answers in 0..ANSWERS_MAX {
        let world = with(rule(Rung::default()), 21).await;
        world.broker.lose_answer_after(answers);
        // That it is gone counts when two passes missed it.
        for _pass in 0..4 {
            world.appliance().monitor.run().await.ok();
        }
        if !world.broker.has_lost_an_answer() {
            assert!(answers > 10, "there were so many to lose: {answers}");
            return;
        }
        let deleted = world.audited("queue.delete").await;
        let lost: Vec<_> = deleted.iter().map(|entry| &entry["details"]["messages"]).collect();
        let archived = world.appliance().archives.list().await.unwrap();
        assert_eq!(archived.iter().map(|archive| archive.messages).sum::<u64>(), 21, "after {answers} answers");
        // Where it was not known that all were taken it stays, and is in order with none.
        let (left, none) = (world.broker.messages(vhost(&world), QUEUE), json!(0));
        let expected = if has_queue(&world).await { vec![] } else { vec![&none] };
        assert_eq!((lost, left.len()), (expected, 0), "after {answers} answers");
    }
    panic!("it asks without end");
}

#[tokio::test]
async fn while_a_queue_is_being_archived_the_others_are_watched() {
    let world = with(rule(Rung { messages: Some(10), ..Rung::default() }), 11).await;
    world.broker.hold_drains(true);
    let monitor = &world.appliance().monitor;
    let report = monitor.run().await.unwrap();
    assert_eq!((report.under_way, report.archived, report.failed), (1, 0, 0));
    assert_eq!(report.to_string(), "1 notices were posted, 1 queues are being archived");

    let other = Queue { name: "queue/taskcluster-foo/other".into(), messages: Some(21), ..Queue::default() };
    world.broker.put_queue(vhost(&world), other);
    let caller = Caller::local("tests", "r");
    let pattern = Pattern::parse("queue/taskcluster-foo/other").unwrap();
    let ruled = QueueRule { archive: None, ..rule(Rung::default()) };
    monitor.set_queue_rule(&caller, pattern, ruled).await.unwrap();
    let report = monitor.run().await.unwrap();
    assert_eq!((report.under_way, report.deleted_queues, report.failed), (1, 1, 0), "no second archive is begun");

    world.broker.hold_drains(false);
    let all = async || world.appliance().archives.list().await.unwrap();
    while all().await.iter().any(|archive| archive.finished.is_none()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(all().await.iter().map(|archive| archive.messages).collect::<Vec<_>>(), [11]);
    let report = monitor.run().await.unwrap();
    assert_eq!((report.under_way, report.archived, has_queue(&world).await), (0, 0, true));
}
