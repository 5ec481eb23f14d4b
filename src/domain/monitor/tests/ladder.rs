//! The rungs between warning and deletion, and what is special about some kinds of queues.

use super::judging::{Q, Scene, warned};
use super::*;
use crate::domain::monitor::sight::Remembered;
use crate::ports::broker::{Overflow, QueueLimit, QueueLimits};

/// Limited at 15 messages.
fn capped() -> QueueRule {
    QueueRule { limit: Some(Rung { messages: Some(15), ..Rung::default() }), ..QueueRule::default() }
}

fn stream(messages: Option<u64>) -> Queue {
    Queue { messages, kind: Some("stream".into()), consumers: Some(0), ..queue(Q, 0) }
}

impl World {
    async fn rule(&self, pattern: &str, rule: QueueRule) {
        self.monitor.set_queue_rule(&operator(), Pattern::parse(pattern).unwrap(), rule).await.unwrap();
    }

    async fn limits(&self) -> Vec<QueueLimit> {
        self.broker.queue_limits(&vhost()).await.unwrap()
    }
}

#[tokio::test]
async fn a_queue_is_limited_once_told_and_let_go_when_it_is_in_order_again() {
    let world = World::new();
    world.claim("t-a").await;
    world.rule("queue/t-a/*", capped()).await;
    world.put(Q, 16);
    assert_eq!(world.run().await.limited, 1);
    let expected = QueueLimit { queue: Q.into(), messages: Some(16), bytes: None, overflow: Overflow::RejectPublish };
    assert_eq!(world.limits().await, [expected], "nothing that is there goes");
    assert_eq!(world.notices(), [format!("queue.warn {Q}"), format!("queue.limit {Q}")]);
    // Between warning and limit it stays limited: it would come and go with every message.
    for messages in [16, 15, 11] {
        world.put(Q, messages);
        let report = world.next().await;
        assert_eq!((report.limited, report.unlimited, world.limits().await.len()), (0, 0, 1), "{messages}");
    }
    world.put(Q, 10);
    assert_eq!((world.next().await.unlimited, world.limits().await), (1, vec![]));
    assert_eq!(world.notices()[2..], [format!("queue.normal {Q}"), format!("queue.unlimit {Q}")]);
    world.broker.forget_calls();
    world.next().await;
    world.next().await;
    assert_eq!((world.audited("queue.limit"), world.audited("queue.unlimit")), (1, 1));
}

#[tokio::test]
async fn a_limit_ends_with_its_rule_with_an_exemption_and_with_its_queue() {
    let world = World::new();
    world.claim("t-a").await;
    let limited = async |rule: QueueRule| {
        world.put(Q, 16);
        world.rule("queue/t-a/*", rule).await;
        world.next().await;
        world.limits().await.len()
    };
    assert_eq!(limited(capped()).await, 1);
    assert_eq!(limited(QueueRule { exempt_until: Some(Timestamp::MAX), ..capped() }).await, 0);
    assert_eq!(limited(capped()).await, 1);
    world.monitor.remove_queue_rule(&operator(), Pattern::parse("queue/t-a/*").unwrap()).await.unwrap();
    world.next().await;
    assert_eq!(world.limits().await, []);

    assert_eq!(limited(capped()).await, 1);
    world.broker.delete_queue(&vhost(), Q).await.unwrap();
    world.next().await;
    assert_eq!(world.limits().await.len(), 1, "missing from one list proves nothing");
    let told = world.notices().len();
    world.next().await;
    assert_eq!((world.limits().await.len(), world.notices().len()), (0, told), "nobody needs to hear of it");
}

#[tokio::test]
async fn a_queue_that_is_deleted_leaves_no_limit() {
    let world = World::new();
    world.claim("t-a").await;
    world.rule("queue/t-a/*", capped()).await;
    world.put(Q, 16);
    world.run().await;
    world.put(Q, 21);
    assert_eq!(world.next().await.deleted_queues, 1);
    for _ in 0..3 {
        world.next().await;
    }
    assert_eq!(world.limits().await, []);
}

#[tokio::test]
async fn a_limit_that_fails_is_tried_again_and_one_that_somebody_changed_is_put_back() {
    let world = World::new();
    world.claim("t-a").await;
    world.rule("queue/t-a/*", capped()).await;
    world.put(Q, 16);
    let look = world.monitor.look().await.unwrap();
    let (verdict, _) = world.monitor.judge(&look, &mut HashMap::new());
    world.broker.go_away();
    assert_eq!(world.monitor.act(&Arc::new(look), &verdict, Vec::new()).await.failed, 1);
    world.broker.come_back();
    assert_eq!(world.next().await.limited, 1);
    let other = QueueLimit { queue: Q.into(), messages: Some(1_000), bytes: None, overflow: Overflow::RejectPublish };
    world.broker.limit_queue(&vhost(), &other).await.unwrap();
    assert_eq!((world.next().await.limited, world.limits().await[0].messages), (1, Some(16)));
    // Less than ours is as good: somebody else's policy may say so.
    world.broker.limit_queue(&vhost(), &QueueLimit { messages: Some(3), ..other }).await.unwrap();
    assert_eq!(world.next().await.limited, 0);
}

#[test]
fn a_limit_by_time_is_what_the_queue_holds_then() {
    let by_head = Rung { head_seconds: Some(3_600), ..Rung::default() };
    let rule = QueueRule { limit: Some(by_head), overflow: Overflow::DropHead, ..QueueRule::default() };
    let limits = Limits::new(10, 20).ruled(&rule).unwrap();
    let limit = limits.limit.unwrap().on(&queue(Q, 7));
    assert_eq!((limit.messages, limit.bytes, limit.overflow), (Some(7), None, Overflow::DropHead));
    let old = Queue { head: Some(START.minus(HOUR)), consumers: Some(1), ..queue(Q, 7) };
    let refusing = Limits::new(10, 20).ruled(&capped()).unwrap().limit.unwrap();
    assert_eq!(refusing.on(&queue(Q, 99)).messages, Some(99), "what is there stays");
    let expected = "limit queue queue/t-a/q: its first message is older than 1 hour";
    assert_eq!(Scene::new(vec![old]).ruled(rule).steps(), [expected]);
}

#[test]
fn the_age_of_the_first_message_warns_and_deletes_where_it_is_told() {
    let rule = QueueRule { delete_head_seconds: Some(7_200), ..QueueRule::default() };
    let aged =
        |hours, messages| Queue { head: Some(START.minus(HOUR * hours)), consumers: Some(1), ..queue(Q, messages) };
    for (queue, expected) in [
        (aged(2, 1), Some(What::Delete)),
        (aged(1, 1), Some(What::Warn)),
        (aged(0, 1), None),
        (aged(2, 0), None),
        (Queue { head: None, ..aged(2, 1) }, None),
    ] {
        let what = format!("{queue:?}");
        assert_eq!(
            Scene::new(vec![queue]).ruled(rule.clone()).whats(),
            expected.into_iter().collect::<Vec<_>>(),
            "{what}"
        );
    }
}

#[test]
fn a_stream_is_deleted_by_a_rule_only_and_warned_of_while_nothing_bounds_it() {
    let bounded = |messages| Queue { is_bounded: true, ..stream(messages) };
    let ruled = QueueRule { delete_messages: Some(30), ..QueueRule::default() };
    let endless = "warn of queue queue/t-a/q: it has 31 messages, more than 10, and neither an age nor a number of bytes bounds this stream";
    for (queue, rule, expected) in [
        (stream(Some(31)), QueueRule::default(), Some(endless)),
        (stream(Some(10)), QueueRule::default(), None),
        (stream(None), QueueRule::default(), None),
        (bounded(Some(31)), QueueRule::default(), None),
        (bounded(Some(31)), ruled, Some("delete queue queue/t-a/q: it has 31 messages, more than 30")),
    ] {
        let scene = Scene::new(vec![queue.clone()]).ruled(rule);
        assert_eq!(scene.steps(), expected.into_iter().collect::<Vec<_>>(), "{queue:?}");
    }
}

#[tokio::test]
async fn a_stream_is_counted_singly_and_stays() {
    let world = World::new();
    world.claim("t-a").await;
    world.broker.put_queue(&vhost(), stream(Some(31)));
    let report = world.run().await;
    assert_eq!((report.deleted_queues, world.has(Q).await), (0, true));
    assert_eq!(world.notices(), [format!("queue.warn {Q}")]);
}

#[test]
fn a_queue_without_the_majority_of_its_copies_says_nothing() {
    for (members, is_judged) in [(None, true), (Some((3, 3)), true), (Some((2, 3)), true), (Some((1, 3)), false)] {
        let queue = Queue { members, kind: Some("quorum".into()), ..queue(Q, 21) };
        let scene = Scene::new(vec![queue]).remembers(warned(MINUTE));
        assert_eq!(scene.whats() == [What::Delete], is_judged, "{members:?}");
    }
}

#[test]
fn a_consumer_that_came_and_went_between_two_looks_was_one() {
    let rule = QueueRule { unconsumed_seconds: Some(3_600), ..QueueRule::default() };
    let idle = Remembered { idle_since: Some(START.minus(2 * HOUR)), delivered: Some(5), ..warned(HOUR) };
    for (delivered, is_deleted) in [(Some(5), true), (None, true), (Some(6), false)] {
        let queue = Queue { consumers: Some(0), delivered, ..queue(Q, 5) };
        let scene = Scene::new(vec![queue]).ruled(rule.clone()).remembers(idle.clone());
        assert_eq!(scene.whats().contains(&What::Delete), is_deleted, "{delivered:?}");
        if !is_deleted {
            let state = scene.verdict().findings.remove(0).state.unwrap();
            assert_eq!((state.idle_since, state.delivered), (Some(START), Some(6)));
        }
    }
}

#[test]
fn what_is_in_the_hands_of_consumers_is_told_apart() {
    let queue = Queue { ready: Some(9), unacknowledged: Some(12), ..queue(Q, 21) };
    let expected = "delete queue queue/t-a/q: it has 21 messages, 12 of them in the hands of consumers, more than 20";
    assert_eq!(Scene::new(vec![queue]).steps(), [expected]);
}

#[test]
fn the_archive_of_a_rule_is_a_rung_or_a_last_will() {
    let archive = |messages| QueueRule { archive: Some(Rung { messages, ..Rung::default() }), ..QueueRule::default() };
    for (rule, messages, expected) in [
        (archive(Some(15)), 16, vec![What::Archive, What::Warn]),
        (archive(Some(15)), 15, vec![What::Warn]),
        (archive(None), 16, vec![What::Warn]),
        (archive(Some(15)), 21, vec![What::Delete]),
    ] {
        assert_eq!(Scene::new(vec![queue(Q, messages)]).ruled(rule).whats(), expected, "{messages}");
    }
    let of_a_connection = Queue { exclusive: Some(true), ..queue(Q, 16) };
    assert_eq!(Scene::new(vec![of_a_connection]).ruled(archive(Some(15))).whats(), [What::Warn]);
}
