//! Agents at one location: a few stories, and random histories against a model that remembers everything.

use std::time::Duration;

use proptest::prelude::*;

use super::{FIRST, SECOND, TIMINGS, read};
use crate::base::Timestamp;
use crate::proto::heartbeat::{
    Agents, Duplicates, Generation, Heartbeat, Mode, PROCESSES_MAX, Sighting, State, Timings,
};

/// Something that happens, so many milliseconds after what happened before.
#[derive(Clone, Debug)]
enum Event {
    Heard { pid: i64, is_checkin: bool, start: Option<i64>, refreshed_s: Option<i64> },
    Ended { pid: i64, is_upgrade: bool },
}

/// A heartbeat of a process: with a start that is fixed, or that moves along.
fn heartbeat(pid: i64, now: i64, start: Option<i64>) -> Heartbeat {
    let moment = |millis| Some(Timestamp::from_millis(millis));
    let started_at = moment(start.unwrap_or(now));
    Heartbeat { pid, started_at, sent_at: moment(now), ..read(SECOND, Generation::Second) }
}

/// What is known after heartbeats of these processes at these seconds.
fn heard(heartbeats: &[(i64, i64)]) -> Agents {
    let mut agents = Agents::default();
    for (pid, second) in heartbeats {
        agents.observe(&heartbeat(*pid, second * 1000, None), Timestamp::from_millis(second * 1000));
    }
    agents
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

#[test]
fn an_agent_is_online_then_idle_then_offline() {
    assert_eq!(Agents::default().state(second(0), &TIMINGS), None);
    let agents = heard(&[(1, 0)]);
    for (at, expected) in
        [(0, State::Online), (300, State::Online), (301, State::Idle), (600, State::Idle), (601, State::Offline)]
    {
        assert_eq!(agents.state(second(at), &TIMINGS), Some(expected), "{at}");
    }
    let impatient = Timings { agent_timeout: Duration::from_secs(60), ..TIMINGS };
    assert_eq!(agents.state(second(300), &impatient), Some(State::Online));
    assert_eq!(agents.state(second(301), &impatient), Some(State::Offline));
    assert_eq!(agents.state(second(-9), &TIMINGS), Some(State::Online), "a clock that went back");
}

#[test]
fn a_restart_looks_like_duplicates_for_a_while_and_is_none() {
    let agents = heard(&[(1, 0), (1, 60), (2, 100), (2, 160)]);
    assert_eq!(agents.duplicates(second(161), &TIMINGS), Duplicates::Suspected(vec![1, 2]));
    assert_eq!(agents.duplicates(second(180), &TIMINGS), Duplicates::None);
    assert_eq!(agents.state(second(180), &TIMINGS), Some(State::Online));
}

#[test]
fn two_processes_that_take_turns_are_duplicates() {
    let mut agents = heard(&[(1, 0), (2, 30), (1, 60)]);
    assert_eq!(agents.duplicates(second(61), &TIMINGS), Duplicates::Proven(vec![2, 1]));
    agents.end(2, false);
    assert_eq!(agents.duplicates(second(61), &TIMINGS), Duplicates::None);
    let survivor = heartbeat(2, 90_000, None);
    assert_eq!(agents.observe(&survivor, second(90)), Sighting::Survived);
    assert_eq!(agents.duplicates(second(91), &TIMINGS), Duplicates::Proven(vec![1, 2]));
}

#[test]
fn processes_that_come_for_a_moment_are_no_duplicates() {
    let mut agents = Agents::default();
    for (pid, at) in [(1, 0), (2, 10), (1, 20), (3, 30)] {
        let checkin = Heartbeat { mode: Mode::Checkin, ..heartbeat(pid, at * 1000, None) };
        agents.observe(&checkin, second(at));
    }
    assert_eq!(agents.duplicates(second(31), &TIMINGS), Duplicates::None);
}

#[test]
fn an_agent_that_was_told_to_end_is_gone_until_it_is_heard() {
    let mut agents = heard(&[(1, 0)]);
    agents.end(1, false);
    assert_eq!(agents.state(second(1), &TIMINGS), Some(State::Destroyed));
    assert_eq!(agents.state(second(10_000), &TIMINGS), Some(State::Destroyed));
    agents.end(1, true);
    assert_eq!(agents.state(second(1), &TIMINGS), Some(State::Upgraded));
    assert_eq!(agents.observe(&heartbeat(1, 2000, None), second(2)), Sighting::Survived);
    assert_eq!(agents.state(second(3), &TIMINGS), Some(State::Online));
}

#[test]
fn a_look_at_the_environment_that_is_less_than_fifteen_seconds_newer_is_none() {
    let mut agents = Agents::default();
    let refreshed =
        |millis: i64| Heartbeat { refreshed_at: Some(Timestamp::from_millis(millis)), ..heartbeat(1, millis, None) };
    for (millis, expected) in [
        (0, Sighting::New),
        (15_000, Sighting::Known),
        (15_001, Sighting::Refreshed),
        (30_001, Sighting::Known),
        (30_002, Sighting::Refreshed),
        (0, Sighting::Known),
    ] {
        assert_eq!(agents.observe(&refreshed(millis), Timestamp::from_millis(millis)), expected, "{millis}");
    }
}

#[test]
fn a_container_that_starts_again_has_the_same_process_with_another_start() {
    let mut agents = Agents::default();
    for (start, at, expected) in
        [(0, 0, Sighting::New), (0, 60, Sighting::Known), (70, 70, Sighting::Restarted), (70, 130, Sighting::Known)]
    {
        assert_eq!(agents.observe(&heartbeat(1, at * 1000, Some(start * 1000)), second(at)), expected, "{at}");
    }
    assert_eq!(agents.processes()[0].first_heard_at, second(70));
}

#[test]
fn the_process_that_was_silent_longest_makes_room() {
    let pids: Vec<(i64, i64)> = (0..20).map(|pid| (pid, pid)).collect();
    let agents = heard(&pids);
    assert_eq!((agents.processes().len(), agents.forgotten()), (PROCESSES_MAX, 12));
    assert_eq!(agents.processes().first().unwrap().pid, 12);
}

#[test]
fn a_capture_is_a_process() {
    let mut agents = Agents::default();
    let first = read(FIRST, Generation::First);
    assert_eq!(agents.observe(&first, first.sent_at.unwrap()), Sighting::New);
    assert_eq!(agents.observe(&first, first.sent_at.unwrap()), Sighting::Known);
}

/// Everything that happened, with when. What is true now is looked up in it from the beginning each time.
#[derive(Default)]
struct Model(Vec<(i64, Event)>);

impl Model {
    fn heard(&self, pid: i64) -> impl DoubleEndedIterator<Item = usize> {
        let is_heard = move |event: &Event| matches!(event, Event::Heard { pid: other, .. } if *other == pid);
        (0..self.0.len()).filter(move |index| is_heard(&self.0[*index].1))
    }

    /// The processes that were heard between two events.
    fn between(&self, from: usize, to: usize) -> Vec<i64> {
        let mut pids = Vec::new();
        for (_, event) in self.0[from..to].iter().rev() {
            if let Event::Heard { pid, .. } = event
                && !pids.contains(pid)
            {
                pids.insert(0, *pid);
            }
        }
        pids
    }

    fn known(&self) -> Vec<i64> {
        let pids = self.between(0, self.0.len());
        pids[pids.len().saturating_sub(PROCESSES_MAX)..].to_vec()
    }

    /// Where the life began of which an event is a part: behind a gap that let it be forgotten, or another start.
    fn beginning(&self, pid: i64) -> usize {
        let heard: Vec<usize> = self.heard(pid).collect();
        let begins = |pair: &[usize]| {
            let is_forgotten = self.between(pair[0] + 1, pair[1]).len() >= PROCESSES_MAX;
            is_forgotten || self.is_other_start(pair[0], pair[1])
        };
        heard.windows(2).rfind(|pair| begins(pair)).map_or(heard[0], |pair| pair[1])
    }

    fn is_other_start(&self, earlier: usize, later: usize) -> bool {
        let start = |index: usize| match self.0[index] {
            (now, Event::Heard { start, .. }) => (start, now),
            _ => (None, 0),
        };
        let (known, known_at) = start(earlier);
        let (other, other_at) = start(later);
        known.is_some_and(|known| known_at - known > 1000 && other.unwrap_or(other_at) != known)
    }

    fn state(&self, pid: i64, now: i64) -> State {
        let last = self.heard(pid).next_back().unwrap();
        let ended = self.0[last..].iter().rev().find_map(|(_, event)| match event {
            Event::Ended { pid: other, is_upgrade } if *other == pid => Some(*is_upgrade),
            _ => None,
        });
        match (ended, now - self.0[last].0) {
            (Some(true), _) => State::Upgraded,
            (Some(false), _) => State::Destroyed,
            (None, ..=300_000) => State::Online,
            (None, ..=600_000) => State::Idle,
            _ => State::Offline,
        }
    }

    fn location(&self, now: i64) -> Option<State> {
        let states: Vec<State> = self.known().into_iter().map(|pid| self.state(pid, now)).collect();
        [State::Online, State::Idle].into_iter().find(|state| states.contains(state)).or(states.last().copied())
    }

    fn duplicates(&self, now: i64) -> Duplicates {
        let mut recent = self.known();
        recent.retain(|pid| {
            let last = self.heard(*pid).next_back().unwrap();
            let stays = matches!(self.0[last].1, Event::Heard { is_checkin: false, .. });
            stays && now - self.0[last].0 < 120_000 && self.state(*pid, now) == State::Online
        });
        let comes_between = |one: &i64, other: &i64| {
            let last = self.heard(*one).next_back().unwrap();
            (self.beginning(*one) + 1..last).contains(&self.beginning(*other))
        };
        let is_proven = recent.iter().any(|one| recent.iter().any(|other| comes_between(one, other)));
        match recent.len() {
            0 | 1 => Duplicates::None,
            _ if is_proven => Duplicates::Proven(recent),
            _ => Duplicates::Suspected(recent),
        }
    }

    /// What the last event was to those before.
    fn sighting(&mut self) -> Option<Sighting> {
        let (now, event) = self.0.pop()?;
        let Event::Heard { pid, .. } = event else {
            self.0.push((now, event));
            return None;
        };
        let was_known = self.known().contains(&pid);
        let was_ended = was_known && matches!(self.state(pid, now), State::Destroyed | State::Upgraded);
        self.0.push((now, event));
        let last = self.0.len() - 1;
        Some(match was_known {
            false => Sighting::New,
            true if self.beginning(pid) == last => Sighting::Restarted,
            true if was_ended => Sighting::Survived,
            true if self.refreshes(pid).last() == Some(&last) => Sighting::Refreshed,
            true => Sighting::Known,
        })
    }

    /// Where the rows of a life begin.
    fn refreshes(&self, pid: i64) -> Vec<usize> {
        let first = self.beginning(pid);
        let mut row = None;
        let mut refreshes = Vec::new();
        for index in self.heard(pid).filter(|index| *index >= first) {
            let Event::Heard { refreshed_s: Some(refreshed_s), .. } = self.0[index].1 else { continue };
            if index == first || row.is_none_or(|row| refreshed_s > row + 15) {
                row = Some(refreshed_s);
                refreshes.push(index);
            }
        }
        refreshes
    }
}

fn events() -> impl Strategy<Value = Vec<(i64, Event)>> {
    let heard = (0..11_i64, prop::bool::weighted(0.1), prop::option::of(0..3_i64), prop::option::of(0..60_i64));
    let heard =
        heard.prop_map(|(pid, is_checkin, start, refreshed_s)| Event::Heard { pid, is_checkin, start, refreshed_s });
    let ended = (0..11_i64, any::<bool>()).prop_map(|(pid, is_upgrade)| Event::Ended { pid, is_upgrade });
    let gap = prop_oneof![6 => 0..70_000_i64, 1 => 0..700_000_i64, 1 => Just(60_000_i64), 1 => Just(300_000_i64)];
    prop::collection::vec((gap, prop_oneof![8 => heard, 1 => ended]), 1..60)
}

/// The same for a heartbeat, of which the model knows the parts that matter.
fn observe(agents: &mut Agents, event: &Event, now: i64) -> Option<Sighting> {
    match event {
        Event::Ended { pid, is_upgrade } => {
            agents.end(*pid, *is_upgrade);
            None
        }
        Event::Heard { pid, is_checkin, start, refreshed_s } => {
            let mut heartbeat = heartbeat(*pid, now, *start);
            heartbeat.mode = if *is_checkin { Mode::Checkin } else { Mode::Daemon };
            heartbeat.refreshed_at = refreshed_s.map(second);
            Some(agents.observe(&heartbeat, Timestamp::from_millis(now)))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agents_know_what_a_whole_history_says(events in events(), few in any::<bool>(), later in 0..700_000_i64) {
        let (mut agents, mut model, mut now) = (Agents::default(), Model::default(), 10_000_000);
        for (gap, mut event) in events {
            if let (Event::Heard { pid, .. } | Event::Ended { pid, .. }, true) = (&mut event, few) {
                *pid %= 3;
            }
            now += gap;
            let sighting = observe(&mut agents, &event, now);
            model.0.push((now, event));
            prop_assert_eq!(sighting, model.sighting());
            let known: Vec<i64> = agents.processes().iter().map(|process| process.pid).collect();
            prop_assert_eq!(known, model.known());
            for at in [now, now + later] {
                let moment = Timestamp::from_millis(at);
                prop_assert_eq!(agents.state(moment, &TIMINGS), model.location(at));
                prop_assert_eq!(agents.duplicates(moment, &TIMINGS), model.duplicates(at));
            }
        }
    }
}
