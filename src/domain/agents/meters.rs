//! What is counted of heartbeats since the start, and how reading them goes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::list_file::ListFile;
use super::view::AgentLine;

use crate::base::Timestamp;
use crate::base::meter::Counter;
use crate::proto::heartbeat::Verdict;
use crate::proto::relay_profile;

/// Heartbeats whose lag is looked at: clocks of hosts differ, and half of so many are hardly wrong in one direction.
const LAGS: usize = 256;

/// From so many agents on, pages, alarms and metrics share a look at them, for so long.
const LARGE: usize = 1000;
const LINES_FRESH: Duration = Duration::from_secs(5);

/// What becomes of a heartbeat, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was taken.
    Taken,
    /// It is too long, or cannot be read.
    Unreadable,
    /// It is too old.
    Expired,
    /// It is of another time than ours.
    FromTheFuture,
    /// A text or its mode is none that there can be, or something is missing.
    Malformed,
    /// Its location is another host's.
    OtherHost,
    /// The host was not proven.
    Unproven,
    /// The whitelist does not have it.
    NotListed,
    /// There are too many agents already.
    Full,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Taken,
        Self::Unreadable,
        Self::Expired,
        Self::FromTheFuture,
        Self::Malformed,
        Self::OtherHost,
        Self::Unproven,
        Self::NotListed,
        Self::Full,
    ];

    /// One word for metrics. It never changes.
    pub fn code(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Unreadable => "unreadable",
            Self::Expired => "expired",
            Self::FromTheFuture => "from-the-future",
            Self::Malformed => "malformed",
            Self::OtherHost => "other-host",
            Self::Unproven => "unproven",
            Self::NotListed => "not-listed",
            Self::Full => "full",
        }
    }
}

impl From<&Verdict> for Fate {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Welcome => Self::Taken,
            Verdict::Expired => Self::Expired,
            Verdict::FromTheFuture => Self::FromTheFuture,
            Verdict::Missing(_)
            | Verdict::BadMode
            | Verdict::LongName
            | Verdict::LongVersion
            | Verdict::NoQueue
            | Verdict::LongQueue => Self::Malformed,
        }
    }
}

/// How the queue of heartbeats is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Since when it is read without a break; `None` while it is not.
    pub since: Option<Timestamp>,
    /// Why not.
    pub trouble: Option<String>,
    /// Since when there is that trouble.
    pub trouble_since: Option<Timestamp>,
    /// How late half of the last heartbeats were kept, in milliseconds since they were sent by the clocks of their hosts.
    pub lag_ms: Option<u64>,
    /// When the last batch was committed.
    pub last: Option<Timestamp>,
}

#[derive(Default)]
pub(super) struct Meters {
    fates: [Counter; Fate::ALL.len()],
    reading: Mutex<Reading>,
    /// How late the last heartbeats were kept, in milliseconds.
    lags: Mutex<VecDeque<u64>>,
    /// How the scheduler's file stood at the last look.
    list: Mutex<ListFile>,
    /// All agents as they were a moment ago, and when on the steady clock.
    lines: Mutex<Option<(Duration, Arc<Vec<AgentLine>>)>>,
    /// What accounts were adjusted to last.
    adjusted_to: Mutex<Option<relay_profile::Agents>>,
    /// Exchanges that are called as queues of agents are, as of the last look.
    strange: Mutex<Vec<String>>,
}

impl Meters {
    pub fn count(&self, fate: Fate, count: u64) {
        if let Some(place) = Fate::ALL.iter().position(|each| *each == fate) {
            self.fates[place].add(count);
        }
    }

    pub fn fates(&self) -> impl Iterator<Item = (Fate, u64)> {
        Fate::ALL.into_iter().zip(self.fates.iter().map(Counter::count))
    }

    pub fn list(&self) -> ListFile {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn note_list(&self, state: ListFile) {
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The agents of a large fleet, if they were looked at a moment ago.
    pub fn lines(&self, now: Duration) -> Option<Arc<Vec<AgentLine>>> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lines.filter(|(at, _)| now.saturating_sub(*at) < LINES_FRESH).map(|(_, lines)| lines)
    }

    /// Keeps them for those who look next. Of a small fleet it is as well to look again.
    pub fn note_lines(&self, now: Duration, lines: &Arc<Vec<AgentLine>>) {
        if lines.len() >= LARGE {
            *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, lines.clone()));
        }
    }

    pub fn is_adjusted_to(&self, declared: &relay_profile::Agents) -> bool {
        self.adjusted_to.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(declared)
    }

    pub fn note_adjusted_to(&self, declared: &relay_profile::Agents) {
        *self.adjusted_to.lock().unwrap_or_else(PoisonError::into_inner) = Some(declared.clone());
    }

    pub fn strange(&self) -> Vec<String> {
        self.strange.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn note_strange(&self, names: Vec<String>) {
        *self.strange.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    pub fn reading(&self) -> Reading {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes when the heartbeats of a batch that was kept now were sent.
    pub fn note_batch(&self, sent: &[Timestamp], now: Timestamp) {
        let median = {
            let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
            let new = sent.iter().map(|sent| u64::try_from(now.since(*sent).as_millis()).unwrap_or(u64::MAX));
            lags.extend(new);
            let surplus = lags.len().saturating_sub(LAGS);
            lags.drain(..surplus);
            let mut sorted: Vec<u64> = lags.iter().copied().collect();
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).copied()
        };
        self.change(|reading| (reading.last, reading.lag_ms) = (Some(now), median.or(reading.lag_ms)));
    }

    pub fn change(&self, by: impl FnOnce(&mut Reading)) {
        by(&mut self.reading.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
