//! Notices that the clock was set: it went another way than a counter that nobody can set.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::{Clock, Timestamp};

/// How far clock and counter may be apart before somebody must have set the clock: more than time servers correct.
const SLACK: Duration = Duration::from_secs(5 * 60);

/// Clock and counter, since the start or since an operator accepted what the clock shows.
#[derive(Clone)]
pub struct ClockWatch {
    clock: Clock,
    base: Arc<Mutex<(Timestamp, Duration)>>,
}

impl ClockWatch {
    /// Believes what the clock shows now.
    pub fn new(clock: Clock) -> Self {
        let base = Arc::new(Mutex::new((clock.now(), clock.elapsed())));
        Self { clock, base }
    }

    /// What is wrong with the clock, if something is. It is over when the clock is set right again.
    pub fn look(&self) -> Option<String> {
        let (wall, counter) = *self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = wall.plus(self.clock.elapsed().saturating_sub(counter));
        let now = self.clock.now();
        let off = now.since(expected).max(expected.since(now));
        (off > SLACK).then(|| format!("the clock shows {now} where {expected} is expected: was it set?"))
    }

    /// Believes what the clock shows from now on.
    pub fn accept(&self) {
        let read = (self.clock.now(), self.clock.elapsed());
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = read;
    }
}
