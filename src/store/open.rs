//! Opening: the file with its mode, the lock, the schema, the key. Each way to fail is one sentence.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::migrate::prepare;
use super::seal::KeySource;
use super::writer::Writer;
use super::{Store, fault};
use crate::base::{Clock, Error, Result};

/// Name of the database file inside the data directory.
const FILE_NAME: &str = "keylender.redb";
/// Name of the thread that opens a file. What it says when it panics is answered with a sentence instead.
pub const OPENER: &str = "store-opener";
/// Pages that redb keeps in memory: a part of what ten thousand namespaces are; the rest stands in the kernel's cache.
/// Its own default is 1 GiB, and a start that reads the audit log fills whatever it may.
const CACHE_LEN_MAX: usize = 4 << 20;

impl Store {
    /// Opens the store of a data directory and makes both when they are not there. The file is locked; nothing in
    /// it changes when opening fails.
    pub fn open(data_dir: &Path, key: &KeySource, clock: Clock) -> Result<Self> {
        let cannot = |e: std::io::Error| {
            let cause = format!("{}: {e}", data_dir.display());
            fault("opening the store", redb::Error::Io(e)).because(cause)
        };
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
        // redb answers most damage with an error and some with a panic; the operator needs a sentence for both.
        let opener = thread::Builder::new().name(OPENER.into()).spawn(move || builder().create_file(file));
        let opened = opener.map_err(cannot)?.join().unwrap_or_else(|_| Err(damaged()));
        let db = opened.map_err(|e| fault("opening the store", e))?;
        Self::start(db, key, clock)
    }

    /// Opens a store in memory, for tests.
    pub fn memory(clock: Clock) -> Result<Self> {
        Self::with_backend(InMemoryBackend::new(), &KeySource::Given([0; 32]), clock)
    }

    /// Opens a store on another storage backend, for injected faults.
    pub fn with_backend(backend: impl StorageBackend, key: &KeySource, clock: Clock) -> Result<Self> {
        let db = builder().create_with_backend(backend).map_err(|e| fault("opening the store", e))?;
        Self::start(db, key, clock)
    }

    fn start(db: Database, key: &KeySource, clock: Clock) -> Result<Self> {
        let tx = db.begin_write().map_err(|e| fault("opening the store", e))?;
        let keys = Arc::new(prepare(&tx, key)?);
        tx.commit().map_err(|e| fault("opening the store", e))?;
        let db = Arc::new(db);
        let writer = Arc::new(Writer::start(db.clone(), keys.clone(), clock.clone())?);
        Ok(Self { db, keys, clock, writer })
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_LEN_MAX);
    builder
}

fn damaged() -> DatabaseError {
    DatabaseError::Storage(redb::StorageError::Corrupted("redb gave up on it".into()))
}
