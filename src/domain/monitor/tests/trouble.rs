//! What the monitor does when its neighbours fail, lie or forget.

use super::*;
use crate::base::Kind;
use crate::ports::broker::{Topology, Users};

const Q: &str = "queue/t-a/jobs";

#[tokio::test]
async fn a_broker_that_is_away_aborts_the_pass_and_nothing_is_forgotten() {
    let world = World::new();
    world.claim("t-a").await;
    world.put(Q, 11);
    world.run().await;
    world.broker.go_away();
    world.clock.advance(MINUTE);
    assert_eq!(world.monitor.run().await.unwrap_err().kind(), Kind::Unavailable);
    world.broker.come_back();
    world.next().await;
    assert_eq!(world.notices(), ["queue.warn queue/t-a/jobs"]);
    assert_eq!(world.monitor.brake().unwrap(), None);
}

#[tokio::test]
async fn a_queue_that_is_down_or_missing_for_one_pass_keeps_its_history() {
    let world = World::new();
    world.claim("t-a").await;
    world.put(Q, 11);
    world.run().await;
    let down = Queue { name: Q.into(), state: Some("down".into()), ..Queue::default() };
    world.broker.put_queue(&vhost(), down);
    world.next().await;
    world.broker.delete_queue(&vhost(), Q).await.unwrap();
    world.next().await;
    world.put(Q, 12);
    world.next().await;
    assert_eq!(world.notices(), ["queue.warn queue/t-a/jobs"]);

    world.broker.delete_queue(&vhost(), Q).await.unwrap();
    world.next().await;
    world.next().await;
    world.put(Q, 12);
    world.next().await;
    assert_eq!(world.notices().len(), 2, "after two passes it was gone, and this is another one");
}

#[tokio::test]
async fn counts_of_queues_that_come_and_go_do_not_fill_the_memory() {
    let world = World::new();
    world.claim("t-a").await;
    world.put(Q, 1);
    let look = world.monitor.look().await.unwrap();
    for (others, left) in [(49_999, 50_000), (50_000, 1)] {
        let gone = (0..others).map(|number| {
            let mut samples = Samples::default();
            samples.add(START.minus(MINUTE), 1);
            (format!("queue/t-a/{number}"), samples)
        });
        let mut samples: HashMap<String, Samples> = gone.collect();
        world.monitor.judge(&look, &mut samples);
        assert_eq!(samples.len(), left);
    }
}

#[tokio::test]
async fn a_broker_that_answers_no_single_question_is_not_asked_a_thousand() {
    let world = World::new();
    world.claim("t-a").await;
    let idle = QueueRule { unconsumed_seconds: Some(3600), ..QueueRule::default() };
    world.monitor.set_queue_rule(&operator(), Pattern::parse("*").unwrap(), idle).await.unwrap();
    (0..100).for_each(|number| world.put(&format!("queue/t-a/{number}"), 1));
    let mut look = world.monitor.look().await.unwrap();
    world.broker.forget_calls();
    world.broker.fail_next(1_000);
    world.monitor.ask_singly(&mut look).await.unwrap();
    assert!(world.broker.calls().len() <= 16, "{}", world.broker.calls().len());
    assert!(world.monitor.judge(&look, &mut HashMap::new()).0.findings.is_empty());
}

#[tokio::test]
async fn one_step_that_fails_does_not_keep_the_others_from_being_taken() {
    let world = World::new();
    world.claim("t-a").await;
    let locked = Queue { exclusive: None, ..queue("queue/t-a/1", 21) };
    world.broker.put_queue(&vhost(), locked);
    world.put("queue/t-a/2", 21);
    world.put("queue/t-a/3", 21);
    let look = world.monitor.look().await.unwrap();
    let (verdict, causes) = world.monitor.judge(&look, &mut HashMap::new());
    world.broker.fail_next(1);
    let report = world.monitor.act(&Arc::new(look), &verdict, causes).await;
    assert_eq!((report.deleted_queues, report.failed), (2, 1));
    assert_eq!(world.next().await.deleted_queues, 1);
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_told_all_the_same() {
    let world = World::new();
    world.claim("t-a").await;
    world.put(Q, 21);
    let look = world.monitor.look().await.unwrap();
    let (verdict, _) = world.monitor.judge(&look, &mut HashMap::new());
    let step = verdict.steps().next().unwrap();
    world.monitor.condemn(step, None).await.unwrap();
    // It took effect; then we crashed.
    world.broker.delete_queue(&vhost(), Q).await.unwrap();
    world.next().await;
    assert_eq!(world.notices(), [""; 0]);
    world.next().await;
    world.next().await;
    assert_eq!(world.notices(), ["queue.delete queue/t-a/jobs"]);
    assert_eq!(world.audited("queue.delete"), 1);
}

#[tokio::test]
async fn a_deletion_that_did_not_happen_is_not_told() {
    let world = World::new();
    world.claim("t-a").await;
    world.put(Q, 21);
    let look = world.monitor.look().await.unwrap();
    let (verdict, _) = world.monitor.judge(&look, &mut HashMap::new());
    world.monitor.condemn(verdict.steps().next().unwrap(), None).await.unwrap();
    world.put(Q, 0);
    world.next().await;
    world.broker.delete_queue(&vhost(), Q).await.unwrap();
    for _ in 0..3 {
        world.next().await;
    }
    assert_eq!(world.notices(), [""; 0]);
}

#[tokio::test]
async fn nothing_outside_the_prefix_changes_whatever_it_is() {
    let world = World::new();
    world.claim("t-a").await;
    let foreign = ["queue/other/q", "queue/t-a", "t-a/q", "queue/x/t-a/q", "Queue/t-a/q", "celery", "queue/t-é/q"];
    for name in foreign {
        world.put(name, 1_000_000);
        world.broker.put_exchange(&vhost(), exchange(&name.replace("queue", "exchange")));
    }
    let elsewhere = VhostName::parse("elsewhere").unwrap();
    world.broker.add_vhost(&elsewhere);
    world.broker.put_queue(&elsewhere, queue("queue/t-gone/q", 1_000_000));
    let wish = crate::ports::broker::UserWish {
        name: &world.account("admin-1"),
        login: crate::ports::broker::Login::Hash(crate::ports::broker::PasswordHash::of(&Secret::new("p"))),
        tags: &[],
        permissions: &[(vhost(), Access::default())],
    };
    world.broker.put_user(&wish).await.unwrap();
    world.broker.connect("admin-1", &Secret::new("p"), &vhost(), START.minus(30 * DAY)).unwrap();
    let before = world.broker.queues(&vhost()).await.unwrap();
    for _ in 0..3 {
        let report = world.next().await;
        assert_eq!(report, Report::default());
    }
    assert_eq!(world.broker.queues(&vhost()).await.unwrap(), before);
    assert_eq!(world.broker.exchanges(&vhost()).await.unwrap().len(), foreign.len());
    assert_eq!(world.broker.queues(&elsewhere).await.unwrap().len(), 1);
    assert_eq!((world.broker.closed(), world.notices()), (vec![], vec![]));
}
