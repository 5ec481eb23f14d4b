//! A signed request works once: its mark is kept for as long as its time stamp would be accepted.
//!
//! The marks live in memory. A request that changed or was lent something also has its mark in its audit entry, and
//! from there a restart takes them up again; a request that left no entry did nothing that repeating could harm.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::verify::ReplayKey;
use crate::base::{Error, Result, Timestamp};
use crate::store::{Entry, ReadTx, Store};

/// How far a time stamp may lie from now, in seconds, and still be accepted (taskcluster.md 1.4).
const SKEW_SECONDS: i64 = 900;
/// The detail of an audit entry that holds the mark.
pub(super) const DETAIL: &str = "signed_request";
/// Marks kept at most, about 64 MB: two thousand signed requests a second, all the time. More are told to wait.
const MARKS_MAX: usize = 4 << 20;
/// Audit entries read at once when taking up marks after a start.
const CHUNK: usize = 1000;

/// The requests that were seen, by the second they were signed at.
#[derive(Default)]
pub(super) struct Replay {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    by_second: BTreeMap<i64, HashSet<u64>>,
    count: usize,
}

impl Replay {
    /// Takes up the marks that audit entries of the last half hour hold.
    pub(super) fn after_restart(store: &Store) -> Result<Self> {
        let replay = Self::default();
        store.read(|tx| {
            let since = tx.now().minus(std::time::Duration::from_secs(2 * SKEW_SECONDS.unsigned_abs()));
            let mut next = first_since(tx, since)?;
            loop {
                let entries = tx.entries(next, CHUNK)?;
                let Some((last, _)) = entries.last() else { return Ok(()) };
                next = last + 1;
                for (_, bytes) in &entries {
                    let entry: Entry = serde_json::from_slice(bytes)
                        .map_err(|e| Error::internal("taking up the marks of signed requests", e))?;
                    if let Some((second, mark)) = entry.details.get(DETAIL).and_then(|v| read_mark(v.as_str()?)) {
                        replay.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(second, mark);
                    }
                }
            }
        })?;
        Ok(replay)
    }

    /// Notes a request that passed all checks; refuses one that was noted before. Returns the mark in text form.
    pub(super) fn admit(&self, key: &ReplayKey, now: Timestamp) -> Result<String> {
        let (second, mark) = mark(key)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget_before(now.as_seconds() - SKEW_SECONDS);
        if seen.count >= MARKS_MAX {
            return Err(Error::busy("too many signed requests within the accepted clock skew: ask again later"));
        }
        match seen.insert(second, mark) {
            true => Ok(format!("{second}.{mark:016x}")),
            false => Err(Error::unauthenticated("Unauthorized: this signed request was used before; sign a new one")),
        }
    }
}

impl Seen {
    fn insert(&mut self, second: i64, mark: u64) -> bool {
        let fresh = self.by_second.entry(second).or_default().insert(mark);
        self.count += usize::from(fresh);
        fresh
    }

    fn forget_before(&mut self, second: i64) {
        while let Some(oldest) = self.by_second.first_entry().filter(|oldest| *oldest.key() < second) {
            self.count -= oldest.remove().len();
        }
    }
}

/// The second a request was signed at, and 64 bits that tell it from others of that second: who finds a collision of
/// two own requests has gained nothing.
fn mark(ReplayKey { id, ts, nonce }: &ReplayKey) -> Result<(i64, u64)> {
    let second = ts.parse().map_err(|_| Error::unauthenticated("Unauthorized: Stale timestamp"))?;
    let digest = Sha256::new().chain_update(id).chain_update("\n").chain_update(ts).chain_update("\n");
    let digest: [u8; 32] = digest.chain_update(nonce).finalize().into();
    Ok((second, digest.iter().take(8).fold(0, |mark, byte| mark << 8 | u64::from(*byte))))
}

fn read_mark(text: &str) -> Option<(i64, u64)> {
    let (second, mark) = text.split_once('.')?;
    Some((second.parse().ok()?, u64::from_str_radix(mark, 16).ok()?))
}

/// The number of the first audit entry at or after a moment, by halving: entries come in order of time, and where
/// a clock was set back the worst is to read more of them.
fn first_since(tx: &ReadTx<'_>, since: Timestamp) -> Result<u64> {
    let time_of = |seq| -> Result<Option<Timestamp>> {
        let entries = tx.entries(seq, 1)?;
        let Some((_, bytes)) = entries.first() else { return Ok(None) };
        let entry: Entry =
            serde_json::from_slice(bytes).map_err(|e| Error::internal("reading the audit log by time", e))?;
        Ok(Some(entry.time))
    };
    // **Invariant:** entries below `low` are too old; the one at `high` is young enough or not there.
    let (mut low, mut high) = (1, 1u64 << 48);
    while low < high {
        let middle = low + (high - low) / 2;
        match time_of(middle)? {
            Some(time) if time < since => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::audit::{Actor, Note};
    use crate::base::{Clock, Kind};

    fn key(id: &str, second: i64, nonce: &str) -> ReplayKey {
        ReplayKey { id: id.into(), ts: second.to_string(), nonce: nonce.into() }
    }

    #[test]
    fn a_request_is_admitted_once_while_its_time_stamp_is_accepted() {
        let replay = Replay::default();
        let now = Timestamp::from_millis(1_539_604_800_000);
        let second = now.as_seconds();
        assert!(replay.admit(&key("a", second, "n"), now).is_ok());
        let later = now.plus(Duration::from_secs(900));
        assert_eq!(replay.admit(&key("a", second, "n"), later).unwrap_err().kind(), Kind::Unauthenticated);
        assert!(replay.admit(&key("a", second, "other"), later).is_ok());
        assert!(replay.admit(&key("b", second, "n"), later).is_ok());
        replay.admit(&key("a", second + 901, "n"), later.plus(Duration::from_secs(1))).unwrap();
        assert_eq!(replay.seen.lock().unwrap().count, 1, "old marks are forgotten");
    }

    #[tokio::test]
    async fn a_restart_takes_up_the_marks_of_the_last_half_hour() {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let store = Store::memory(clock.clone()).unwrap();
        let replay = Replay::default();
        for id in ["long ago", "just now"] {
            clock.advance(Duration::from_secs(1801));
            let mark = replay.admit(&key(id, clock.now().as_seconds(), "n"), clock.now()).unwrap();
            let note = Note::done(Actor::Appliance, "namespace.claim", "x").with(DETAIL, mark);
            store
                .write(move |tx| {
                    tx.audit(note);
                    Ok(())
                })
                .await
                .unwrap();
        }
        let second = clock.now().as_seconds();
        clock.advance(Duration::from_secs(60));
        let replay = Replay::after_restart(&store).unwrap();
        assert!(replay.admit(&key("just now", second, "n"), clock.now()).is_err());
        assert!(replay.admit(&key("just now", second, "n2"), clock.now()).is_ok());
        assert_eq!(replay.seen.lock().unwrap().count, 2);
    }
}
