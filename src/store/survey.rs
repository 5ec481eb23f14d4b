//! Surveys: reading that grows with what there is, away from the threads that answer everybody.

use std::ops::{Bound, Deref};

use redb::ReadableTable;
use serde::de::DeserializeOwned;

use super::chain::Head;
use super::table::{Key, Table, decode, decode_key};
use super::tx::ReadTx;
use super::{Store, fault};
use crate::base::{Error, Result};

/// Surveys at once. An appliance has two cores, and more surveys than these would only take each other's time and that
/// of the requests; two walks through a long log still leave room for pages. The others wait in line.
pub(super) const SURVEYS_MAX: usize = 4;

/// Audit entries read at once while verifying, so that memory stays flat.
const VERIFY_CHUNK: usize = 1000;

/// A view that may be read at length. It is handed out by [`Store::survey`] only, so that nothing long is read on a
/// thread that answers others: what a [`ReadTx`] offers is found by its key.
pub struct Survey<'s>(ReadTx<'s>);

impl<'s> Deref for Survey<'s> {
    type Target = ReadTx<'s>;

    fn deref(&self) -> &ReadTx<'s> {
        &self.0
    }
}

impl Store {
    /// Runs a closure that reads at length, on a thread for such work. A panic of it is an error like any other.
    ///
    /// It goes on when nobody waits for it any more, and keeps its place among those at work until it ends.
    pub async fn survey<T, F>(&self, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Survey<'_>) -> Result<T> + Send + 'static,
    {
        let failed = |e: &str| Error::internal("surveying the store", e.to_owned());
        let place = self.surveys.clone().acquire_owned().await.map_err(|e| failed(&e.to_string()))?;
        let store = self.clone();
        let work = move || {
            let surveyed = store.survey_here(closure);
            // Whoever hears of the end finds the store closed if this was the last that used it.
            drop((store, place));
            surveyed
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| failed(&e.to_string()))?
    }

    /// The same on this thread: for a start, while nobody is answered yet, and for work that has a thread of its own.
    pub fn survey_here<T>(&self, closure: impl FnOnce(&Survey<'_>) -> Result<T>) -> Result<T> {
        let (tx, keyring) = self.view()?;
        closure(&Survey(ReadTx::new(tx, &keyring, self.clock.now())))
    }

    /// Walks the whole audit chain and returns its head; the error names the first entry that does not fit. A chain
    /// whose beginning was pruned is walked from the checkpoint that stands for it.
    pub async fn verify_audit(&self) -> Result<Head> {
        self.survey(|tx| tx.verify_audit()).await
    }
}

impl Survey<'_> {
    /// At most `limit` records in the order of their keys, from a bound upwards.
    pub fn scan<K: Key, V: DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        from: Bound<&K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>> {
        let Some(open) = self.table(table.name())? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let from = from.map(ToString::to_string);
        let range = open.range::<&str>((from.as_ref().map(String::as_str), Bound::Unbounded));
        for row in range.map_err(|e| fault("reading the store", e))?.take(limit) {
            let (key, value) = row.map_err(|e| fault("reading the store", e))?;
            found.push((decode_key(table.name(), key.value())?, decode(table.name(), value.value())?));
        }
        Ok(found)
    }

    /// Looks at all records in the order of their keys, one at a time, so that memory stays flat.
    pub fn each<K: Key, V: DeserializeOwned>(&self, table: &Table<K, V>, mut look: impl FnMut(K, V)) -> Result<()> {
        let Some(open) = self.table(table.name())? else { return Ok(()) };
        let range = open.range::<&str>(..).map_err(|e| fault("reading the store", e))?;
        // From here on the closure may use the same table.
        drop(open);
        for row in range {
            let (key, value) = row.map_err(|e| fault("reading the store", e))?;
            look(decode_key(table.name(), key.value())?, decode(table.name(), value.value())?);
        }
        Ok(())
    }

    /// At most `limit` audit entries as they lie in the chain, from number `from` upwards.
    pub fn entries(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        let Some(log) = self.log()? else { return Ok(Vec::new()) };
        let range = log.range(from..).map_err(|e| fault("reading the audit log", e))?;
        range
            .take(limit)
            .map(|row| row.map(|(seq, bytes)| (seq.value(), bytes.value().to_vec())))
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| fault("reading the audit log", e))
    }

    /// Looks at all audit entries as they lie in the chain, one at a time and without a copy, until one is refused.
    pub fn each_entry(&self, mut look: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let Some(log) = self.log()? else { return Ok(()) };
        for row in log.iter().map_err(|e| fault("reading the audit log", e))? {
            let (seq, bytes) = row.map_err(|e| fault("reading the audit log", e))?;
            look(seq.value(), bytes.value())?;
        }
        Ok(())
    }

    /// Walks the whole audit chain, as [`Store::verify_audit`] does.
    pub fn verify_audit(&self) -> Result<Head> {
        let mut head = self.base_head()?;
        loop {
            let entries = self.entries(head.seq + 1, VERIFY_CHUNK)?;
            if entries.is_empty() {
                return Ok(head);
            }
            for (seq, bytes) in entries {
                head.check(seq, &bytes)?;
            }
        }
    }
}

/// The records of a table, a chunk at a time: whoever changes them meanwhile has one commit for each.
pub struct Chunks<K: 'static, V: 'static> {
    store: Store,
    table: &'static Table<K, V>,
    len: usize,
    last: Option<K>,
}

impl Store {
    /// All records of a table in the order of their keys, `len` of them at a time.
    pub fn chunks<K, V>(&self, table: &'static Table<K, V>, len: usize) -> Chunks<K, V> {
        Chunks { store: self.clone(), table, len, last: None }
    }
}

impl<K: Key + Clone + Send + 'static, V: DeserializeOwned + Send + 'static> Chunks<K, V> {
    /// The next ones, as they are now; none behind the last.
    pub async fn next(&mut self) -> Result<Option<Vec<(K, V)>>> {
        let (table, len, last) = (self.table, self.len, self.last.clone());
        let from = move |tx: &Survey<'_>| tx.scan(table, last.as_ref().map_or(Bound::Unbounded, Bound::Excluded), len);
        let rows = self.store.survey(from).await?;
        let Some((key, _)) = rows.last() else { return Ok(None) };
        self.last = Some(key.clone());
        Ok(Some(rows))
    }
}
