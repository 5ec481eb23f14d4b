//! A queue's messages on their way into an archive.

use super::{ARCHIVES, ARCHIVES_MAX, Archive, Archives, codec};
use crate::base::audit::{Action, Actor, Note, Outcome};
use crate::base::{ArchiveName, Error, NamespaceName, Result, Secret};
use crate::ports::broker::{Drain, Message};
use crate::ports::system;
use crate::store::{ArchiveSubject, ArchiveWriter};

/// Bytes of the reason in a label.
const WHY_LEN_MAX: usize = 1000;

/// An archive that is being written.
struct Taking {
    archive: Archive,
    drain: Box<dyn Drain>,
    /// None while it is written, and after that panicked.
    writer: Option<ArchiveWriter>,
    /// Bytes of all other archives.
    others: u64,
}

impl Archives {
    /// Takes what is in a queue now out of it. The answer comes when the last message taken is durable and the broker has
    /// forgotten it; what came to the queue meanwhile is still there, and counted (`arrived`).
    ///
    /// # Errors
    /// `Unavailable` when the broker is away, or there is no room for archives; then the archive holds what was taken until
    /// then, is finished, and says why it is not all (`problem`). What it holds may still be in the queue, too. `NotFound`
    /// and `Conflict` as the broker says it of the queue, before anything is taken.
    pub async fn take(
        &self,
        actor: Actor,
        queue: &str,
        namespace: &NamespaceName,
        kind: &str,
        why: &str,
    ) -> Result<Archive> {
        let _busy = self.busy.lock().await;
        let others = self.others().await?;
        self.require_room(others, 0)?;
        let drain = self.messages.get()?.drain(&self.vhost, queue).await?;
        let taken = self.store.clock().now();
        let subject = ArchiveSubject {
            name: ArchiveName::at(taken, &random_letters())?,
            queue: queue.to_owned(),
            namespace: namespace.clone(),
            kind: kind.to_owned(),
            taken,
            why: shortened(why),
        };
        let mut taking = self.begin(&actor, subject, drain, others).await?;
        let filled = self.fill(&mut taking).await;
        self.end(&actor, taking, filled).await
    }

    /// Makes the file and writes down that there will be an archive, before the first message leaves its queue.
    async fn begin(
        &self,
        actor: &Actor,
        subject: ArchiveSubject,
        drain: Box<dyn Drain>,
        others: u64,
    ) -> Result<Taking> {
        let archive = Archive::begun(&subject);
        let writer = self.blocking(move |store, config| store.begin_archive(&config.directory, &subject)).await?;
        let record = archive.clone();
        let note = Note::done(actor.clone(), Action::ArchiveBegin, &archive.name)
            .with("queue", archive.queue.as_str())
            .with("namespace", archive.namespace.as_str())
            .with("why", archive.why.as_str());
        self.store
            .write(move |tx| {
                if tx.count(&ARCHIVES)? >= ARCHIVES_MAX as u64 {
                    return Err(Error::conflict("there are too many archives: delete some"));
                }
                tx.audit(note);
                tx.put(&ARCHIVES, &record.name, &record)
            })
            .await?;
        Ok(Taking { archive, drain, writer: Some(writer), others })
    }

    async fn fill(&self, taking: &mut Taking) -> Result<()> {
        loop {
            let messages = taking.drain.next().await?;
            if messages.is_empty() {
                return Ok(());
            }
            self.append(taking, messages).await?;
            // **Invariant:** only what is durable is acknowledged.
            taking.drain.acknowledge().await?;
        }
    }

    async fn append(&self, taking: &mut Taking, messages: Vec<Message>) -> Result<()> {
        let broken = || Error::internal("writing an archive", "it broke before");
        let mut writer = taking.writer.take().ok_or_else(broken)?;
        let room = self.require_room(taking.others, writer.file_len());
        let (writer, appended) = self
            .blocking(move |_, _| {
                let appended = room.and_then(|()| append(&mut writer, &messages));
                Ok((writer, appended))
            })
            .await?;
        taking.writer = Some(writer);
        appended
    }

    /// Finishes the file, whether all went well or not, and writes down what is in it.
    async fn end(&self, actor: &Actor, taking: Taking, filled: Result<()>) -> Result<Archive> {
        let Taking { archive, drain, writer, .. } = taking;
        let left = drain.end().await;
        let arrived = *left.as_ref().unwrap_or(&0);
        let failed = filled.and(left).err();
        let problem = failed.as_ref().map(|error| error.message().to_owned());
        let writer = writer.ok_or_else(|| Error::internal("finishing an archive", "it broke before"))?;
        let now = self.store.clock().now();
        let file = self.blocking(move |_, _| writer.finish(now, arrived, problem)).await;
        let file = match (file, failed) {
            (Ok(file), None) => file,
            (Ok(file), Some(error)) => {
                let archive = archive.finished(file);
                self.remember(actor, &archive, Outcome::Failed).await?;
                return Err(error);
            }
            // It is mended as after a crash. The first error is the one to hear of.
            (Err(unfinished), failed) => return Err(failed.unwrap_or(unfinished)),
        };
        let archive = archive.finished(file);
        self.remember(actor, &archive, Outcome::Done).await?;
        tracing::info!(
            queue.name = %archive.queue,
            "took {} messages of queue `{}` into the archive {}",
            archive.messages,
            archive.queue,
            archive.name
        );
        Ok(archive)
    }

    async fn remember(&self, actor: &Actor, archive: &Archive, outcome: Outcome) -> Result<()> {
        let note = Note::done(actor.clone(), Action::ArchiveTake, &archive.name).outcome(outcome);
        let note = archive.tell(note).with("arrived", archive.arrived).with("why", archive.why.as_str());
        let note = match &archive.problem {
            Some(problem) => note.with("cause", problem.as_str()),
            None => note,
        };
        let record = archive.clone();
        self.store
            .write(move |tx| {
                tx.audit(note);
                tx.put(&ARCHIVES, &record.name, &record)
            })
            .await
    }

    /// Bytes of the archives that are there.
    async fn others(&self) -> Result<u64> {
        let listed = self.blocking(|_, config| config.directory.list()).await?;
        Ok(listed.iter().map(|(_, len)| len).sum())
    }

    /// Refuses when archives may take no more room, or the disk has too little.
    fn require_room(&self, others: u64, own: u64) -> Result<()> {
        let max = self.config.bytes_max;
        if others.saturating_add(own) >= max {
            return Err(Error::unavailable(format!(
                "the archives have the {} MiB that they may have: delete some, or raise ARCHIVE_SIZE_MAX",
                max >> 20
            )));
        }
        // A directory that is not there yet is made in the one above it.
        let path = self.config.directory.path();
        let room = system::room(path).or_else(|e| path.parent().map_or(Err(e), system::room));
        let room =
            room.map_err(|e| Error::unavailable("the disk of the archives cannot be asked for room").because(e))?;
        if room.free < self.config.free_min {
            return Err(Error::unavailable(format!(
                "the disk is short: {} MiB are free, and archives leave {} MiB",
                room.free >> 20,
                self.config.free_min >> 20
            )));
        }
        Ok(())
    }
}

fn append(writer: &mut ArchiveWriter, messages: &[Message]) -> Result<()> {
    let payload_bytes = messages.iter().map(|message| message.body.len() as u64).sum();
    let count = u32::try_from(messages.len()).map_err(|e| Error::internal("writing an archive", e))?;
    writer.append(count, payload_bytes, &codec::encode(messages)?)
}

/// What tells an archive from others of its second.
fn random_letters() -> String {
    Secret::generate().expose().to_owned()
}

fn shortened(why: &str) -> String {
    why.chars()
        .scan(0, |len, c| {
            *len += c.len_utf8();
            (*len <= WHY_LEN_MAX).then_some(c)
        })
        .collect()
}
