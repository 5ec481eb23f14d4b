//! The brake: one story per cause, each with the way out.

use super::*;
use crate::domain::monitor::brake::{Counts, Pass, Readings, decide, inputs};
use crate::ports::broker::Topology;

/// A world with this many queues of one namespace, after a first pass.
async fn world(queues: usize) -> World {
    let world = World::new();
    world.claim("t-a").await;
    for number in 0..queues {
        world.put(&format!("queue/t-a/{number}"), 1);
    }
    world.run().await;
    world
}

fn troubles(world: &World) -> Vec<Trouble> {
    let brake = world.monitor.brake().unwrap();
    brake.map(|brake| brake.causes.iter().map(|cause| cause.trouble).collect()).unwrap_or_default()
}

#[tokio::test]
async fn too_many_deletions_wait_for_an_operator_and_warnings_do_not() {
    let world = world(100).await;
    for number in 0..21 {
        world.put(&format!("queue/t-a/{number}"), 21);
    }
    world.put("queue/t-a/21", 11);
    let plan = world.monitor.plan().await.unwrap();
    assert_eq!((plan.brake.len(), plan.steps.len()), (1, 22));
    for _ in 0..2 {
        let report = world.next().await;
        assert_eq!((report.deleted_queues, report.held), (0, 21));
    }
    assert_eq!(world.notices(), ["monitor.brake monitor", "queue.warn queue/t-a/21"]);
    assert_eq!(world.receivers("monitor.brake"), ["ops@example.com"]);
    assert_eq!((troubles(&world), world.audited("monitor.brake")), (vec![Trouble::TooMuch], 1));

    let stopped_by = world.monitor.stopped_by().unwrap().unwrap();
    assert_eq!(stopped_by, "it would delete 21 of 100 queues and 0 of 0 exchanges");
    world.monitor.release(&operator()).await.unwrap();
    assert_eq!(world.monitor.stopped_by().unwrap(), None);
    assert_eq!(world.next().await.deleted_queues, 21);
    assert_eq!((troubles(&world), world.audited("monitor.release")), (vec![], 1));
    assert!(world.monitor.release(&operator()).await.is_err());
}

#[tokio::test]
async fn few_deletions_or_a_small_share_pass_the_brake() {
    for (queues, deleted) in [(20, 20), (300, 21)] {
        let world = world(queues).await;
        for number in 0..deleted {
            world.put(&format!("queue/t-a/{number}"), 21);
        }
        assert_eq!(world.next().await.deleted_queues, deleted);
    }
}

#[tokio::test]
async fn too_many_deletions_wait_even_when_the_next_plan_is_smaller() {
    let world = world(100).await;
    for number in 0..21 {
        world.put(&format!("queue/t-a/{number}"), 21);
    }
    world.next().await;
    world.put("queue/t-a/0", 0);
    assert_eq!((world.next().await.held, troubles(&world)), (20, vec![Trouble::TooMuch]));
}

#[tokio::test]
async fn an_empty_list_where_there_were_many_stops_the_pass_until_it_is_back() {
    let world = world(10).await;
    let queues = world.broker.queues(&vhost()).await.unwrap();
    for queue in &queues {
        world.broker.delete_queue(&vhost(), &queue.name).await.unwrap();
    }
    for _ in 0..3 {
        world.next().await;
    }
    assert_eq!(troubles(&world), [Trouble::EmptyList]);
    for queue in queues {
        world.broker.put_queue(&vhost(), queue);
    }
    world.next().await;
    assert_eq!(troubles(&world), []);
}

#[tokio::test]
async fn half_a_page_stops_the_pass_until_an_operator_believes_it() {
    let world = world(10).await;
    for number in 0..6 {
        world.broker.delete_queue(&vhost(), &format!("queue/t-a/{number}")).await.unwrap();
    }
    world.next().await;
    assert_eq!(troubles(&world), [Trouble::ShortList]);
    world.monitor.release(&operator()).await.unwrap();
    world.next().await;
    world.next().await;
    assert_eq!(troubles(&world), []);
}

#[tokio::test]
async fn missing_counts_of_many_stop_the_pass() {
    let world = world(12).await;
    for number in 0..10 {
        let name = format!("queue/t-a/{number}");
        world.broker.put_queue(&vhost(), Queue { name, state: Some("down".into()), ..Queue::default() });
    }
    world.put("queue/t-a/11", 21);
    world.next().await;
    assert_eq!((troubles(&world), world.has("queue/t-a/11").await), (vec![Trouble::MissingCounts], true));
}

#[tokio::test]
async fn an_empty_store_stops_the_pass_also_after_the_first_new_claim() {
    let world = World::new();
    for number in 0..5 {
        world.put(&format!("queue/t-a/{number}"), 1);
    }
    world.run().await;
    assert_eq!(troubles(&world), [Trouble::EmptyStore]);
    world.claim("t-b").await;
    let report = world.next().await;
    assert_eq!((report.deleted_queues, troubles(&world)), (0, vec![Trouble::EmptyStore]));
    world.monitor.release(&operator()).await.unwrap();
    assert_eq!(world.next().await.deleted_queues, 5);
}

#[tokio::test]
async fn the_first_pass_of_a_store_asks_before_it_deletes_what_it_does_not_know() {
    let world = World::new();
    world.claim("t-new").await;
    world.put("queue/t-old/q", 1);
    world.broker.put_exchange(&vhost(), exchange("exchange/t-old/e"));
    for _ in 0..2 {
        assert_eq!((world.next().await.deleted_queues, troubles(&world)), (0, vec![Trouble::EmptyStore]));
    }
    let why = "the store remembers no pass, and 2 queues and exchanges belong to namespaces that it does not know";
    assert_eq!(world.monitor.stopped_by().unwrap().unwrap(), why);
    world.monitor.release(&operator()).await.unwrap();
    let report = world.next().await;
    assert_eq!((report.deleted_queues, report.deleted_exchanges, troubles(&world)), (1, 1, vec![]));
}

#[tokio::test]
async fn the_end_of_the_last_namespace_with_queues_is_no_trouble() {
    let world = World::new();
    world.claim("t-a").await;
    world.claim("t-b").await;
    (0..20).for_each(|number| world.put(&format!("queue/t-a/{number}"), 1));
    world.run().await;
    let name = NamespaceName::parse("t-a").unwrap();
    world.namespaces.expire(&name, &operator(), crate::domain::namespaces::Which::Any).await.unwrap();
    world.next().await;
    assert_eq!(troubles(&world), []);
}

#[tokio::test]
async fn a_clock_that_was_set_stops_the_pass_and_time_that_passed_does_not() {
    let world = world(1).await;
    let password = world.claim("t-a").await;
    world.broker.connect("u-t-a-1", &password, &vhost(), START).unwrap();
    world.clock.set(START.plus(4 * DAY));
    assert_eq!((world.run().await.closed, troubles(&world)), (0, vec![Trouble::ClockAhead]));
    world.clock.set(START.minus(HOUR));
    world.run().await;
    assert_eq!(troubles(&world), [Trouble::ClockBack]);
    world.clock.set(START);
    world.next().await;
    assert_eq!(troubles(&world), []);
    world.clock.advance(4 * DAY);
    assert_eq!((world.run().await.closed, troubles(&world)), (1, vec![]));
}

#[tokio::test]
async fn a_release_during_a_pass_holds_for_the_next_one() {
    let world = world(100).await;
    for number in 0..21 {
        world.put(&format!("queue/t-a/{number}"), 21);
    }
    world.next().await;
    let look = world.monitor.look().await.unwrap();
    let before = look.memory.brake.clone().unwrap();
    world.monitor.release(&operator()).await.unwrap();
    let (_, causes) = world.monitor.judge(&look, &mut HashMap::new());
    let after = decide(Some(&before), vec![Cause { count: 22, ..causes[0].clone() }], START);
    world.monitor.note_brake(Some(&before), after.as_ref()).await.unwrap();
    assert_eq!(world.next().await.deleted_queues, 21);
}

#[tokio::test]
async fn the_operators_hear_of_each_trouble_once_and_not_of_its_end() {
    let world = World::new();
    for number in 0..5 {
        world.put(&format!("queue/t-a/{number}"), 1);
    }
    let other = crate::domain::monitor::brake::Pass { at: START, left: Counts::default(), number: 0 };
    world.store.write(move |tx| tx.put(&memory::PASS, &ONLY.into(), &other)).await.unwrap();
    world.run().await;
    assert_eq!(world.notices().len(), 1);
    world.clock.set(START.minus(HOUR));
    for _ in 0..3 {
        world.next().await;
    }
    assert_eq!(troubles(&world), [Trouble::ClockBack, Trouble::EmptyStore]);
    assert_eq!((world.notices().len(), world.audited("monitor.brake")), (2, 2), "what it said it need not say again");
    world.clock.set(START);
    world.next().await;
    assert_eq!(troubles(&world), [Trouble::EmptyStore]);
    assert_eq!((world.notices().len(), world.audited("monitor.brake")), (2, 3));
}

#[test]
fn inputs_are_held_against_the_last_pass() {
    let counts = |queues, exchanges, namespaces| Counts { queues, exchanges, namespaces, owners: 2 };
    let last = Pass { at: START, left: counts(100, 50, 5), number: 0 };
    let (now, seen, elapsed) = (START.plus(MINUTE), counts(100, 50, 5), Some(MINUTE));
    let good = Readings { now, elapsed, seen, uncounted: 0, unknown: 0 };
    let seen = |queues, exchanges, namespaces| Readings { seen: counts(queues, exchanges, namespaces), ..good };
    let at = |now, elapsed| Readings { now, elapsed, ..good };
    for (what, readings, expected) in [
        ("all is well", good, None),
        ("half is left", seen(50, 25, 5), None),
        ("less than half is left", seen(49, 50, 5), Some(Trouble::ShortList)),
        ("less than half is left, of exchanges", seen(100, 24, 5), Some(Trouble::ShortList)),
        ("a namespace was removed as well", seen(49, 20, 4), None),
        ("nothing is left", seen(0, 50, 5), Some(Trouble::EmptyList)),
        ("nothing is left, and one of two owners was removed", seen(0, 50, 4), Some(Trouble::EmptyList)),
        ("nothing is left, and all owners were removed", seen(0, 0, 3), None),
        ("no exchange is left", seen(100, 0, 5), Some(Trouble::EmptyList)),
        ("no namespace is left", seen(100, 50, 0), Some(Trouble::EmptyStore)),
        ("half lacks counts", Readings { uncounted: 50, ..good }, None),
        ("more than half lacks counts", Readings { uncounted: 51, ..good }, Some(Trouble::MissingCounts)),
        ("the clock was corrected a little", at(START.minus(MINUTE), Some(MINUTE)), None),
        ("the clock went back", at(START.minus(5 * MINUTE), Some(MINUTE)), Some(Trouble::ClockBack)),
        ("the clock went ahead", at(START.plus(HOUR), Some(MINUTE)), Some(Trouble::ClockAhead)),
        ("a restart after an hour", at(START.plus(HOUR), None), None),
        ("a restart after seven days", at(START.plus(7 * DAY), None), None),
        ("a restart after eight days", at(START.plus(8 * DAY), None), Some(Trouble::ClockAhead)),
        ("a restart before the last pass", at(START.minus(HOUR), None), Some(Trouble::ClockBack)),
    ] {
        let troubles: Vec<Trouble> = inputs(&readings, Some(&last)).iter().map(|cause| cause.trouble).collect();
        assert_eq!(troubles, expected.into_iter().collect::<Vec<_>>(), "{what}");
    }
    let few = Pass { left: counts(9, 9, 5), ..last };
    assert_eq!(inputs(&seen(0, 0, 5), Some(&few)), [], "nine may well be gone");
    assert_eq!(inputs(&seen(0, 0, 0), None), []);
}

#[test]
fn a_release_covers_what_the_operator_saw_and_a_little_more() {
    let cause = |count| Cause { trouble: Trouble::TooMuch, why: String::new(), count };
    let brake = decide(None, vec![cause(30)], START).unwrap();
    let released = Brake { released: Some(START), ..brake.clone() };
    assert_eq!(decide(Some(&released), vec![cause(50)], START), None);
    let again = decide(Some(&released), vec![cause(51)], START).unwrap();
    assert_eq!((again.released, again.causes), (None, vec![cause(51)]));
    assert_eq!(decide(Some(&released), vec![], START), None);
    assert_eq!(decide(Some(&brake), vec![], START), Some(brake));
    let other = Cause { trouble: Trouble::ClockBack, ..cause(1) };
    assert!(decide(Some(&released), vec![cause(30), other], START).is_some());
}
