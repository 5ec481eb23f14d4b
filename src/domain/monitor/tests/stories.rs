//! What the monitor does while all is as it should be.

use super::*;
use crate::ports::broker::Connections;

const Q: &str = "queue/t-a/jobs";

#[tokio::test]
async fn a_contact_is_warned_once_again_daily_and_told_when_it_is_over() {
    let world = World::new();
    world.claim("t-a").await;
    world.put(Q, 10);
    world.run().await;
    assert_eq!(world.notices(), [""; 0]);
    world.put(Q, 11);
    for _ in 0..3 {
        world.next().await;
    }
    assert_eq!(world.notices(), ["queue.warn queue/t-a/jobs"]);
    world.clock.advance(DAY);
    world.next().await;
    world.put(Q, 10);
    world.next().await;
    world.next().await;
    let expected = ["queue.warn", "queue.warn", "queue.normal"].map(|kind| format!("{kind} {Q}"));
    assert_eq!(world.notices(), expected);
    world.put(Q, 12);
    world.next().await;
    assert_eq!(world.notices().len(), 4, "a new crossing is news");
    let audit = world.audit();
    let (_, posted) = audit.iter().find(|(action, _)| action == "notice.post").unwrap();
    assert_eq!(posted["details"]["to"], serde_json::json!(["t-a@example.com"]));
}

#[tokio::test]
async fn a_queue_over_the_threshold_is_asked_for_once_more_and_then_deleted() {
    let world = World::new();
    world.claim("t-a").await;
    world.put(Q, 21);
    world.put("queue/t-a/other", 20);
    world.broker.forget_calls();
    let report = world.run().await;
    assert_eq!((report.deleted_queues, report.failed), (1, 0));
    assert!(!world.has(Q).await && world.has("queue/t-a/other").await);
    let calls = world.broker.calls();
    let place = |call: &str| calls.iter().position(|other| other == call).unwrap();
    assert!(place("GET queue / queue/t-a/jobs") < place("DELETE queue / queue/t-a/jobs"));
    assert_eq!(world.notices(), ["queue.warn queue/t-a/other", "queue.delete queue/t-a/jobs"]);
    let audit = world.audit();
    let (_, deleted) = audit.iter().find(|(action, _)| action == "queue.delete").unwrap();
    assert_eq!((&deleted["details"]["messages"], &deleted["object"]), (&21.into(), &Q.into()));
    world.next().await;
    assert_eq!(world.notices().len(), 2, "nothing more is said of it");
}

#[tokio::test]
async fn a_queue_that_drained_meanwhile_is_spared() {
    let world = World::new();
    world.claim("t-a").await;
    world.put(Q, 21);
    let look = world.monitor.look().await.unwrap();
    let (verdict, causes) = world.monitor.judge(&look, &mut HashMap::new());
    world.put(Q, 20);
    let report = world.monitor.act(&Arc::new(look), &verdict, causes).await;
    assert_eq!((report.deleted_queues, report.spared, world.has(Q).await), (0, 1, true));
    assert_eq!((world.audited("queue.delete"), world.audited("monitor.condemn")), (0, 0));
}

#[tokio::test]
async fn a_queue_that_is_empty_by_its_own_word_is_spared_whatever_statistics_say() {
    let world = World::new();
    world.claim("t-a").await;
    world.put(Q, 21);
    world.broker.put_depth(&vhost(), Q, Depth { ready: 0, consumers: 1 });
    let report = world.run().await;
    assert_eq!((report.deleted_queues, report.spared, world.has(Q).await), (0, 1, true));
    assert_eq!(world.audited("monitor.condemn"), 0);
}

#[tokio::test]
async fn a_rule_that_comes_during_a_pass_spares_its_queues() {
    for (sparing, rule) in [
        (true, QueueRule { exempt_until: Some(START.plus(DAY)), ..QueueRule::default() }),
        (true, QueueRule { grace_seconds: 60, ..QueueRule::default() }),
        (true, QueueRule { delete_messages: Some(21), ..QueueRule::default() }),
        (false, QueueRule { remark: "none".into(), ..QueueRule::default() }),
    ] {
        let world = World::new();
        world.claim("t-a").await;
        world.put(Q, 21);
        let look = world.monitor.look().await.unwrap();
        let (verdict, causes) = world.monitor.judge(&look, &mut HashMap::new());
        world.monitor.set_queue_rule(&operator(), Pattern::parse(Q).unwrap(), rule).await.unwrap();
        let report = world.monitor.act(&Arc::new(look), &verdict, causes).await;
        assert_eq!((world.has(Q).await, report.spared), (sparing, usize::from(sparing)));
        assert_eq!(world.audited("monitor.condemn"), usize::from(!sparing));
    }
}

#[tokio::test]
async fn what_a_gone_namespace_left_behind_is_deleted_unless_it_is_claimed_in_time() {
    let world = World::new();
    world.claim("t-a").await;
    world.run().await;
    for (queue, exchange_name) in [("queue/t-gone/q", "exchange/t-gone/e"), ("queue/t-back/q", "exchange/t-back/e")] {
        world.put(queue, 1);
        world.broker.put_exchange(&vhost(), exchange(exchange_name));
    }
    let look = world.monitor.look().await.unwrap();
    let (verdict, causes) = world.monitor.judge(&look, &mut HashMap::new());
    world.claim("t-back").await;
    let report = world.monitor.act(&Arc::new(look), &verdict, causes).await;
    assert_eq!((report.deleted_queues, report.deleted_exchanges, report.spared), (1, 1, 2));
    assert!(!world.has("queue/t-gone/q").await && world.has("queue/t-back/q").await);
    assert_eq!(world.notices(), [""; 0]);
    assert_eq!((world.audited("queue.delete"), world.audited("exchange.delete")), (1, 1));
}

#[tokio::test]
async fn old_connections_are_closed_with_a_reason_and_others_stay() {
    let world = World::new();
    let password = world.claim("t-a").await;
    let connect = |at| world.broker.connect("u-t-a-1", &password, &vhost(), at).unwrap();
    let old = connect(START.minus(3 * DAY));
    connect(START.minus(3 * DAY).plus(Duration::from_millis(1)));
    let report = world.run().await;
    assert_eq!((report.closed, world.broker.connections().await.unwrap().len()), (1, 1));
    let (name, reason) = world.broker.closed().remove(0);
    assert_eq!(name, old);
    assert_eq!(reason, "it is older than 3 days: claim the credentials anew and connect again");
    assert_eq!(world.audited("connection.close"), 1);
}

#[tokio::test]
async fn connections_that_outlive_a_promise_are_told_once_a_day_and_left_open() {
    let world = World::new();
    let password = world.claim("t-a").await;
    world.broker.connect("u-t-a-1", &password, &vhost(), START).unwrap();
    world.clock.advance(HOUR);
    world.namespaces.rotate_due().await.unwrap();
    world.run().await;
    assert_eq!(world.notices(), [""; 0], "the password is promised for longer");
    world.clock.advance(HOUR);
    for _ in 0..3 {
        world.next().await;
    }
    assert_eq!(world.notices(), ["connections.outlive t-a"]);
    assert_eq!(world.broker.connections().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_fast_queue_is_told_of_its_deletion_before_it_gets_there() {
    let world = World::new();
    world.claim("t-a").await;
    for messages in [4, 5, 6, 7, 8, 9] {
        world.put(Q, messages);
        world.next().await;
    }
    assert_eq!(world.notices(), ["queue.forecast queue/t-a/jobs"]);
    let forecast = world.monitor.forecast(Q).await.unwrap().unwrap();
    assert_eq!((forecast.per_hour.round(), forecast.to_warning, forecast.to_deletion), (60.0, 2 * MINUTE, 12 * MINUTE));
}

#[tokio::test]
async fn a_restart_does_not_tell_a_forecast_again() {
    let mut world = World::new();
    world.claim("t-a").await;
    for messages in 4..10 {
        world.put(Q, messages);
        world.next().await;
    }
    for messages in 10..18 {
        world.restart();
        world.put(Q, messages);
        world.next().await;
    }
    assert_eq!(world.notices(), ["queue.forecast", "queue.warn"].map(|kind| format!("{kind} {Q}")));
}

#[tokio::test]
async fn an_appliance_that_was_off_does_not_know_that_nobody_consumed() {
    let mut world = World::new();
    world.claim("t-a").await;
    let idle = QueueRule { unconsumed_seconds: Some(3600), ..QueueRule::default() };
    world.monitor.set_queue_rule(&operator(), Pattern::parse("*").unwrap(), idle).await.unwrap();
    world.broker.put_queue(&vhost(), Queue { consumers: Some(0), ..queue(Q, 0) });
    world.run().await;
    world.clock.advance(DAY);
    world.restart();
    world.run().await;
    assert!(world.has(Q).await);
    for _ in 0..60 {
        world.next().await;
    }
    assert!(!world.has(Q).await);
}

#[tokio::test]
async fn a_restart_knows_where_the_queues_that_grow_most_are_going() {
    let mut world = World::new();
    world.claim("t-a").await;
    for messages in 1..6 {
        (0..120).for_each(|number| world.put(&format!("queue/t-a/{number:03}"), messages));
        world.put(Q, messages + 3);
        world.put("queue/t-a/still", 5);
        world.next().await;
    }
    world.restart();
    world.put(Q, 9);
    world.next().await;
    let forecast = world.monitor.forecast(Q).await.unwrap().unwrap();
    assert_eq!((forecast.per_hour.round(), forecast.to_deletion), (60.0, 12 * MINUTE));
    for (name, is_known) in [("still", false), ("000", true), ("119", false)] {
        assert_eq!(world.monitor.forecast(&format!("queue/t-a/{name}")).await.unwrap().is_some(), is_known, "{name}");
    }

    world.clock.advance(3 * HOUR);
    world.put(Q, 1);
    world.next().await;
    let growing = world.store.read(|tx| tx.get(&memory::GROWING, &ONLY.into())).unwrap();
    assert!(growing.is_none(), "what does not grow any more is not kept");
}

/// The body of the last notice.
async fn last_words(world: &World) -> String {
    let newest = world.monitor.notices.list(crate::domain::notices::Filter::All, None, 1).await.unwrap();
    world.monitor.notices.letter(&newest[0].id).unwrap().body
}

#[tokio::test]
async fn a_contact_hears_when_grace_begins_and_when_it_ends_also_after_a_warning() {
    let world = World::new();
    world.claim("t-a").await;
    let grace = QueueRule { grace_seconds: 600, ..QueueRule::default() };
    world.monitor.set_queue_rule(&operator(), Pattern::parse("*").unwrap(), grace).await.unwrap();
    for messages in [11, 21, 22] {
        world.put(Q, messages);
        world.next().await;
    }
    assert_eq!(world.notices(), [format!("queue.warn {Q}"), format!("queue.warn {Q}")]);
    let end = START.plus(12 * MINUTE);
    assert!(last_words(&world).await.contains(&format!("is deleted after {end}")), "{}", last_words(&world).await);
    for _ in 3..12 {
        assert!(world.has(Q).await);
        world.next().await;
    }
    assert!(!world.has(Q).await);
    assert_eq!(world.notices().len(), 3);
}

#[tokio::test]
async fn a_contact_hears_when_a_queue_without_a_consumer_will_be_deleted() {
    let world = World::new();
    world.claim("t-a").await;
    let idle = QueueRule { unconsumed_seconds: Some(600), grace_seconds: 60, ..QueueRule::default() };
    world.monitor.set_queue_rule(&operator(), Pattern::parse("*").unwrap(), idle).await.unwrap();
    world.broker.put_queue(&vhost(), Queue { consumers: Some(0), ..queue(Q, 0) });
    for _ in 0..6 {
        world.next().await;
    }
    let end = START.plus(12 * MINUTE);
    assert_eq!(
        last_words(&world).await,
        format!(
            "About the queue {Q}: it had no consumer for 5 minutes, and is deleted after {end} if nothing changes.\n\n\
             Connect a consumer, or delete the queue if nobody needs it.\n"
        )
    );
    for _ in 6..12 {
        assert!(world.has(Q).await);
        world.next().await;
    }
    assert!(!world.has(Q).await);
    world.next().await;
    assert_eq!(world.notices(), [format!("queue.warn {Q}"), format!("queue.delete {Q}")]);
}

#[tokio::test]
async fn mock_maintenance_plans_and_changes_nothing() {
    let world = World::with(true);
    world.claim("t-a").await;
    world.put(Q, 21);
    world.put("queue/t-gone/q", 1);
    world.broker.forget_calls();
    let entries = world.audit().len();
    let report = world.run().await;
    assert_eq!((report.planned, report.mock, report.deleted_queues), (2, true, 0));
    assert_eq!(world.broker.calls(), ["GET queues /", "GET exchanges /", "GET connections"]);
    assert_eq!(world.audit().len(), entries);
}

#[tokio::test]
async fn a_plan_can_be_seen_beforehand_and_changes_nothing() {
    let world = World::new();
    world.claim("t-a").await;
    world.run().await;
    world.put(Q, 21);
    world.broker.put_exchange(&vhost(), exchange("exchange/t-gone/e"));
    let plan = world.monitor.plan().await.unwrap();
    insta::assert_snapshot!(plan, @r"
    delete queue queue/t-a/jobs: it has 21 messages, more than 20
    delete exchange exchange/t-gone/e: the namespace t-gone no longer exists
    ");
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(
        json["steps"][0],
        serde_json::json!({
            "what": "delete", "sort": "queue", "object": Q, "why": "it has 21 messages, more than 20", "messages": 21
        })
    );
    assert!(world.has(Q).await);
}

#[tokio::test]
async fn rules_of_operators_hold_and_bytes_and_consumers_are_asked_for_only_where_one_needs_them() {
    let world = World::new();
    world.claim("t-a").await;
    let pattern = |text| Pattern::parse(text).unwrap();
    let idle = QueueRule { unconsumed_seconds: Some(3600), ..QueueRule::default() };
    world.monitor.set_queue_rule(&operator(), pattern("queue/t-a/idle*"), idle).await.unwrap();
    let big = QueueRule { warn_messages: Some(100), delete_messages: Some(200), ..QueueRule::default() };
    world.monitor.set_queue_rule(&operator(), pattern("*/big"), big).await.unwrap();
    let wrong = QueueRule { delete_messages: Some(5), ..QueueRule::default() };
    assert!(world.monitor.set_queue_rule(&operator(), pattern("*"), wrong).await.is_err());
    world.put("queue/t-a/big", 99);
    world.put(Q, 1);
    let unused = Queue { consumers: None, ..queue("queue/t-a/idle", 0) };
    world.broker.put_queue(&vhost(), unused.clone());
    world.broker.forget_calls();
    world.run().await;
    let single: Vec<String> = world.broker.calls().into_iter().filter(|call| call.starts_with("GET queue ")).collect();
    assert_eq!(single, ["GET queue / queue/t-a/idle"]);

    world.broker.put_queue(&vhost(), Queue { consumers: Some(0), ..unused });
    world.next().await;
    world.clock.advance(HOUR / 2);
    world.next().await;
    assert_eq!(world.notices(), ["queue.warn queue/t-a/idle"]);
    world.clock.advance(HOUR / 2);
    world.next().await;
    assert!(!world.has("queue/t-a/idle").await && world.has("queue/t-a/big").await);
    world.monitor.remove_queue_rule(&operator(), pattern("*/big")).await.unwrap();
    world.next().await;
    assert!(!world.has("queue/t-a/big").await);
    assert_eq!((world.audited("queue_rule.set"), world.audited("queue_rule.remove")), (2, 1));
}
