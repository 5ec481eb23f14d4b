//! What we remember: typed tables, group commit, the audit chain, sealing. The only user of redb.
//!
//! `store.read` and `store.write` take synchronous closures, so nothing can wait inside a transaction. Writers
//! that wait at the same time share one commit and one fsync; each closure is atomic by itself.

mod chain;
mod device;
mod exported;
mod migrate;
mod open;
mod seal;
mod search;
mod table;
#[cfg(test)]
mod tests;
mod tx;
mod writer;

use std::sync::Arc;

use redb::{ReadableDatabase, TableDefinition};

pub use chain::{Entry, Head};
pub use device::OPENER;
pub use exported::verify_exported;
pub use seal::{KeySource, Sealed};
pub use search::{ActionPattern, Filter, Page};
pub use table::Table;
pub use tx::{Lent, ReadTx, WriteTx};

use crate::base::{Clock, Error, Result, Secret};
use device::Device;
use seal::Keys;
use writer::Writer;

/// The audit log: number → entry in JSON.
const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");
/// Audit entries read at once while verifying, so that memory stays flat.
const VERIFY_CHUNK: usize = 1000;

/// The store. Cheap to clone; the file is closed when the last clone is gone.
#[derive(Clone)]
pub struct Store {
    device: Arc<Device>,
    keys: Arc<Keys>,
    clock: Clock,
    writer: Arc<Writer>,
}

impl Store {
    /// Runs a closure on a consistent view. It does not wait for writers, nor they for it.
    pub fn read<T>(&self, closure: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        let tx = self.device.database()?.begin_read().map_err(|e| fault("reading the store", e))?;
        closure(&ReadTx { tx, keys: &self.keys, now: self.clock.now() })
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

    /// The clock that tells its transactions the time.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// How often a table has changed since the store was opened. Equal numbers mean equal contents.
    pub fn version<K, V>(&self, table: &Table<K, V>) -> u64 {
        self.writer.version(table.name())
    }

    /// What the audit log keeps of a secret, to look one up by its value.
    pub fn reference(&self, secret: &Secret) -> String {
        self.keys.reference(secret)
    }

    /// Walks the whole audit chain and returns its head; the error names the first entry that does not fit.
    pub fn verify_audit(&self) -> Result<Head> {
        self.read(|tx| {
            let mut head = Head::EMPTY;
            loop {
                let entries = tx.entries(head.seq + 1, VERIFY_CHUNK)?;
                let Some(last) = entries.last().map(|(seq, _)| *seq) else { return Ok(head) };
                for (seq, bytes) in entries {
                    head.check(seq, &bytes)?;
                }
                debug_assert_eq!(head.seq, last);
            }
        })
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
