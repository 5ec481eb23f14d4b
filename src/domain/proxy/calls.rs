//! The record of each call. A call has a place in the record before it is made: nothing is answered that is not written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::call::{Call, Settled};
use super::ledger::{Ledger, LedgerPlace};
use crate::base::{Error, Result};

/// Records that may wait for whoever writes them.
const WAITING_MAX: usize = 4096;

/// Where calls are written down.
#[derive(Clone, Debug)]
pub enum Recorder {
    /// As lines, by whoever receives them.
    Lines(mpsc::Sender<Line>),
    /// In the store, counted for their session.
    Ledger(Ledger, Arc<AtomicU64>),
}

/// A call that is over, for a log.
#[derive(Debug)]
pub struct Line {
    /// The call.
    pub call: Call,
    /// Its end.
    pub settled: Settled,
}

/// A place in the record, for one call.
#[derive(Debug)]
pub enum Place {
    /// Of a log.
    Line(mpsc::OwnedPermit<Line>),
    /// Of the store.
    Ledger(Box<LedgerPlace>),
}

impl Recorder {
    /// Lines, and who receives them.
    pub fn lines() -> (Self, mpsc::Receiver<Line>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self::Lines(sender), receiver)
    }

    /// A place for a call that is about to be made. `Busy` when there is none: the call must not be made.
    pub fn reserve(&self) -> Result<Place> {
        let full = || Error::busy("calls cannot be recorded now, so none are made: ask again in a moment");
        match self {
            Self::Lines(sender) => sender.clone().try_reserve_owned().map(Place::Line).map_err(|_| full()),
            Self::Ledger(ledger, calls) => {
                let place = ledger.reserve(calls.load(Ordering::Relaxed)).ok_or_else(full)?;
                calls.fetch_add(1, Ordering::Relaxed);
                Ok(Place::Ledger(place.into()))
            }
        }
    }
}

impl Place {
    /// Notes that a call is answered with this. It is as safe as it gets before the task sees a byte.
    pub async fn answered(&mut self, call: &Call) -> Result<()> {
        match self {
            Self::Line(_) => Ok(()),
            Self::Ledger(place) => place.answered(call).await,
        }
    }

    /// Notes the end of it.
    pub fn ended(self, call: Call, settled: Settled) {
        match self {
            Self::Line(permit) => {
                permit.send(Line { call, settled });
            }
            Self::Ledger(place) => place.ended(call, settled),
        }
    }
}
