//! What is counted of heartbeats since the start, and how reading them goes.

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::base::Timestamp;
use crate::base::meter::Counter;
use crate::proto::heartbeat::Verdict;

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
    /// How far behind the last batch was, in milliseconds: from when half of its heartbeats were sent, by the clocks of their hosts, to the
    /// commit.
    pub lag_ms: Option<u64>,
    /// When the last batch was committed.
    pub last: Option<Timestamp>,
}

#[derive(Default)]
pub(super) struct Meters {
    fates: [Counter; Fate::ALL.len()],
    reading: Mutex<Reading>,
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

    pub fn strange(&self) -> Vec<String> {
        self.strange.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn note_strange(&self, names: Vec<String>) {
        *self.strange.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    pub fn reading(&self) -> Reading {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn change(&self, by: impl FnOnce(&mut Reading)) {
        by(&mut self.reading.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
