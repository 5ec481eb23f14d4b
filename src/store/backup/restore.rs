//! From a backup back to a store: in an empty directory, whole or not at all.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use redb::{Database, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::rows::Row;
use super::{Checked, Contents, key_of, label_of, open, other_key, walk};
use crate::base::{Clock, Error, Result, Timestamp};
use crate::store::key_file::KeySource;
use crate::store::migrate::{Meta, read_meta};
use crate::store::open::{FILE_NAME, cannot_open};
use crate::store::storage::{builder, fresh_file};
use crate::store::tx::definition;
use crate::store::{AUDIT, Store, fault};

/// Rows of one commit while a store is written: enough to bury the fsync, few enough for memory.
const CHUNK_LEN: u32 = 20_000;
/// Where a restored store says what it came from, until that was told.
const RESTORED: &str = "restored";

/// Which backup a store was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredFrom {
    /// When the backup was made.
    pub made: Timestamp,
    /// The last audit entry in it.
    pub last_entry: u64,
    /// When it was restored.
    pub restored: Timestamp,
}

/// What a drill found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drilled {
    /// When the backup was made.
    pub made: Timestamp,
    /// What came back.
    pub contents: Contents,
}

impl Store {
    /// Makes the store of a backup in a data directory that has none. A key file, and whatever is not a store, may lie
    /// there already.
    ///
    /// # Errors
    /// [`crate::base::Kind::Conflict`] for a directory with a store, saying what that has and the backup has not; for a
    /// backup that is damaged, whose chain is broken, or that another key opens. Nothing is left behind then.
    pub fn restore(backup: &Path, data_dir: &Path, key: &KeySource, clock: &Clock) -> Result<Checked> {
        let path = data_dir.join(FILE_NAME);
        if path.exists() {
            return Err(occupied(backup, data_dir, key, clock));
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|e| cannot_open(data_dir, e))?;
        let unfinished = data_dir.join("keylender.redb.new");
        refuse_another(&unfinished)?;
        let made = make(backup, &unfinished, key, clock);
        let moved = made.and_then(|checked| {
            // A link and no renaming: a store that came meanwhile is not written over.
            let moved = fs::hard_link(&unfinished, &path).and_then(|()| File::open(data_dir)?.sync_all());
            moved.map(|()| checked).map_err(|e| match e.kind() {
                ErrorKind::AlreadyExists => occupied(backup, data_dir, key, clock),
                _ => cannot_open(data_dir, e),
            })
        });
        // The first error is the one to hear of, and what stays is written over by the next one.
        let _ = fs::remove_file(&unfinished);
        moved
    }

    /// Makes a store of a backup in a directory of its own, opens it, walks its chain, and takes it away again.
    pub fn drill(&self, backup: &Path, aside: &Path) -> Result<Drilled> {
        let cleared = |e| Error::unavailable("the directory of the restore drill cannot be used").because(e);
        let clear = || match fs::remove_dir_all(aside) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(cleared(e)),
            _ => Ok(()),
        };
        // What a crash left of the last drill.
        clear()?;
        let drilled = self.drill_in(backup, aside);
        clear()?;
        drilled
    }

    fn drill_in(&self, backup: &Path, aside: &Path) -> Result<Drilled> {
        let keyring = self.keyring.get();
        let label = label_of(backup)?;
        let keys = keyring.by_id(&label.key_id).ok_or_else(|| other_key(&label))?;
        let key = <[u8; 32]>::try_from(keys.copy_master().as_slice())
            .map_err(|e| Error::internal("copying the key", e.to_string()))?;
        let key = KeySource::Given(key);
        let checked = Self::restore(backup, aside, &key, &self.clock)?;
        let store = Self::open(aside, &key, self.clock.clone())?;
        let head = store.survey_here(|tx| tx.verify_audit())?;
        if head.seq != checked.label.last_entry {
            return Err(Error::conflict("the restored store has another head than its backup"));
        }
        Ok(Drilled { made: checked.label.made, contents: checked.contents })
    }

    /// What the store was restored from, until [`Store::forget_restored`].
    pub fn restored_from(&self) -> Result<Option<RestoredFrom>> {
        let bytes = self.read(|tx| read_meta(&tx.tx, RESTORED))?;
        let unreadable = |e| Error::internal("reading what the store was restored from", e);
        bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(unreadable)).transpose()
    }

    /// Says that everybody who has to know of the restoration does.
    pub async fn forget_restored(&self) -> Result<()> {
        self.write(|tx| tx.raw(|db, _| Meta::open(db)?.remove(RESTORED))).await
    }
}

/// Leaves the file of another restoration alone while that has it locked.
fn refuse_another(unfinished: &Path) -> Result<()> {
    match File::open(unfinished).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => Err(Error::conflict("another restoration is at work in this directory")),
        _ => Ok(()),
    }
}

/// Why a directory with a store is left alone, and what would be lost if it were not.
fn occupied(backup: &Path, data_dir: &Path, key: &KeySource, clock: &Clock) -> Error {
    let advice = "stop keylender and move the store away first";
    let compared = || {
        let label = label_of(backup)?;
        let there = Store::open(data_dir, key, clock.clone())?.checkpoint(None)?;
        Ok::<_, Error>((there.seq.saturating_sub(label.last_entry), label.made))
    };
    Error::conflict(match compared() {
        Ok((later, made)) => format!(
            "the data directory holds a store, with {later} audit entries from after the backup, which was made at {made}; {advice}"
        ),
        Err(error) => format!("the data directory holds a store ({}); {advice}", error.message()),
    })
}

fn make(backup: &Path, path: &Path, key: &KeySource, clock: &Clock) -> Result<Checked> {
    let file = open(backup)?;
    let label = label_of(backup)?;
    let keys = key_of(key, &label)?;
    let created = fresh_file(path).map_err(|e| cannot_open(path, e))?;
    let failed = |e: redb::Error| fault("writing the store", e);
    let db = builder().create_file(created).map_err(|e| failed(e.into()))?;
    let mut filling = Filling { db: &db, tx: None, table: String::new(), rows: 0 };
    let checked = walk(file, |_| Ok(&keys), |row| filling.take(row))?;
    filling.put("meta", RESTORED, &restored(&checked, clock)?)?;
    filling.commit()?;
    Ok(checked)
}

fn restored(checked: &Checked, clock: &Clock) -> Result<Vec<u8>> {
    let from = RestoredFrom { made: checked.label.made, last_entry: checked.label.last_entry, restored: clock.now() };
    serde_json::to_vec(&from).map_err(|e| Error::internal("writing what a store was restored from", e))
}

/// A store that is being filled, a bounded number of rows in a commit.
struct Filling<'d> {
    db: &'d Database,
    tx: Option<WriteTransaction>,
    table: String,
    rows: u32,
}

impl Filling<'_> {
    fn take(&mut self, row: Row) -> Result<()> {
        match row {
            Row::Table(name) => {
                // An empty table is there, too.
                self.tx()?.open_table(definition(&name)).map_err(|e| fault("writing the store", e))?;
                self.table = name;
            }
            Row::Record(key, value) => {
                let table = self.table.clone();
                self.put(&table, &key, &value)?;
            }
            Row::Entry(seq, entry) => {
                let mut log = self.tx()?.open_table(AUDIT).map_err(|e| fault("writing the store", e))?;
                log.insert(seq, entry.as_slice()).map_err(|e| fault("writing the store", e))?;
            }
            Row::End(_) => {}
        }
        self.rows += 1;
        if self.rows.is_multiple_of(CHUNK_LEN) { self.commit() } else { Ok(()) }
    }

    fn put(&mut self, table: &str, key: &str, value: &[u8]) -> Result<()> {
        let mut table = self.tx()?.open_table(definition(table)).map_err(|e| fault("writing the store", e))?;
        table.insert(key, value).map(drop).map_err(|e| fault("writing the store", e))
    }

    fn tx(&mut self) -> Result<&WriteTransaction> {
        match &mut self.tx {
            Some(tx) => Ok(tx),
            none => Ok(none.insert(self.db.begin_write().map_err(|e| fault("writing the store", e))?)),
        }
    }

    fn commit(&mut self) -> Result<()> {
        match self.tx.take() {
            Some(tx) => tx.commit().map_err(|e| fault("writing the store", e)),
            None => Ok(()),
        }
    }
}
