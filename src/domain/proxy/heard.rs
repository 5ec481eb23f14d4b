//! When the worker of a session was heard of. It is in memory only: a session does not outlive the process anyway.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::{Error, Result};

/// Less is the silence of a worker on a busy host.
const WITHIN_MIN: Duration = Duration::from_secs(10);
/// For more than an hour, the end of the session itself is what it lasts to.
const WITHIN_MAX: Duration = Duration::from_secs(60 * 60);

/// Why a session ended that its worker may open once more: nobody decided that it should be over.
pub(super) const STOPPED: &str = "the appliance was stopped";
pub(super) const STARTED_ANEW: &str = "the appliance was started anew";
pub(super) const NOT_HEARD: &str = "its worker was not heard of";
pub(super) const UNDECIDED: [&str; 3] = [STOPPED, STARTED_ANEW, NOT_HEARD];

/// When a worker was heard of, by the steady clock.
#[derive(Debug)]
pub struct Heard {
    within: Duration,
    last_ms: AtomicU64,
}

impl Heard {
    /// Of one that is heard of now, and is to be each time within `within`.
    pub(super) fn new(within: Duration, now: Duration) -> Result<Self> {
        if !(WITHIN_MIN..=WITHIN_MAX).contains(&within) {
            let (min, max) = (WITHIN_MIN.as_secs(), WITHIN_MAX.as_secs());
            return Err(Error::invalid(format!("heardWithinSeconds is a number from {min} to {max}")));
        }
        Ok(Self { within, last_ms: AtomicU64::new(millis(now)) })
    }

    pub(super) fn hear(&self, now: Duration) {
        self.last_ms.fetch_max(millis(now), Ordering::Relaxed);
    }

    pub(super) fn is_silent(&self, now: Duration) -> bool {
        millis(now).saturating_sub(self.last_ms.load(Ordering::Relaxed)) >= millis(self.within)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
