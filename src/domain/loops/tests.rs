//! Stories about loops: due times, failures, pauses, the brake.

use std::sync::atomic::AtomicU32;

use super::*;
use crate::base::Clock;

const MINUTE: Duration = Duration::from_secs(60);

struct World {
    clock: Clock,
    store: Store,
    runs: Arc<AtomicU32>,
    fails: Arc<AtomicU32>,
    much: Arc<AtomicU32>,
    watch: ClockWatch,
}

impl World {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let watch = ClockWatch::new(clock.clone());
        let store = Store::memory(clock.clone()).unwrap();
        Self { clock, store, runs: Arc::default(), fails: Arc::default(), much: Arc::default(), watch }
    }

    /// The loops as a start of the appliance makes them.
    fn loops(&self) -> Loops {
        let (runs, fails) = (self.runs.clone(), self.fails.clone());
        let run = move || -> Work {
            runs.fetch_add(1, Ordering::SeqCst);
            match fails.load(Ordering::SeqCst) {
                0 => Box::pin(async { Ok("did it".to_owned()) }),
                1 => Box::pin(async { Err(Error::unavailable("away")) }),
                2 => Box::pin(async { panic!("on purpose") }),
                _ => Box::pin(std::future::pending()),
            }
        };
        let plan = || -> Work { Box::pin(async { Ok(String::new()) }) };
        let much = self.much.clone();
        let look = move || {
            let is_much = much.load(Ordering::SeqCst) > 0;
            async move { Ok(is_much.then(|| "too much".to_owned())) }
        };
        let brake = Brake::before(self.watch.clone(), look);
        let each =
            Loop { name: "a", period: MINUTE, why: "", first: None, plan: Box::new(plan), run: Box::new(run), brake };
        Loops::new(self.store.clone(), vec![each])
    }
}

#[tokio::test]
async fn a_restart_neither_repeats_a_fresh_run_nor_forgets_a_due_one() {
    let world = World::new();
    assert_eq!(world.loops().wait("a").unwrap(), Some(Duration::ZERO), "a loop that never ran is due");
    world.loops().run("a").await.unwrap();
    let wait = world.loops().wait("a").unwrap().unwrap();
    assert!(wait <= MINUTE && wait >= MINUTE * 9 / 10, "{wait:?}");

    world.clock.advance(100 * MINUTE);
    let loops = world.loops();
    assert_eq!(loops.wait("a").unwrap(), Some(Duration::ZERO));
    loops.run("a").await.unwrap();
    assert!(loops.wait("a").unwrap().unwrap() > Duration::ZERO, "any absence is one run");
    loops.nudge("a");
    loops.nudge("a");
    assert_eq!(loops.wait("a").unwrap(), Some(Duration::ZERO));
    loops.run("a").await.unwrap();
    assert!(loops.wait("a").unwrap().unwrap() > Duration::ZERO, "nudges are one run");
}

#[tokio::test]
async fn what_a_cancelled_run_was_wanted_for_is_wanted_again() {
    let world = World::new();
    let loops = world.loops();
    loops.run("a").await.unwrap();
    loops.nudge("a");
    world.fails.store(3, Ordering::SeqCst);
    assert!(tokio::time::timeout(Duration::from_millis(20), loops.run("a")).await.is_err());
    assert_eq!(loops.wait("a").unwrap(), Some(Duration::ZERO));
    world.fails.store(0, Ordering::SeqCst);
    loops.run("a").await.unwrap();
    assert!(loops.wait("a").unwrap().unwrap() > Duration::ZERO);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_put_a_loop_to_sleep() {
    let world = World::new();
    let loops = world.loops();
    loops.run("a").await.unwrap();
    world.clock.set(Timestamp::from_millis(0));
    assert_eq!(loops.wait("a").unwrap(), Some(Duration::ZERO));
    assert!(loops.run("a").await.is_err(), "the brake asks whether the clock is right");
    loops.release(&Caller::local("tests", "r"), "a").await.unwrap();
    loops.run("a").await.unwrap();
    assert!(loops.wait("a").unwrap().unwrap() > Duration::ZERO);
}

#[tokio::test]
async fn failures_and_panics_are_counted_and_repeated_ever_later_up_to_the_period() {
    let world = World::new();
    let loops = world.loops();
    let mut waits = Vec::new();
    for fails in [1, 2, 1, 1, 1, 1] {
        world.fails.store(fails, Ordering::SeqCst);
        assert!(loops.run("a").await.is_err());
        waits.push(loops.wait("a").unwrap().unwrap().as_secs());
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    let status = &loops.list().unwrap()[0];
    assert_eq!((status.failures, status.last_error.as_str()), (6, "away"));
    world.fails.store(0, Ordering::SeqCst);
    loops.run("a").await.unwrap();
    assert_eq!(loops.list().unwrap()[0].failures, 0);
}

#[tokio::test]
async fn a_paused_loop_waits_for_an_operator_who_is_in_the_audit_log() {
    let world = World::new();
    let (loops, caller) = (world.loops(), Caller::local("tests", "r"));
    loops.pause(&caller, "a", true).await.unwrap();
    assert_eq!(world.loops().wait("a").unwrap(), None);
    assert_eq!(loops.run_for(&caller, "a").await.unwrap(), "did it", "an operator may still run it");
    loops.pause(&caller, "a", false).await.unwrap();
    assert!(loops.wait("a").unwrap().is_some());
    assert_eq!(world.store.verify_audit().await.unwrap().seq, 3);
    assert!(loops.plan("b").await.unwrap_err().message().contains("there are a"));
}

#[tokio::test]
async fn the_brake_stops_a_run_until_an_operator_releases_it_once_or_its_reason_goes() {
    let world = World::new();
    let (loops, caller) = (world.loops(), Caller::local("tests", "r"));
    assert!(loops.release(&caller, "a").await.is_err(), "a brake that is not on cannot be released");
    world.much.store(1, Ordering::SeqCst);
    assert!(loops.run("a").await.is_err() && loops.run("a").await.is_err());
    assert_eq!(world.loops().list().unwrap()[0].brake.as_deref(), Some("too much"));
    loops.release(&caller, "a").await.unwrap();
    assert_eq!(loops.wait("a").unwrap(), Some(Duration::ZERO));
    loops.run("a").await.unwrap();
    assert!(loops.run("a").await.is_err(), "a release is for one run");
    world.much.store(0, Ordering::SeqCst);
    loops.run("a").await.unwrap();
    assert_eq!(loops.list().unwrap()[0].brake, None);
    assert_eq!(world.runs.load(Ordering::SeqCst), 2);
}
