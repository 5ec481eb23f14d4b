//! What the database lies on, and how it comes back after an error: redb writes nothing more on storage that failed
//! once, so the same storage is then opened anew.

use std::fs::{self, File, OpenOptions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::fault;
use crate::base::{Error, Result};

/// Name of the thread that opens a file. What it says when it panics is answered with a sentence instead.
pub const OPENER: &str = "store-opener";
/// Pages that redb keeps in memory: a part of what ten thousand namespaces are; the rest stands in the kernel's cache.
/// Its own default is 1 GiB, and a start that reads the audit log fills whatever it may.
const CACHE_LEN_MAX: usize = 4 << 20;
/// Bytes that stay free on the file system: below it changes are refused before the disk can refuse half of one, and
/// the operator has room to look around in. Several times the largest commit.
const RESERVE_LEN: u64 = 32 << 20;
/// Bytes written on trial before storage that failed is opened anew.
const TRIAL_LEN: usize = 4096;

/// The database on its storage. Readers and the writer ask it for the database each time.
pub(super) struct Storage {
    storage: Arc<dyn StorageBackend>,
    /// The file below, whose file system has a size.
    file: Option<Arc<File>>,
    /// How often the storage was opened; only the last opening may touch it.
    openings: Arc<AtomicU64>,
    /// How long the storage was before it was tried, until a trial is through. What a trial writes lies behind that, so
    /// that it does not grow by each one that fails.
    len_before_trial: Mutex<Option<u64>>,
    db: RwLock<Option<Arc<Database>>>,
}

impl Storage {
    /// Opens a locked file.
    pub(super) fn file(file: File) -> Result<Self> {
        let file = Arc::new(file);
        Self::open(Arc::new(Pages(file.clone())), Some(file))
    }

    /// Opens other storage.
    pub(super) fn other(storage: impl StorageBackend) -> Result<Self> {
        Self::open(Arc::new(storage), None)
    }

    fn open(storage: Arc<dyn StorageBackend>, file: Option<Arc<File>>) -> Result<Self> {
        let storage =
            Self { storage, file, openings: Arc::default(), len_before_trial: Mutex::default(), db: RwLock::new(None) };
        storage.open_database()?;
        Ok(storage)
    }

    /// The database as it is open now.
    pub(super) fn database(&self) -> Result<Arc<Database>> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        db.clone().ok_or_else(|| Error::unavailable("the store is closed after a disk error, until the disk works"))
    }

    /// Refuses while less than the reserve is free, so that a full disk is met between two commits.
    pub(super) fn check_room(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let space =
            rustix::fs::fstatvfs(file).map_err(|e| fault("asking for free space", redb::Error::Io(e.into())))?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free >= RESERVE_LEN {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "the disk of the store is full: {} MiB are free, and {} MiB are kept in reserve",
            free >> 20,
            RESERVE_LEN >> 20
        )))
    }

    /// After an error: opens the storage anew if it takes a trial write again. Called by the writer thread only, so
    /// that nothing is being written meanwhile. Readers that are not done get an error.
    pub(super) fn reopen(&self) -> Result<()> {
        let failed = |e: IoError| fault("trying the disk", redb::Error::Io(e));
        let mut before = self.len_before_trial.lock().unwrap_or_else(PoisonError::into_inner);
        let len = match *before {
            Some(len) => len,
            None => self.storage.len().map_err(failed)?,
        };
        *before = Some(len);
        let trial = || {
            self.storage.set_len(len + TRIAL_LEN as u64)?;
            self.storage.write(len, &[0; TRIAL_LEN])?;
            self.storage.sync_data()?;
            self.storage.set_len(len)?;
            self.storage.sync_data()
        };
        trial().map_err(failed)?;
        *before = None;
        self.open_database()
    }

    fn open_database(&self) -> Result<()> {
        let number = self.openings.fetch_add(1, Ordering::SeqCst) + 1;
        // From here on the former opening is told nothing but errors.
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = None;
        let opening = Opening { storage: self.storage.clone(), number, openings: self.openings.clone() };
        // redb answers most damage with an error and some with a panic; the operator needs a sentence for both.
        let opener = thread::Builder::new().name(OPENER.into()).spawn(move || builder().create_with_backend(opening));
        let opener = opener.map_err(|e| Error::internal("starting the thread that opens the store", e))?;
        let db = opener.join().unwrap_or_else(|_| Err(damaged())).map_err(|e| fault("opening the store", e))?;
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(db));
        Ok(())
    }
}

/// How databases are opened.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_LEN_MAX);
    builder
}

fn damaged() -> DatabaseError {
    DatabaseError::Storage(redb::StorageError::Corrupted("redb gave up on it".into()))
}

/// One opening of the storage. **Invariant:** when there is a later one, it reads and writes nothing.
#[derive(Debug)]
struct Opening {
    storage: Arc<dyn StorageBackend>,
    number: u64,
    openings: Arc<AtomicU64>,
}

impl Opening {
    fn storage(&self) -> std::result::Result<&dyn StorageBackend, IoError> {
        if self.openings.load(Ordering::SeqCst) == self.number {
            return Ok(&*self.storage);
        }
        Err(IoError::new(ErrorKind::StaleNetworkFileHandle, "the store was opened anew meanwhile"))
    }
}

impl StorageBackend for Opening {
    fn len(&self) -> std::result::Result<u64, IoError> {
        self.storage()?.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::result::Result<(), IoError> {
        self.storage()?.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::result::Result<(), IoError> {
        self.storage()?.set_len(len)
    }

    fn sync_data(&self) -> std::result::Result<(), IoError> {
        self.storage()?.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::result::Result<(), IoError> {
        self.storage()?.write(offset, data)
    }
}

/// A file as storage. Its lock belongs to the file, so that it outlives openings.
#[derive(Debug)]
struct Pages(Arc<File>);

impl StorageBackend for Pages {
    fn len(&self) -> std::result::Result<u64, IoError> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::result::Result<(), IoError> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> std::result::Result<(), IoError> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> std::result::Result<(), IoError> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::result::Result<(), IoError> {
        self.0.write_all_at(data, offset)
    }
}

/// A new file that only we may read, instead of whatever lay there: that could have another mode.
pub(super) fn fresh_file(path: &Path) -> std::io::Result<File> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}
