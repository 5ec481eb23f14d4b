//! Opening: the file with its mode, the lock, the schema, the key. Each way to fail is one sentence.

use std::fs::{self, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use tokio::sync::Semaphore;

use super::key_file::KeySource;
use super::keyring::Shared;
use super::migrate::{SCHEMA, prepare, schema};
use super::storage::{Storage, fresh_file};
use super::survey::SURVEYS_MAX;
use super::writer::Writer;
use super::{Store, fault};
use crate::base::{Clock, Error, Result};

/// Name of the database file inside the data directory.
pub const FILE_NAME: &str = "keylender.redb";

impl Store {
    /// Opens the store of a data directory and makes both when they are not there. The file is locked; nothing in
    /// it changes when opening fails.
    pub fn open(data_dir: &Path, key: &KeySource, clock: Clock) -> Result<Self> {
        let cannot = |e: std::io::Error| cannot_open(data_dir, e);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(cannot)?;
        let path = data_dir.join(FILE_NAME);
        let fresh = fs::metadata(&path).map_or(true, |meta| meta.len() == 0);
        if let (false, KeySource::File(file)) = (fresh, key)
            && !file.exists()
        {
            return Err(Error::unavailable("the key file of the store is missing").because(file.display().to_string()));
        }
        if let (true, true, KeySource::File(file)) = (fresh, path.exists(), key)
            && file.exists()
        {
            return Err(Error::unavailable(
                "the store is empty although it has a key: restore a backup, or remove the file",
            )
            .because(path.display().to_string()));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(fault("opening the store", redb::Error::DatabaseAlreadyOpen)),
            Err(TryLockError::Error(e)) => return Err(cannot(e)),
        }
        let storage = Storage::file(file)?;
        if let Some(older) = schema(&*storage.database()?)?.filter(|schema| *schema < SCHEMA) {
            keep_snapshot(&path, older).map_err(cannot)?;
        }
        Self::start(storage, key, clock)
    }

    /// Opens a store in memory, for tests.
    pub fn memory(clock: Clock) -> Result<Self> {
        Self::with_backend(InMemoryBackend::new(), &KeySource::Given([0; 32]), clock)
    }

    /// Opens a store on another storage backend, for injected faults.
    pub fn with_backend(backend: impl StorageBackend, key: &KeySource, clock: Clock) -> Result<Self> {
        Self::start(Storage::other(backend)?, key, clock)
    }

    fn start(storage: Storage, key: &KeySource, clock: Clock) -> Result<Self> {
        let tx = storage.database()?.begin_write().map_err(|e| fault("opening the store", e))?;
        let keyring = Arc::new(Shared::new(prepare(&tx, key)?));
        tx.commit().map_err(|e| fault("opening the store", e))?;
        let storage = Arc::new(storage);
        let writer = Arc::new(Writer::start(storage.clone(), keyring.clone(), clock.clone())?);
        let (surveys, changing_key) = (Arc::new(Semaphore::new(SURVEYS_MAX)), Arc::default());
        Ok(Self { storage, keyring, key_source: key.clone().into(), changing_key, surveys, clock, writer })
    }
}

/// Copies the file aside before it is migrated, so that the program that wrote it could still open it. Nothing writes
/// to it meanwhile.
fn keep_snapshot(path: &Path, schema: u64) -> std::io::Result<()> {
    let snapshot = path.with_extension(format!("redb.schema-{schema}"));
    let unfinished = path.with_extension("redb.new");
    let mut copy = fresh_file(&unfinished)?;
    std::io::copy(&mut fs::File::open(path)?, &mut copy)?;
    copy.sync_all()?;
    fs::rename(&unfinished, &snapshot)?;
    tracing::info!("the store gets a newer schema; as it was, it is kept in {}", snapshot.display());
    Ok(())
}

pub(super) fn cannot_open(path: &Path, error: std::io::Error) -> Error {
    let cause = format!("{}: {error}", path.display());
    fault("opening the store", redb::Error::Io(error)).because(cause)
}
