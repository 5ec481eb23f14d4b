//! A signed request works once: its mark is kept for as long as its time stamp would be accepted, also by a clock that
//! jumps ahead and is set back.
//!
//! The marks live in memory. A request that changed or was lent something also has its mark in its audit entry, and
//! from there a restart takes them up again; a request that left no entry did nothing that repeating could harm.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::verify::ReplayKey;
use crate::base::audit::Action;
use crate::base::{Clock, Error, Result, Timestamp};
use crate::store::{Entry, Store, Survey};

/// How far a time stamp may lie from now, in seconds, and still be accepted (taskcluster.md 1.4).
const SKEW_SECONDS: i64 = 900;
/// How long a time stamp can be accepted, from fifteen minutes before its time to as long after.
const ACCEPTED: Duration = Duration::from_secs(2 * SKEW_SECONDS.unsigned_abs());
/// The detail of an audit entry that holds the mark.
pub(super) const DETAIL: &str = "signed_request";
/// The action of the entry that says that the store was made from a backup; see `domain::backups`.
const RESTORED: Action = Action::StoreRestore;
/// Marks kept at most, about 64 MB: two thousand signed requests a second, all the time. More are told to wait.
const MARKS_MAX: usize = 4 << 20;
/// Audit entries read at once when taking up marks after a start.
const CHUNK: usize = 1000;

/// The requests that were seen, by the second they were signed at.
pub(super) struct Replay {
    seen: Mutex<Seen>,
    /// Nothing signed before this second is admitted: the store was restored then, and lacks the marks of what was
    /// admitted between its backup and that.
    floor: AtomicI64,
    clock: Clock,
}

#[derive(Default)]
struct Seen {
    by_second: BTreeMap<i64, Second>,
    count: usize,
}

/// What was signed in one second.
#[derive(Default)]
struct Second {
    marks: HashSet<u64>,
    /// When the last of them was noted, by [`Clock::elapsed`].
    noted: Duration,
}

impl Replay {
    fn new(clock: Clock) -> Self {
        Self { seen: Mutex::default(), floor: AtomicI64::new(i64::MIN), clock }
    }

    /// Takes up the marks that audit entries of the last half hour hold.
    pub(super) fn after_restart(store: &Store) -> Result<Self> {
        let replay = Self::new(store.clock());
        let elapsed = replay.clock.elapsed();
        if store.restored_from()?.is_some() {
            replay.raise_floor(replay.clock.now());
        }
        // At the start nobody is answered yet.
        store.survey_here(|tx| {
            let since = tx.now().minus(ACCEPTED);
            let mut next = first_since(tx, since)?;
            loop {
                let entries = tx.entries(next, CHUNK)?;
                let Some((last, _)) = entries.last() else { return Ok(()) };
                next = last + 1;
                for (_, bytes) in &entries {
                    let entry: Entry = serde_json::from_slice(bytes)
                        .map_err(|e| Error::internal("taking up the marks of signed requests", e))?;
                    if entry.action == RESTORED.as_str() {
                        replay.raise_floor(entry.time);
                    }
                    if let Some((second, mark)) = entry.details.get(DETAIL).and_then(|v| read_mark(v.as_str()?)) {
                        replay.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(second, mark, elapsed);
                    }
                }
            }
        })?;
        Ok(replay)
    }

    fn raise_floor(&self, to: Timestamp) {
        self.floor.fetch_max(to.as_seconds(), Ordering::Relaxed);
    }

    /// Notes a request that passed all checks; refuses one that was noted before. Returns the mark in text form.
    pub(super) fn admit(&self, key: &ReplayKey, now: Timestamp) -> Result<String> {
        let (second, mark) = mark(key)?;
        if second < self.floor.load(Ordering::Relaxed) {
            return Err(Error::unauthenticated(
                "Unauthorized: this request was signed before the store was restored; sign a new one",
            ));
        }
        let elapsed = self.clock.elapsed();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget_before(now.as_seconds() - SKEW_SECONDS, elapsed);
        if seen.count >= MARKS_MAX {
            return Err(Error::busy("too many signed requests within the accepted clock skew: ask again later"));
        }
        if seen.insert(second, mark, elapsed) {
            Ok(format!("{second}.{mark:016x}"))
        } else {
            Err(Error::unauthenticated("Unauthorized: this signed request was used before; sign a new one"))
        }
    }
}

impl Seen {
    fn insert(&mut self, second: i64, mark: u64, elapsed: Duration) -> bool {
        let Second { marks, noted } = self.by_second.entry(second).or_default();
        let fresh = marks.insert(mark);
        *noted = elapsed.max(*noted);
        self.count += usize::from(fresh);
        fresh
    }

    /// Forgets what was signed before this second, unless only a clock that was set says that it is that long ago.
    fn forget_before(&mut self, second: i64, elapsed: Duration) {
        let is_over = |of: i64, Second { noted, .. }: &Second| of < second && elapsed.saturating_sub(*noted) > ACCEPTED;
        while let Some(oldest) = self.by_second.first_entry().filter(|oldest| is_over(*oldest.key(), oldest.get())) {
            self.count -= oldest.remove().marks.len();
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
fn first_since(tx: &Survey<'_>, since: Timestamp) -> Result<u64> {
    let time_of = |seq| -> Result<Option<Timestamp>> {
        let Some(bytes) = tx.entries(seq, 1)?.pop().map(|(_, bytes)| bytes) else { return Ok(None) };
        let entry: Entry =
            serde_json::from_slice(&bytes).map_err(|e| Error::internal("reading the audit log by time", e))?;
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
    use super::*;
    use crate::base::audit::{Actor, Note};
    use crate::base::{Clock, Kind};
    use crate::store::KeySource;

    fn key(id: &str, second: i64, nonce: &str) -> ReplayKey {
        ReplayKey { id: id.into(), ts: second.to_string(), nonce: nonce.into() }
    }

    fn replay() -> Replay {
        Replay::new(Clock::manual(Timestamp::from_millis(1_539_604_800_000)))
    }

    #[test]
    fn a_request_is_admitted_once_while_its_time_stamp_is_accepted() {
        let replay = replay();
        let clock = replay.clock.clone();
        let second = clock.now().as_seconds();
        let admit = |id, second, nonce| replay.admit(&key(id, second, nonce), clock.now());
        assert!(admit("a", second, "n").is_ok());
        clock.advance(Duration::from_secs(900));
        assert_eq!(admit("a", second, "n").unwrap_err().kind(), Kind::Unauthenticated);
        assert!(admit("a", second, "other").is_ok());
        assert!(admit("b", second, "n").is_ok());
        clock.advance(Duration::from_secs(1801));
        admit("a", second + 2701, "n").unwrap();
        assert_eq!(replay.seen.lock().unwrap().count, 1, "old marks are forgotten");
    }

    #[test]
    fn a_clock_that_jumps_ahead_and_back_lets_nothing_in_twice() {
        let replay = replay();
        let (clock, now) = (replay.clock.clone(), replay.clock.now());
        let admit = |moment: Timestamp| replay.admit(&key("a", moment.as_seconds(), "n"), clock.now());
        admit(now).unwrap();
        clock.set(now.plus(Duration::from_secs(86_400)));
        admit(clock.now()).unwrap();
        clock.set(now);
        assert_eq!(admit(now).unwrap_err().kind(), Kind::Unauthenticated);
    }

    #[tokio::test]
    async fn a_restart_takes_up_the_marks_of_the_last_half_hour() {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let store = Store::memory(clock.clone()).unwrap();
        let replay = Replay::new(clock.clone());
        for id in ["long ago", "just now"] {
            clock.advance(Duration::from_secs(1801));
            let mark = replay.admit(&key(id, clock.now().as_seconds(), "n"), clock.now()).unwrap();
            let note = Note::done(Actor::Appliance, Action::NamespaceClaim, "x").with(DETAIL, mark);
            store.note(note).await.unwrap();
        }
        let second = clock.now().as_seconds();
        clock.advance(Duration::from_secs(60));
        let replay = Replay::after_restart(&store).unwrap();
        assert!(replay.admit(&key("just now", second, "n"), clock.now()).is_err());
        assert!(replay.admit(&key("just now", second, "n2"), clock.now()).is_ok());
        assert_eq!(replay.seen.lock().unwrap().count, 2);
    }

    #[tokio::test]
    async fn a_store_that_was_restored_admits_nothing_signed_before() {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let dir = tempfile::tempdir().unwrap();
        let (key_source, file) = (KeySource::Given([0; 32]), dir.path().join("backup"));
        let store = Store::memory(clock.clone()).unwrap();
        store.back_up(std::fs::File::create(&file).unwrap()).unwrap();
        // It is admitted, and what that leaves is lost.
        let second = clock.now().as_seconds() + 5;
        clock.advance(Duration::from_secs(10));
        let data = dir.path().join("data");
        Store::restore(&file, &data, &key_source, &clock).unwrap();
        let store = Store::open(&data, &key_source, clock.clone()).unwrap();
        let at_first = Replay::after_restart(&store).unwrap();
        // The first start writes that down, the next one knows it from the log.
        let note = Note::done(Actor::Appliance, RESTORED, "store");
        store.note(note).await.unwrap();
        store.forget_restored().await.unwrap();
        for replay in [at_first, Replay::after_restart(&store).unwrap()] {
            let error = replay.admit(&key("a", second, "n"), clock.now()).unwrap_err();
            assert!(error.message().contains("before the store was restored"), "{}", error.message());
            replay.admit(&key("a", clock.now().as_seconds(), "n"), clock.now()).unwrap();
        }
    }
}
