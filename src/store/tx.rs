//! Transactions: what a closure may do inside `store.read` and `store.write`.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use serde::de::DeserializeOwned;

use super::chain::{Entry, Head};
use super::keyring::Keyring;
use super::seal::Sealed;
use super::table::{Key, Table, Value, decode, decode_key, encode};
use super::{AUDIT, fault};
use crate::base::audit::Note;
use crate::base::{Error, Result, Secret, Timestamp};

/// A row of a table as it lies in the file.
type RawRow = (String, Vec<u8>);
/// What one closure wants of the records: by table and key the new bytes, or nothing for one that goes.
type Changes = BTreeMap<&'static str, BTreeMap<String, Option<Vec<u8>>>>;
/// A table of a read transaction.
type OpenForReading = ReadOnlyTable<&'static str, &'static [u8]>;
/// A table of a write transaction.
type OpenTable<'t> = redb::Table<'t, &'static str, &'static [u8]>;

pub(super) const fn definition(name: &str) -> TableDefinition<'_, &'static str, &'static [u8]> {
    TableDefinition::new(name)
}

/// A consistent view of the store, to look up what is known by its key. It cannot change anything and sees no commit that
/// comes later.
pub struct ReadTx<'s> {
    pub(super) tx: ReadTransaction,
    /// Tables that the closure used: opening one costs more than reading a record of it.
    tables: RefCell<HashMap<String, OpenForReading>>,
    pub(super) keyring: &'s Keyring,
    now: Timestamp,
}

impl<'s> ReadTx<'s> {
    pub(super) fn new(tx: ReadTransaction, keyring: &'s Keyring, now: Timestamp) -> Self {
        Self { tx, tables: RefCell::default(), keyring, now }
    }

    /// One moment for the whole closure.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The record of a key.
    pub fn get<K: Key, V: DeserializeOwned>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>> {
        let Some(open) = self.table(table.name())? else { return Ok(None) };
        let bytes = open.get(key.to_string().as_str()).map_err(|e| fault("reading the store", e))?;
        bytes.map(|bytes| decode(table.name(), bytes.value())).transpose()
    }

    /// How many records a table holds.
    pub fn count<K, V>(&self, table: &Table<K, V>) -> Result<u64> {
        use redb::ReadableTableMetadata;
        let Some(open) = self.table(table.name())? else { return Ok(0) };
        open.len().map_err(|e| fault("reading the store", e))
    }

    /// Opens a secret that was sealed for this table and key.
    pub fn open<K: Key, V>(&self, table: &Table<K, V>, key: &K, sealed: &Sealed) -> Result<Secret> {
        self.keyring.open(table.name(), &key.to_string(), sealed)
    }

    /// The audit entry of a number, as it lies in the chain.
    pub fn entry(&self, seq: u64) -> Result<Option<Vec<u8>>> {
        let Some(log) = self.log()? else { return Ok(None) };
        let entry = log.get(seq).map_err(|e| fault("reading the audit log", e))?;
        Ok(entry.map(|bytes| bytes.value().to_vec()))
    }

    /// Number of the last audit entry.
    pub fn last_entry(&self) -> Result<Option<u64>> {
        let Some(log) = self.log()? else { return Ok(None) };
        let last = log.last().map_err(|e| fault("reading the audit log", e))?;
        Ok(last.map(|(seq, _)| seq.value()))
    }

    /// The audit log; none before its first entry.
    pub(super) fn log(&self) -> Result<Option<ReadOnlyTable<u64, &'static [u8]>>> {
        match self.tx.open_table(AUDIT) {
            Ok(open) => Ok(Some(open)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(e) => Err(fault("reading the audit log", e)),
        }
    }

    /// The table, opened once for the closure.
    pub(super) fn table(&self, name: &str) -> Result<Option<RefMut<'_, OpenForReading>>> {
        let mut tables = self.tables.borrow_mut();
        if !tables.contains_key(name) {
            match self.tx.open_table(definition(name)) {
                Ok(open) => {
                    tables.insert(name.to_owned(), open);
                }
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(e) => return Err(fault("reading the store", e)),
            }
        }
        Ok(RefMut::filter_map(tables, |tables| tables.get_mut(name)).ok())
    }
}

fn rows(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    from: Bound<String>,
    limit: usize,
) -> Result<Vec<RawRow>> {
    let from = from.as_ref().map(String::as_str);
    let range = table.range::<&str>((from, Bound::Unbounded)).map_err(|e| fault("reading the store", e))?;
    range
        .take(limit)
        .map(|row| row.map(|(key, value)| (key.value().to_owned(), value.value().to_vec())))
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| fault("reading the store", e))
}

fn decode_rows<K: Key, V: DeserializeOwned>(table: &Table<K, V>, rows: Vec<RawRow>) -> Result<Vec<(K, V)>> {
    rows.into_iter().map(|(key, bytes)| Ok((decode_key(table.name(), &key)?, decode(table.name(), &bytes)?))).collect()
}

/// A value whose audit entry is durable. Whoever hands out a credential asks for one of these.
///
/// **Invariant:** made only by [`WriteTx::lend`], and a closure's result leaves `store.write` only after the commit.
#[derive(Debug)]
pub struct Lent<T>(T);

impl<T> Lent<T> {
    /// The value, to hand it out.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Something that is made of the value, which is lent by the same entry.
    pub fn try_map<U>(self, make: impl FnOnce(T) -> Result<U>) -> Result<Lent<U>> {
        make(self.0).map(Lent)
    }
}

/// The changes of one closure: a lock on the whole store, and the proof that they are atomic. What it reads
/// includes its own changes and those of closures before it in the same commit.
pub struct WriteTx<'b, 't> {
    batch: &'b mut Batch<'t>,
    changes: Changes,
    /// The first audited table that was changed, for the message when no entry follows.
    audited: Option<&'static str>,
    notes: Vec<Note>,
    now: Timestamp,
}

impl WriteTx<'_, '_> {
    /// One moment for the whole closure.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The record of a key.
    pub fn get<K: Key, V: DeserializeOwned>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>> {
        let key = key.to_string();
        if let Some(change) = self.changes.get(table.name()).and_then(|changes| changes.get(&key)) {
            return change.as_ref().map(|bytes| decode(table.name(), bytes)).transpose();
        }
        let open = self.batch.table(table.name())?;
        let bytes = open.get(key.as_str()).map_err(|e| fault("reading the store", e))?;
        bytes.map(|bytes| decode(table.name(), bytes.value())).transpose()
    }

    /// At most `limit` records in the order of their keys. Without a lower bound: it serves small tables.
    pub fn scan<K: Key, V: DeserializeOwned>(&self, table: &Table<K, V>, limit: usize) -> Result<Vec<(K, V)>> {
        let open = self.batch.table(table.name())?;
        let changes = || self.changes.get(table.name()).into_iter().flatten();
        // A row that goes makes room for one behind it.
        let limit_read = limit.saturating_add(changes().filter(|(_, change)| change.is_none()).count());
        let mut merged: BTreeMap<String, Vec<u8>> = rows(&*open, Bound::Unbounded, limit_read)?.into_iter().collect();
        for (key, change) in changes() {
            match change {
                Some(bytes) => {
                    merged.insert(key.clone(), bytes.clone());
                }
                None => {
                    merged.remove(key);
                }
            }
        }
        decode_rows(table, merged.into_iter().take(limit).collect())
    }

    /// How many records a table holds, without what this closure changes.
    pub fn count<K, V>(&self, table: &Table<K, V>) -> Result<u64> {
        use redb::ReadableTableMetadata;
        self.batch.table(table.name())?.len().map_err(|e| fault("reading the store", e))
    }

    /// Writes the record of a key.
    pub fn put<K: Key, V: Value>(&mut self, table: &Table<K, V>, key: &K, value: &V) -> Result<()> {
        let bytes = encode(table.name(), value)?;
        self.change(table, key, Some(bytes));
        Ok(())
    }

    /// Removes the record of a key, if there is one.
    pub fn delete<K: Key, V>(&mut self, table: &Table<K, V>, key: &K) {
        self.change(table, key, None);
    }

    /// Adds an entry to the audit log. It commits with the changes or not at all.
    pub fn audit(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Wraps a credential that is about to leave, with the entry that says so.
    pub fn lend<T>(&mut self, note: Note, value: T) -> Lent<T> {
        self.audit(note);
        Lent(value)
    }

    /// Seals a secret for this table and key.
    pub fn seal<K: Key, V>(&self, table: &Table<K, V>, key: &K, secret: &Secret) -> Result<Sealed> {
        self.batch.keyring.seal(table.name(), &key.to_string(), secret)
    }

    /// Opens a secret that was sealed for this table and key.
    pub fn open<K: Key, V>(&self, table: &Table<K, V>, key: &K, sealed: &Sealed) -> Result<Secret> {
        self.batch.keyring.open(table.name(), &key.to_string(), sealed)
    }

    /// Works on the transaction beneath the closures, for changes of the store itself. They happen at once, so when they
    /// fail nothing of the whole commit stays.
    pub(super) fn raw<T>(&mut self, act: impl FnOnce(&WriteTransaction, &Keyring) -> Result<T>) -> Result<T> {
        self.batch.tables.borrow_mut().clear();
        self.batch.log = None;
        self.batch.is_changed_beneath = true;
        // Until it is through: whatever leaves it before, a panic too, leaves half of it.
        let before = self.batch.broken.replace(Error::internal("changing the store", "it panicked"));
        match act(self.batch.tx, self.batch.keyring) {
            Ok(value) => {
                self.batch.broken = before;
                Ok(value)
            }
            Err(error) => {
                self.batch.broken = Some(error);
                Err(Error::unavailable("the store cannot be written"))
            }
        }
    }

    pub(super) fn replace_keyring(&mut self, keyring: Keyring) {
        self.batch.next_keyring = Some(keyring);
    }

    fn change<K: Key, V>(&mut self, table: &Table<K, V>, key: &K, change: Option<Vec<u8>>) {
        if table.is_audited() {
            self.audited.get_or_insert(table.name());
        }
        self.changes.entry(table.name()).or_default().insert(key.to_string(), change);
    }
}

/// Closures that share one commit. Owned by the writer thread.
pub(super) struct Batch<'t> {
    pub(super) tx: &'t WriteTransaction,
    pub(super) keyring: &'t Keyring,
    /// The keyring from the commit on, when it changes.
    pub(super) next_keyring: Option<Keyring>,
    /// Tables that some closure used, and below the log: opening one costs more than reading a record of it.
    pub(super) tables: RefCell<HashMap<&'static str, OpenTable<'t>>>,
    pub(super) log: Option<redb::Table<'t, u64, &'static [u8]>>,
    pub(super) head: Head,
    pub(super) now: Timestamp,
    pub(super) changed: Vec<&'static str>,
    pub(super) is_changed_beneath: bool,
    /// Set when applying a closure's changes failed half-way: nothing of this batch may commit.
    pub(super) broken: Option<Error>,
}

impl<'t> Batch<'t> {
    /// Runs one closure. An error, a panic or a missing audit entry leaves no trace of it.
    pub(super) fn attempt<T>(&mut self, closure: impl FnOnce(&mut WriteTx<'_, 't>) -> Result<T>) -> Result<T> {
        let now = self.now;
        let mut tx = WriteTx { batch: self, changes: BTreeMap::new(), audited: None, notes: Vec::new(), now };
        let value = catch_unwind(AssertUnwindSafe(|| closure(&mut tx)))
            .unwrap_or_else(|_| Err(Error::internal("running a transaction", "it panicked")))?;
        let WriteTx { changes, audited, notes, .. } = tx;
        if let (Some(table), true) = (audited, notes.is_empty()) {
            return Err(Error::internal("committing", format!("a change to `{table}` came without an audit entry")));
        }
        if let Err(error) = self.apply(changes, notes) {
            self.broken = Some(error);
            return Err(Error::unavailable("the store cannot be written"));
        }
        Ok(value)
    }

    fn apply(&mut self, changes: Changes, notes: Vec<Note>) -> Result<()> {
        for (name, changes) in changes {
            let mut table = self.table(name)?;
            for (key, change) in changes {
                match change {
                    Some(bytes) => table.insert(key.as_str(), bytes.as_slice()).map(drop),
                    None => table.remove(key.as_str()).map(drop),
                }
                .map_err(|e| fault("writing the store", e))?;
            }
            drop(table);
            if !self.changed.contains(&name) {
                self.changed.push(name);
            }
        }
        for mut note in notes {
            let receipt = note.receipt.take();
            let bytes = self.entry(note)?;
            self.head = self.head.after(&bytes);
            let log = match &mut self.log {
                Some(log) => log,
                none => none.insert(self.tx.open_table(AUDIT).map_err(|e| fault("writing the audit log", e))?),
            };
            log.insert(self.head.seq, bytes.as_slice()).map_err(|e| fault("writing the audit log", e))?;
            if let Some(receipt) = receipt {
                receipt.fill(self.head.seq);
            }
        }
        Ok(())
    }

    fn entry(&self, note: Note) -> Result<Vec<u8>> {
        let entry = Entry {
            seq: self.head.seq + 1,
            time: self.now,
            actor: note.actor,
            action: note.action.as_str().into(),
            object: note.object.into(),
            outcome: note.outcome,
            request_id: note.request_id.map(Into::into),
            secrets: note.secrets.iter().map(|secret| self.keyring.reference(secret)).collect(),
            details: note.details,
            prev: self.head.hash_hex().into(),
        };
        encode("audit", &entry)
    }

    /// The table, opened once per batch.
    fn table(&self, name: &'static str) -> Result<RefMut<'_, OpenTable<'t>>> {
        let mut tables = self.tables.borrow_mut();
        if !tables.contains_key(name) {
            tables.insert(name, self.tx.open_table(definition(name)).map_err(|e| fault("opening a table", e))?);
        }
        RefMut::filter_map(tables, |tables| tables.get_mut(name))
            .map_err(|_| Error::internal("opening a table", name.to_owned()))
    }
}
