//! Group commit: one thread runs the closures that wait, and one fsync makes all of them durable.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use redb::{ReadableTable, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use super::chain::Head;
use super::keyring::{Keyring, Shared};
use super::storage::Storage;
use super::tx::{Batch, WriteTx};
use super::{AUDIT, fault};
use crate::base::{Clock, Error, Result};

/// Closures that may wait: several times the requests in flight, and bounded so that a stuck disk shows as `Busy`.
const QUEUE_MAX: usize = 4096;
/// Closures per commit: enough to bury the fsync, few enough that nobody waits long for the others' work.
const BATCH_MAX: usize = 512;

/// Under this name it is counted how often all tables may have changed, because the storage was opened anew.
const EVERY_TABLE: &str = "";

/// One closure with its way back: runs inside a batch, then hears how the commit ended. Without a batch it does not run.
type Job = Box<dyn for<'b, 't> FnOnce(Option<&'b mut Batch<'t>>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(std::result::Result<(), &Error>) + Send>;

/// The handle of the writer thread. Dropping it lets the waiting closures commit and joins the thread.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    versions: Versions,
}

type Versions = Arc<Mutex<HashMap<&'static str, u64>>>;

impl Writer {
    pub(super) fn start(storage: Arc<Storage>, keyring: Arc<Shared>, clock: Clock) -> Result<Self> {
        let head = read_head(&storage)?;
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let versions = Versions::default();
        let mut state =
            State { storage, keyring, clock, head, versions: versions.clone(), has_failed: false, must_reopen: false };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || state.run(queue))
            .map_err(|e| Error::internal("starting the writer thread", e))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), versions })
    }

    pub(super) async fn write<T, F>(&self, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_, '_>) -> Result<T> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        let job: Job = Box::new(move |batch| {
            let result = batch.map_or_else(|| Err(stopped()), |batch| batch.attempt(closure));
            Box::new(move |committed| {
                let result = match committed {
                    Ok(()) => result,
                    Err(cause) => Err(Error::unavailable("the store cannot be written").because(cause.chain())),
                };
                // The asker may be gone; what is committed stays.
                let _ = answer.send(result);
            })
        });
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.try_send(job).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => Error::busy("too many changes wait for the disk: ask again"),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        // Its closure was dropped unrun, or with a panic.
        outcome.await.map_err(|_| Error::unavailable("the store cannot be written"))?
    }

    pub(super) fn version(&self, table: &str) -> u64 {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        [table, EVERY_TABLE].iter().filter_map(|name| versions.get(name)).sum()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn stopped() -> Error {
    Error::unavailable("the store is closed")
}

/// The end of the chain as it lies on the disk. An empty log has no base: pruning leaves the last entry.
fn read_head(storage: &Storage) -> Result<Head> {
    let tx = storage.database()?.begin_write().map_err(|e| fault("reading the audit log", e))?;
    let head = {
        let log = tx.open_table(AUDIT).map_err(|e| fault("reading the audit log", e))?;
        let last = log.last().map_err(|e| fault("reading the audit log", e))?;
        last.map_or(Head::EMPTY, |(seq, bytes)| Head { seq: seq.value() - 1, hash: [0; 32] }.after(bytes.value()))
    };
    tx.abort().map_err(|e| fault("reading the audit log", e))?;
    Ok(head)
}

/// What a batch leaves, free of the transaction.
struct Done {
    head: Head,
    changed: Vec<&'static str>,
    is_changed_beneath: bool,
    next_keyring: Option<Keyring>,
    broken: Option<Error>,
}

struct State {
    storage: Arc<Storage>,
    keyring: Arc<Shared>,
    clock: Clock,
    head: Head,
    versions: Versions,
    /// Whether the last commit failed.
    has_failed: bool,
    /// Whether it failed at the disk, so that this is tried before the next one.
    must_reopen: bool,
}

impl State {
    fn run(&mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH_MAX);
        while queue.blocking_recv_many(&mut jobs, BATCH_MAX) > 0 {
            let mut answers = Vec::with_capacity(jobs.len());
            let committed = self.commit_or_catch(jobs.drain(..), &mut answers);
            for answer in answers {
                answer(committed.as_ref().copied());
            }
        }
    }

    /// Commits. A panic, of ours or of the database's, is an error like any other: without this thread nothing could be
    /// written until a restart. Closures that did not run hear it by their closed channels.
    fn commit_or_catch(&mut self, jobs: impl Iterator<Item = Job>, answers: &mut Vec<Answer>) -> Result<()> {
        let committed = catch_unwind(AssertUnwindSafe(|| self.commit(jobs, answers)))
            .unwrap_or_else(|_| Err(Error::internal("committing", "it panicked")));
        match &committed {
            Err(error) if !self.has_failed => tracing::error!("the store cannot be written: {}", error.chain()),
            Ok(()) if self.has_failed => tracing::info!("the store can be written again"),
            _ => {}
        }
        self.has_failed = committed.is_err();
        committed
    }

    fn begin(&mut self) -> Result<WriteTransaction> {
        self.storage.check_room()?;
        let begin =
            |storage: &Storage| storage.database()?.begin_write().map_err(|e| fault("beginning a transaction", e));
        if !self.must_reopen {
            return begin(&self.storage).inspect_err(|_| self.must_reopen = true);
        }
        // The last commit may be there or not: what is on the disk decides, and what was read before counts as old.
        self.storage.reopen()?;
        self.head = read_head(&self.storage)?;
        *self.versions.lock().unwrap_or_else(PoisonError::into_inner).entry(EVERY_TABLE).or_default() += 1;
        self.must_reopen = false;
        begin(&self.storage)
    }

    fn commit(&mut self, jobs: impl Iterator<Item = Job>, answers: &mut Vec<Answer>) -> Result<()> {
        let tx = match self.begin() {
            Ok(tx) => tx,
            Err(error) => {
                answers.extend(jobs.map(|job| job(None)));
                return Err(error);
            }
        };
        // Until the commit is through: whatever leaves this function before, a panic too, leaves a database to distrust.
        self.must_reopen = true;
        let keyring = self.keyring.get();
        let Done { head, changed, is_changed_beneath, next_keyring, broken } = {
            let mut batch = Batch {
                tx: &tx,
                keyring: &keyring,
                next_keyring: None,
                tables: Default::default(),
                log: None,
                head: self.head,
                now: self.clock.now(),
                changed: Vec::new(),
                is_changed_beneath: false,
                broken: None,
            };
            answers.extend(jobs.map(|job| job(Some(&mut batch))));
            let Batch { head, changed, is_changed_beneath, next_keyring, broken, .. } = batch;
            Done { head, changed, is_changed_beneath, next_keyring, broken }
        };
        if let Some(error) = broken {
            let _ = tx.abort();
            return Err(error);
        }
        if head == self.head && changed.is_empty() && !is_changed_beneath {
            tx.abort().map_err(|e| fault("ending a transaction", e))?;
            self.must_reopen = false;
            return Ok(());
        }
        tx.commit().map_err(|e| fault("committing", e))?;
        self.must_reopen = false;
        if let Some(next) = next_keyring {
            self.keyring.replace(next);
        }
        self.head = head;
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        for table in changed {
            *versions.entry(table).or_default() += 1;
        }
        Ok(())
    }
}
