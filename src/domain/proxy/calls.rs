//! The record of each call. A call has a place in the record before it is made: nothing is answered that is not written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::mpsc;

use super::ledger::{Ledger, LedgerPlace};
use crate::base::{Error, Result};

/// Records that may wait for whoever writes them.
const WAITING_MAX: usize = 4096;

/// One call, as it is written down.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// The session.
    #[serde(serialize_with = "as_text")]
    pub session: Arc<str>,
    /// Who asked: an address with a port, or a user.
    pub peer: String,
    /// The upstream.
    pub upstream: String,
    /// The method.
    pub method: String,
    /// The URL without its query.
    pub url: String,
    /// A hash of the query, if there was one: the same queries can be told, and not what they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What the token was limited to, as a hash of the permissions.
    #[serde(serialize_with = "as_text")]
    pub permissions: Arc<str>,
    /// The status that the task got.
    pub status: u16,
    /// Why it was not the upstream's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// By what the upstream's log calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// What is known of a call only at its end.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Settled {
    /// Bytes of the request's body.
    pub sent_bytes: u64,
    /// Bytes of the answer's body.
    pub received_bytes: u64,
    /// From the request to the end of the answer.
    pub took_ms: u64,
    /// Whether either body broke off.
    pub is_broken: bool,
}

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

impl Settled {
    /// With the time that a call took.
    #[must_use]
    pub fn after(mut self, took: Duration) -> Self {
        self.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self
    }
}
