//! The agents at one location of a queue, from their heartbeats: which are there, since when, and whether two share it.
//!
//! The scheduler keeps a row for each location and process, and so do these. Three things are told better here. A silence
//! is counted from when a heartbeat was received, where the scheduler of the first generation trusts the host's clock.
//! A process that took over from another one is told from two that run side by side, for which the scheduler has no
//! word: it counts processes that were heard within one period, and a restart makes two. And a row that the scheduler
//! replaces, because the agent looked at its environment anew, stays the same process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::judge::Timings;
use super::{Heartbeat, Mode};
use crate::base::Timestamp;

/// Processes that are known at once. A host on which more of them come and go has an agent that does not stay up, and the
/// last ones say so.
pub const PROCESSES_MAX: usize = 8;
/// After how many periods of silence an agent is idle.
const IDLE_PERIODS: u32 = 5;
/// Within how many periods a process was heard that counts as running. The scheduler takes one, and misses an agent whose
/// heartbeat is a moment late.
const RECENT_PERIODS: u32 = 2;
/// How far apart two looks at an environment are at least; a smaller difference is none to the scheduler.
const REFRESH_MIN: Duration = Duration::from_secs(15);

/// How long after its start a heartbeat of an agent is sent at most whose start is `now` each time, as it is from April
/// 2016 on.
const START_MOVES_WITHIN: Duration = Duration::from_secs(1);

/// What the scheduler's table says about an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was heard lately.
    Online,
    /// It missed five heartbeats.
    Idle,
    /// It was given up.
    Offline,
    /// It was told to end, and not heard since.
    Destroyed,
    /// Another one took its place, and it was not heard since. Until December 2016.
    Upgraded,
}

/// What a heartbeat was to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// A process that is not known: the scheduler makes a row.
    New,
    /// A process that is known: the scheduler notes the time, or makes a new row if it had given the process up.
    Known,
    /// A process that is known and looked at its environment anew: the scheduler replaces the row, and the API never
    /// does, for it compares the time that it knows with itself.
    Refreshed,
    /// Another process with the number of one that is known, as in a container, where all have the same one. Only agents
    /// before April 2016 let that be seen, once they were heard twice.
    Restarted,
    /// A process that was told to end or had been replaced. The scheduler has it online again, and looks for duplicates.
    Survived,
}

/// Whether several processes take commands from one queue, each of which gets only a part of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// No.
    None,
    /// These were heard lately, and each went silent when the next one came, as after a restart. To the scheduler these
    /// are duplicates.
    Suspected(Vec<i64>),
    /// These were heard lately, and one of them after another one had come. (So they would be after two restarts of
    /// which the second one got the number of a process that is still known.)
    Proven(Vec<i64>),
}

/// A process of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number on its host.
    pub pid: i64,
    /// Whether it comes only for a moment. Such processes are nobody's duplicates.
    pub is_checkin: bool,
    /// Since when it says that it runs.
    pub started_at: Option<Timestamp>,
    /// When it says that it looked at its environment: the time of the scheduler's row.
    pub refreshed_at: Option<Timestamp>,
    /// When it was heard first.
    pub first_heard_at: Timestamp,
    /// When it was heard last.
    pub heard_at: Timestamp,
    end: Option<State>,
    has_fixed_start: bool,
    first_heartbeat: u64,
    last_heartbeat: u64,
}

/// The processes at one location of a queue.
///
/// **Invariant:** at most [`PROCESSES_MAX`] of them, no two with the same number, in the order in which they were heard
/// last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agents {
    processes: Vec<Process>,
    heartbeats: u64,
    forgotten: u64,
}

impl Agents {
    /// Takes note of a heartbeat that was welcome, and was sent from here.
    pub fn observe(&mut self, heartbeat: &Heartbeat, now: Timestamp) -> Sighting {
        self.heartbeats = self.heartbeats.saturating_add(1);
        let mut process = Process::of(heartbeat, now, self.heartbeats);
        let place = self.processes.iter().position(|known| known.pid == heartbeat.pid);
        let sighting = match place.map(|place| self.processes.remove(place)) {
            Some(known) => process.follow(known),
            None => Sighting::New,
        };
        if self.processes.len() == PROCESSES_MAX {
            self.processes.remove(0);
            self.forgotten = self.forgotten.saturating_add(1);
        }
        self.processes.push(process);
        sighting
    }

    /// Takes note that a process was told to end, or in the first generation that another one takes its place. What is
    /// heard of it afterwards makes it one that runs.
    pub fn end(&mut self, pid: i64, is_upgrade: bool) {
        let end = if is_upgrade { State::Upgraded } else { State::Destroyed };
        if let Some(process) = self.processes.iter_mut().find(|process| process.pid == pid) {
            process.end = Some(end);
        }
    }

    /// The state of the location: the best one that a process has, and among those that are gone that of the one heard
    /// last. `None` before the first heartbeat.
    pub fn state(&self, now: Timestamp, timings: &Timings) -> Option<State> {
        let states = || self.processes.iter().map(|process| process.state(now, timings));
        states().filter(|state| *state <= State::Idle).min().or_else(|| states().next_back())
    }

    /// Whether several processes share the queue now.
    pub fn duplicates(&self, now: Timestamp, timings: &Timings) -> Duplicates {
        let is_recent = |process: &&Process| {
            let silence = now.since(process.heard_at);
            !process.is_checkin
                && process.end.is_none()
                && silence < timings.heartbeat_period.saturating_mul(RECENT_PERIODS)
        };
        let recent: Vec<&Process> = self.processes.iter().filter(is_recent).collect();
        let outlives = |one: &Process| recent.iter().any(|other| one.overlaps(other));
        let pids = || recent.iter().map(|process| process.pid).collect();
        match recent.len() {
            0 | 1 => Duplicates::None,
            _ if recent.iter().any(|process| outlives(process)) => Duplicates::Proven(pids()),
            _ => Duplicates::Suspected(pids()),
        }
    }

    /// The processes, the one heard last at the end.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// How many processes had to make room for others.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

impl Process {
    fn of(heartbeat: &Heartbeat, now: Timestamp, number: u64) -> Self {
        Self {
            pid: heartbeat.pid,
            is_checkin: heartbeat.mode == Mode::Checkin,
            started_at: heartbeat.started_at,
            refreshed_at: heartbeat.refreshed_at,
            first_heard_at: now,
            heard_at: now,
            end: None,
            has_fixed_start: heartbeat
                .sent_at
                .zip(heartbeat.started_at)
                .is_some_and(|(sent_at, started_at)| sent_at.since(started_at) > START_MOVES_WITHIN),
            first_heartbeat: number,
            last_heartbeat: number,
        }
    }

    /// Goes on where what was known under the same number ended.
    fn follow(&mut self, known: Self) -> Sighting {
        if known.has_fixed_start && self.started_at != known.started_at {
            return Sighting::Restarted;
        }
        let stands = known.refreshed_at.map(|refreshed_at| refreshed_at.plus(REFRESH_MIN));
        let is_refreshed = self.refreshed_at > stands;
        if !is_refreshed {
            self.refreshed_at = known.refreshed_at;
        }
        self.first_heard_at = known.first_heard_at;
        self.first_heartbeat = known.first_heartbeat;
        match known.end {
            Some(_) => Sighting::Survived,
            None if is_refreshed => Sighting::Refreshed,
            None => Sighting::Known,
        }
    }

    /// The state of its row. Where the time-out is shorter than what makes an agent idle, it is not heeded before.
    pub fn state(&self, now: Timestamp, timings: &Timings) -> State {
        let silence = now.since(self.heard_at);
        match self.end {
            Some(end) => end,
            None if silence <= timings.heartbeat_period.saturating_mul(IDLE_PERIODS) => State::Online,
            None if silence <= timings.agent_timeout => State::Idle,
            None => State::Offline,
        }
    }

    /// Whether it was heard again after another one had come.
    fn overlaps(&self, other: &Self) -> bool {
        self.first_heartbeat < other.first_heartbeat && other.first_heartbeat < self.last_heartbeat
    }
}
