//! What we remember: typed tables, group commit, the audit chain, sealing. The only user of redb.
//!
//! `store.read` and `store.write` take synchronous closures, so nothing can wait inside a transaction. Writers
//! that wait at the same time share one commit and one fsync; each closure is atomic by itself.

mod archive;
mod backup;
mod cached;
mod chain;
mod checkpoints;
mod exported;
mod key_file;
mod keyring;
mod migrate;
mod open;
mod rekey;
mod seal;
mod search;
mod sign;
mod steps;
mod storage;
mod survey;
mod table;
#[cfg(test)]
mod tests;
mod tx;
mod writer;

use std::sync::Arc;

use redb::{ReadTransaction, ReadableDatabase, TableDefinition};

pub use archive::{ArchiveDirectory, ArchiveEnd, ArchiveFile, ArchiveReader, ArchiveSubject, ArchiveWriter, Packed};
pub use backup::{
    BackupDirectory, Checked, Contents, Drilled, Label, Listed, RestoredFrom, check_backup_file, label_of,
};
pub use cached::Cached;
pub use chain::{Entry, Head};
pub use exported::{Verified, verify_exported};
pub use key_file::KeySource;
pub use open::FILE_NAME;
pub use seal::Sealed;
pub use search::{ActionPattern, Filter, Page};
pub use sign::Checkpoint;
pub use storage::OPENER;
pub use survey::Survey;
pub use table::Table;
pub use tx::{Lent, ReadTx, WriteTx};

use crate::base::audit::Note;
use crate::base::{Clock, Error, Result, Secret};
use keyring::{Keyring, Shared};
use storage::Storage;
use writer::Writer;

/// The audit log: number → entry in JSON.
const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");

/// The store. Cheap to clone; the file is closed when the last clone is gone.
#[derive(Clone)]
pub struct Store {
    storage: Arc<Storage>,
    keyring: Arc<Shared>,
    /// Shared, so that a clone copies no passphrase.
    key_source: Arc<KeySource>,
    /// Held while the key changes.
    changing_key: Arc<tokio::sync::Mutex<()>>,
    surveys: Arc<tokio::sync::Semaphore>,
    clock: Clock,
    writer: Arc<Writer>,
}

impl Store {
    /// Runs a closure on a consistent view, on this thread: for what is looked up by its key. It does not wait for writers,
    /// nor they for it.
    pub fn read<T>(&self, closure: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        let (tx, keyring) = self.view()?;
        closure(&ReadTx::new(tx, &keyring, self.clock.now()))
    }

    /// A view, and the keys that open all it shows.
    fn view(&self) -> Result<(ReadTransaction, Arc<Keyring>)> {
        loop {
            let keyring = self.keyring.get();
            let tx = self.storage.database()?.begin_read().map_err(|e| fault("reading the store", e))?;
            // A key that came between the two could have sealed what this view shows.
            if Arc::ptr_eq(&keyring, &self.keyring.get()) {
                return Ok((tx, keyring));
            }
        }
    }

    /// Runs a closure that changes things, and answers when its changes and audit entries are on disk.
    ///
    /// An error of the closure leaves no trace. [`crate::base::Kind::Busy`] says that too many writers wait;
    /// [`crate::base::Kind::Unavailable`] that the disk refuses.
    pub async fn write<T, F>(&self, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_, '_>) -> Result<T> + Send + 'static,
    {
        self.writer.write(closure).await
    }

    /// Writes an audit entry by itself, and answers when it is on disk.
    pub async fn note(&self, note: Note) -> Result<()> {
        let write = |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            Ok(())
        };
        self.write(write).await
    }

    /// The clock that tells its transactions the time.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// How often a table has changed since the store was opened. Equal numbers mean equal contents.
    pub fn version<K, V>(&self, table: &Table<K, V>) -> u64 {
        self.writer.version(table.name())
    }

    /// What the audit log may hold of a secret, to look one up by its value: one reference for each key that the store
    /// has had.
    pub fn references(&self, secret: &Secret) -> Vec<String> {
        self.keyring.get().references(secret)
    }
}

/// An error of redb as an operator reads it: what to do in the message, the detail in the source.
fn fault(doing: &str, error: impl Into<redb::Error>) -> Error {
    use std::io::ErrorKind;
    let error = error.into();
    let message = match &error {
        redb::Error::DatabaseAlreadyOpen => "the store is in use by another keylender process",
        redb::Error::Corrupted(_) | redb::Error::RepairAborted => "the store is damaged: restore a backup",
        redb::Error::UpgradeRequired(_) => "the store has a file format of another redb version",
        redb::Error::PreviousIo => "the store stopped after a disk error, and goes on when the disk works",
        redb::Error::Io(e) => match e.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk of the store is full",
            ErrorKind::PermissionDenied => "the store may not be written by this user",
            ErrorKind::ReadOnlyFilesystem => "the store lies on a read-only file system",
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => "the data directory is no directory",
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => "the store is damaged: restore a backup",
            _ => "the disk of the store fails",
        },
        _ => return Error::internal(doing.to_owned(), error),
    };
    Error::unavailable(message).because(error)
}
