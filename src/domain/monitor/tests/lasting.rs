//! The judgement of what lasts: what is counted from pass to pass, and what ends that.

use super::judging::{Q, Scene, warned};
use super::*;
use crate::domain::monitor::sight::Remembered;
use crate::ports::broker::Connection;

#[test]
fn an_exemption_ends_what_was_counted_before_it() {
    let counted =
        Remembered { over_since: Some(START.minus(DAY)), idle_since: Some(START.minus(DAY)), ..warned(DAY / 2) };
    let rule = QueueRule { unconsumed_seconds: Some(60), grace_seconds: 60, ..QueueRule::default() };
    let exempt = QueueRule { exempt_until: Some(START.plus(MINUTE)), ..rule.clone() };
    let unused = Queue { consumers: Some(0), ..queue(Q, 21) };
    let scene = Scene::new(vec![unused.clone()]).ruled(exempt).remembers(counted);
    let state = scene.verdict().findings.remove(0).state.unwrap();
    assert_eq!((state.over_since, state.idle_since), (None, None));
    let scene = Scene::new(vec![unused]).ruled(rule).remembers(state);
    assert!(!scene.whats().contains(&What::Delete), "the grace time begins when the exemption ends");
}

#[test]
fn a_time_in_which_nobody_looked_is_no_time_without_a_consumer_and_no_grace() {
    let rule = QueueRule { unconsumed_seconds: Some(3_600), grace_seconds: 3_600, ..QueueRule::default() };
    let hours = |idle, over| Remembered {
        idle_since: Some(START.minus(HOUR * idle)),
        over_since: Some(START.minus(HOUR * over)),
        ..warned(HOUR)
    };
    let unused = Queue { consumers: Some(0), ..queue(Q, 21) };
    let unsure = Queue { consumers: None, ..queue(Q, 5) };
    let down = Queue { state: Some("down".into()), ..unused.clone() };
    for (what, seen, unseen, deleted) in [
        ("looked at all the time", MINUTE, None, true),
        ("the appliance was off for a moment", 14 * MINUTE, None, true),
        ("the appliance was off for long", 16 * MINUTE, None, false),
        ("the queue was down for a moment", MINUTE, Some(14 * MINUTE), true),
        ("the queue was down for long", MINUTE, Some(16 * MINUTE), false),
    ] {
        let unseen_since = unseen.map(|ago| START.minus(ago));
        let mut scene = Scene::new(vec![unused.clone()]).ruled(rule.clone());
        scene.seen = START.minus(seen);
        let scene = scene.remembers(Remembered { unseen_since, ..hours(3, 2) });
        assert_eq!(scene.whats().contains(&What::Delete), deleted, "{what}");
    }
    for lost in [vec![down], vec![unsure], vec![]] {
        let scene = Scene::new(lost).ruled(rule.clone()).remembers(hours(3, 2));
        assert_eq!(scene.verdict().findings.remove(0).state.unwrap().unseen_since, Some(START));
    }
    let week = QueueRule { unconsumed_seconds: Some(7 * 86_400), ..QueueRule::default() };
    let mut scene = Scene::new(vec![Queue { messages: Some(0), ..unused }]).ruled(week);
    scene.seen = START.minus(16 * HOUR);
    assert_eq!(scene.remembers(hours(8 * 24, 0)).whats(), [What::Delete], "of a week, some hours do not matter");
}

#[test]
fn what_a_wrong_clock_wrote_down_for_the_future_began_now() {
    let ahead = START.plus(300 * DAY);
    let state = Remembered { warned: Some(ahead), over_since: Some(ahead), idle_since: Some(ahead), ..warned(DAY) };
    let rule = QueueRule { unconsumed_seconds: Some(3_600), grace_seconds: 3_600, ..QueueRule::default() };
    let unused = Queue { consumers: Some(0), ..queue(Q, 21) };
    let scene = Scene::new(vec![unused]).ruled(rule).remembers(state);
    let state = scene.verdict().findings.remove(0).state.unwrap();
    assert_eq!((state.warned, state.over_since, state.idle_since), (Some(START), Some(START), Some(START)));
    let mut scene = Scene::new(vec![]);
    let watched = scene.namespaces.values_mut().next().unwrap();
    (watched.resting_until, scene.told) = (START, HashMap::from([(watched.name.clone(), ahead)]));
    scene.connections = vec![Connection { user: "u-t-a-2".into(), ..Connection::default() }];
    assert_eq!(scene.whats(), [What::Outlive]);
}

#[test]
fn a_queue_that_vanished_when_it_was_deleted_and_is_there_again_was_deleted() {
    let vanished = Remembered { condemned: Some(30), vanished: true, ..Remembered::default() };
    let down = Queue { state: Some("down".into()), ..queue(Q, 0) };
    for (what, queue, state, expected, is_kept) in [
        ("there again", queue(Q, 0), vanished.clone(), vec![What::Conclude], false),
        ("its node came back", queue(Q, 30), vanished.clone(), vec![What::Delete], false),
        ("its node is down", down, vanished.clone(), vec![], true),
        ("nobody knows", queue(Q, 0), Remembered { vanished: false, ..vanished.clone() }, vec![], false),
    ] {
        let scene = Scene::new(vec![queue]).remembers(state);
        assert_eq!(scene.whats(), expected, "{what}");
        let findings = scene.verdict().findings;
        let kept = findings.first().map_or(Some(&vanished), |finding| finding.state.as_ref());
        assert_eq!(kept.is_some_and(|state| state.vanished), is_kept, "{what}");
    }
}
