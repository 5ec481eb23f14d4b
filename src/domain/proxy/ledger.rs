//! The record of calls in the store: many calls in one entry of the audit log and one commit. What a task hears of an answer
//! waits for the commit that holds it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::call::{Call, Settled};
use super::meters::Meters;
use crate::base::audit::{Action, Outcome};
use crate::base::{Error, ProxySessionId, Result, Secret, Timestamp, text};
use crate::domain::auth::Caller;
use crate::store::{Store, Table, WriteTx};

/// Calls that are over, by session and time.
pub(super) const CALLS: Table<CallId, CallRecord> = Table::plain("proxy_calls");
/// Calls that one commit records. An entry of the audit log has some 40 KB then.
const BATCH_MAX: usize = 128;
/// Entries that may wait or have a place: two for each call of thirty sessions that ask as much as one may.
const WAITING_MAX: usize = 8192;

/// Calls of one session that its list has. All of them are in the audit log.
const CALLS_KEPT_MAX: u64 = 1000;
/// Who writes the entries.
const LOOP: &str = "proxy";

/// A call of a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallId {
    pub session: ProxySessionId,
    /// The order in which calls ended.
    pub number: u64,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:020}", self.session, self.number)
    }
}

impl FromStr for CallId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::invalid("not the id of a call");
        let (session, number) = text.split_once('/').ok_or_else(invalid)?;
        Ok(Self { session: ProxySessionId::parse(session)?, number: number.parse().map_err(|_| invalid())? })
    }
}

/// A call that is over, as it is stored and shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallRecord {
    /// When it was over.
    pub ended: Timestamp,
    /// Who asked.
    pub peer: String,
    /// The upstream.
    pub upstream: String,
    /// The method.
    pub method: String,
    /// The URL without its query.
    pub url: String,
    /// A hash of the query, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The status that the task got; 0 for none.
    pub status: u16,
    /// Why it was not the upstream's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// By what the upstream's log calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Bytes, time, and whether it broke off.
    #[serde(flatten)]
    pub settled: Settled,
}

/// What is to be written down.
pub(super) enum Entry {
    /// A call is about to be answered. Who waits hears whether that is recorded.
    Answered(Box<Call>, oneshot::Sender<bool>),
    /// A call is over.
    Ended(Box<Call>, Settled),
    /// A token was minted, or could not be.
    Minted(Box<Minting>, oneshot::Sender<bool>),
}

/// A token that a session got, or why it got none.
pub(super) struct Minting {
    pub session: ProxySessionId,
    pub upstream: String,
    pub permissions: String,
    pub outcome: Result<(Secret, Timestamp), String>,
}

/// Writes down what calls do. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    sender: mpsc::Sender<Entry>,
    meters: Arc<Meters>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

/// The other end: what waits to be written.
pub struct Waiting(mpsc::Receiver<Entry>, Arc<Meters>);

/// A place in the ledger for one call, from its beginning to its end.
pub struct LedgerPlace {
    answered: Option<mpsc::OwnedPermit<Entry>>,
    ended: Option<mpsc::OwnedPermit<Entry>>,
}

impl fmt::Debug for LedgerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerPlace")
    }
}

impl Ledger {
    /// A ledger, and what [`Waiting::keep`] writes.
    pub fn new() -> (Self, Waiting) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let meters = Arc::<Meters>::default();
        (Self { sender, meters: meters.clone() }, Waiting(receiver, meters))
    }

    /// A place for a call that is about to be made, after so many of its session; nothing when there is none.
    pub(super) fn reserve(&self, before: u64) -> Option<LedgerPlace> {
        let place = || self.sender.clone().try_reserve_owned().ok();
        let ended = if before < CALLS_KEPT_MAX { Some(place()?) } else { None };
        Some(LedgerPlace { answered: Some(place()?), ended })
    }

    /// What is counted.
    pub(super) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Writes down that a token was minted, or not.
    pub(super) async fn minted(&self, minting: Minting) -> Result<()> {
        let (done, outcome) = oneshot::channel();
        let sent = self.sender.send(Entry::Minted(minting.into(), done)).await;
        let recorded = sent.is_ok() && outcome.await.unwrap_or(false);
        if recorded { Ok(()) } else { Err(unrecorded()) }
    }
}

fn unrecorded() -> Error {
    Error::busy("what the proxy does cannot be recorded now: ask again in a moment")
}

impl LedgerPlace {
    pub(super) async fn answered(&mut self, call: &Call) -> Result<()> {
        let Some(place) = self.answered.take() else { return Ok(()) };
        let (done, outcome) = oneshot::channel();
        place.send(Entry::Answered(call.clone().into(), done));
        if outcome.await.unwrap_or(false) { Ok(()) } else { Err(unrecorded()) }
    }

    /// Notes the end. A call that was made and whose task did not wait for the answer is in the audit log, too.
    pub(super) fn ended(self, call: Call, settled: Settled) {
        if let Some(place) = self.answered {
            let (nobody, _) = oneshot::channel();
            place.send(Entry::Answered(call.clone().into(), nobody));
        }
        if let Some(place) = self.ended {
            place.send(Entry::Ended(call.into(), settled));
        }
    }
}

impl Waiting {
    /// Writes down all that comes until `stop`, and then what is under way. While a commit is made, more gather for the next.
    pub async fn keep(mut self, store: Store, stop: CancellationToken) {
        let mut number = u64::try_from(store.clock().now().as_millis()).unwrap_or_default() * 1_000;
        let mut entries = Vec::new();
        loop {
            tokio::select! {
                () = stop.cancelled(), if !self.0.is_closed() => self.0.close(),
                count = self.0.recv_many(&mut entries, BATCH_MAX) => if count == 0 {
                    return;
                },
            }
            let (batch, waiting) = Batch::of(std::mem::take(&mut entries), &mut number);
            batch.count(&self.1, store.clock().now());
            let outcome = store.write(move |tx| batch.write(tx)).await;
            if let Err(error) = &outcome {
                self.1.lose(waiting.len(), store.clock().now());
                tracing::error!("calls of the proxy cannot be recorded, and are answered with 503: {}", error.chain());
            }
            for who in waiting {
                // They may be gone.
                let _ = who.send(outcome.is_ok());
            }
        }
    }
}

/// What one commit holds.
#[derive(Default)]
struct Batch {
    answered: Vec<Value>,
    ended: Vec<(CallId, CallRecord)>,
    mintings: Vec<Minting>,
}

impl Batch {
    fn of(entries: Vec<Entry>, number: &mut u64) -> (Self, Vec<oneshot::Sender<bool>>) {
        let (mut batch, mut waiting) = (Self::default(), Vec::new());
        for entry in entries {
            match entry {
                Entry::Answered(call, done) => {
                    batch.answered.push(json!(call));
                    waiting.push(done);
                }
                Entry::Minted(minting, done) => {
                    batch.mintings.push(*minting);
                    waiting.push(done);
                }
                Entry::Ended(call, settled) => {
                    *number += 1;
                    batch.ended.extend(record(*call, settled, *number));
                }
            }
        }
        (batch, waiting)
    }

    fn count(&self, meters: &Meters, now: Timestamp) {
        for (_, call) in &self.ended {
            meters.call(call.status);
        }
        for Minting { upstream, outcome, .. } in &self.mintings {
            meters.mint(upstream, now, outcome.as_ref().err().map(String::as_str));
        }
    }

    fn write(self, tx: &mut WriteTx<'_, '_>) -> Result<()> {
        let caller = Caller::of_loop(LOOP);
        if !self.answered.is_empty() {
            let object = text::pluralize(self.answered.len(), "call", "calls");
            tx.audit(caller.note(Action::ProxyCalls, object).with("calls", self.answered));
        }
        for Minting { session, upstream, permissions, outcome } in self.mintings {
            let note =
                caller.note(Action::ProxyMint, &session).with("upstream", upstream).with("permissions", permissions);
            tx.audit(match outcome {
                Ok((token, ends)) => note.about(&token).with("ends", ends.to_string()),
                Err(cause) => note.with("cause", cause).outcome(Outcome::Failed),
            });
        }
        for (id, mut record) in self.ended {
            record.ended = tx.now();
            tx.put(&CALLS, &id, &record)?;
        }
        Ok(())
    }
}

fn record(call: Call, settled: Settled, number: u64) -> Option<(CallId, CallRecord)> {
    let Call { session, peer, upstream, method, url, query, status, cause, request_id, .. } = call;
    let session = ProxySessionId::parse(&session).ok()?;
    let ended = Timestamp::from_civil(jiff::civil::DateTime::ZERO);
    let peer = peer.to_string();
    Some((
        CallId { session, number },
        CallRecord { ended, peer, upstream, method, url, query, status, cause, request_id, settled },
    ))
}
