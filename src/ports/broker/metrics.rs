//! How the calls of a broker ended, and how long they took.

use std::time::Duration;

use crate::base::meter::{Counter, Histogram};
use crate::base::{Kind, Result};

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Calls {
    /// Calls that the broker carried out or answered.
    pub answered: Counter,
    /// Calls that it refused: a name or a pattern that it does not take, something that is not there.
    pub refused: Counter,
    /// Calls without a good answer: it is away, too slow, in trouble, or refuses our login or rights.
    pub failed: Counter,
    /// How long they took, repetitions included, without the wait for their turn.
    pub took: Histogram,
}

impl Calls {
    /// Counts a call.
    pub(super) fn count<T>(&self, outcome: &Result<T>, took: Duration) {
        match outcome {
            Ok(_) => self.answered.one(),
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Internal | Kind::Busy) => self.failed.one(),
            Err(_) => self.refused.one(),
        }
        self.took.add(took);
    }
}
