//! Archives of queues: the messages of a queue taken out into a sealed file, looked at, and brought back.
//!
//! **Invariant:** a message is acknowledged to the broker only when it is durable in the file. So a crash, a broker that goes
//! away and a disk that is full leave a message in the queue, in the archive, or in both, and never in neither.

mod codec;
mod export;
mod frames;
mod keep;
mod replay;
mod take;

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::audit::{Action, Note};
use crate::base::{ArchiveName, Error, NamespaceName, Result, Timestamp, VhostName};
use crate::domain::auth::Caller;
use crate::ports::broker::{Handle, Messages};
use crate::store::{ArchiveDirectory, ArchiveFile, ArchiveSubject, Store, Table};

pub use export::{Archived, Body, Export};
pub use keep::Pruned;
pub use replay::Replayed;

/// The archives, by their names.
const ARCHIVES: Table<ArchiveName, Archive> = Table::audited("archives");
/// Archives that are kept. Each pass of the monitor reads none of them, and a page of the console all.
const ARCHIVES_MAX: usize = 10_000;
/// Bytes that stay free on the disk of the archives: several times what the store keeps in reserve, so that a queue that is
/// taken never stops what is lent.
pub const FREE_MIN: u64 = 256 << 20;

/// What the settings say of archives.
#[derive(Clone, Debug)]
pub struct Config {
    pub directory: ArchiveDirectory,
    /// Bytes that all of them may take together.
    pub bytes_max: u64,
    /// How long they are kept; zero is for ever.
    pub keep: Duration,
    /// Bytes that stay free on their disk. No setting: [`FREE_MIN`], but for tests.
    pub free_min: u64,
}

/// What is known of an archive. Its file says the same, for who has only that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// What it is called.
    pub name: ArchiveName,
    /// The queue whose messages are in it.
    pub queue: String,
    /// Whose that was.
    pub namespace: NamespaceName,
    /// Type of the queue: `classic`, `quorum` or `stream`.
    pub kind: String,
    /// When it was begun.
    pub taken: Timestamp,
    /// When it was finished; not yet, or its end is not known since a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// Messages in it.
    pub messages: u64,
    /// Bytes of their bodies.
    pub payload_bytes: u64,
    /// Bytes of its file.
    pub file_bytes: u64,
    /// Hash of the end of its chain, in hexadecimal; empty until it is finished.
    pub head: String,
    /// Why it was taken.
    pub why: String,
    /// Messages that waited in the queue when it was over: they came meanwhile. Of a stream, those behind its last one.
    pub arrived: u64,
    /// Why it does not hold all that it should. What it holds may still be in the queue then, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Archive {
    /// One that is begun.
    fn begun(subject: &ArchiveSubject) -> Self {
        let ArchiveSubject { name, queue, namespace, kind, taken, why } = subject.clone();
        Self {
            name,
            queue,
            namespace,
            kind,
            taken,
            finished: None,
            messages: 0,
            payload_bytes: 0,
            file_bytes: 0,
            head: String::new(),
            why,
            arrived: 0,
            problem: None,
        }
    }

    /// The same, as its file says that it ended.
    fn finished(self, ArchiveFile { end, head, len }: ArchiveFile) -> Self {
        Self {
            finished: Some(end.finished),
            messages: end.messages,
            payload_bytes: end.payload_bytes,
            file_bytes: len,
            head,
            arrived: end.arrived,
            problem: end.problem,
            ..self
        }
    }

    /// Adds what an audit entry says of it.
    fn tell(&self, note: Note) -> Note {
        note.with("queue", self.queue.as_str())
            .with("namespace", self.namespace.as_str())
            .with("messages", self.messages)
            .with("bytes", self.payload_bytes)
            .with("head", self.head.as_str())
    }
}

/// The keeper of the archives. Cheap to clone.
#[derive(Clone)]
pub struct Archives {
    store: Store,
    messages: Handle<dyn Messages>,
    /// Where the queues of namespaces are.
    vhost: VhostName,
    config: Arc<Config>,
    /// One at a time takes or mends: both want the disk, and what is being taken looks like what a crash left.
    busy: Arc<tokio::sync::Mutex<()>>,
    /// One at a time brings back: the broker gets no faster, and each goes on where it was.
    replaying: Arc<tokio::sync::Mutex<()>>,
}

impl Archives {
    /// A keeper of the archives of the queues of a vhost.
    pub fn new(store: Store, messages: Handle<dyn Messages>, vhost: VhostName, config: Config) -> Self {
        Self { store, messages, vhost, config: Arc::new(config), busy: Arc::default(), replaying: Arc::default() }
    }

    /// The archives, newest first.
    pub async fn list(&self) -> Result<Vec<Archive>> {
        let survey = self.store.survey(|tx| {
            let mut all: Vec<Archive> = tx
                .scan(&ARCHIVES, std::ops::Bound::Unbounded, ARCHIVES_MAX)?
                .into_iter()
                .map(|(_, archive)| archive)
                .collect();
            all.reverse();
            Ok(all)
        });
        survey.await
    }

    /// One of them. `NotFound` when none has the name.
    pub async fn show(&self, name: &ArchiveName) -> Result<Archive> {
        let found = self.store.read(|tx| tx.get(&ARCHIVES, name))?;
        found.ok_or_else(|| Error::not_found(format!("there is no archive `{name}`")))
    }

    /// One that is finished. `Conflict` while it is being taken.
    async fn whole(&self, name: &ArchiveName) -> Result<Archive> {
        let archive = self.show(name).await?;
        if archive.finished.is_none() {
            return Err(Error::conflict("the archive is not finished: it is being taken, or waits to be mended"));
        }
        Ok(archive)
    }

    /// Removes an archive with its messages, for the reason that the caller gives.
    pub async fn delete(&self, caller: &Caller, name: &ArchiveName) -> Result<()> {
        caller.reason()?;
        let archive = self.whole(name).await?;
        self.remove(archive, caller.note(Action::ArchiveDelete, name)).await
    }

    /// Its file goes first: what is left after a crash between the two is a record that can be removed again, and not a file
    /// that nobody knows of.
    async fn remove(&self, archive: Archive, note: Note) -> Result<()> {
        let (name, note) = (archive.name.clone(), archive.tell(note));
        let gone = name.clone();
        self.blocking(move |_, config| config.directory.remove(&gone)).await?;
        self.store
            .write(move |tx| {
                tx.delete(&ARCHIVES, &name);
                tx.delete(&replay::REPLAYS, &name);
                tx.audit(note);
                Ok(())
            })
            .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &Config) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (store, config) = (self.store.clone(), self.config.clone());
        let worked = tokio::task::spawn_blocking(move || work(&store, &config)).await;
        worked.map_err(|e| Error::internal("working on an archive", e))?
    }
}
