//! The messages of an archive on their way back into a queue.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::{Archive, Archives};
use crate::base::audit::{Action, Outcome};
use crate::base::{ArchiveName, Error, Result};
use crate::domain::auth::Caller;
use crate::ports::broker::{BATCH_MAX, Publisher};
use crate::store::Table;

/// How far archives were brought back by a replay that was broken off.
pub(super) const REPLAYS: Table<ArchiveName, Progress> = Table::plain("archives_replays");

/// How far an archive was brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Into which queue.
    to: String,
    /// Messages that the broker has confirmed.
    confirmed: u64,
}

/// What a replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The queue that has the messages now.
    pub queue: String,
    /// Messages that this replay brought back.
    pub messages: u64,
    /// Those before them, which one that was broken off brought back.
    pub skipped: u64,
    /// How many went without the name of another user, or without copies to further queues (`CC`): the broker would refuse
    /// the one, and deliver the others.
    pub changed: u64,
}

impl Archives {
    /// Publishes the messages of an archive in their order, by the default exchange into the queue that they were taken from
    /// or into another one, at most so many in a second. A replay that is broken off goes on behind the last message that
    /// the broker confirmed when it is called again for the same queue; some messages of the batch behind that may then be in
    /// the queue twice.
    ///
    /// # Errors
    /// `NotFound` when there is no such queue; `Unavailable` when the broker is away or refuses a message; `Conflict` when
    /// the archive is damaged: what is before the damage is in the queue then. `Busy` while another replay runs.
    pub async fn replay(
        &self,
        caller: &Caller,
        name: &ArchiveName,
        to: Option<String>,
        per_second: Option<u32>,
    ) -> Result<Replayed> {
        if per_second == Some(0) {
            return Err(Error::invalid("at least one message in a second"));
        }
        let archive = self.whole(name).await?;
        let busy = || Error::busy("an archive is being replayed: wait until that is done");
        let _replaying = self.replaying.try_lock().map_err(|_| busy())?;
        let queue = to.unwrap_or_else(|| archive.queue.clone());
        let before = self.store.read(|tx| tx.get(&REPLAYS, name))?.filter(|progress| progress.to == queue);
        let skipped = before.map_or(0, |progress| progress.confirmed);
        let mut publisher = self.messages.get()?.publisher(&self.vhost, &queue).await?;
        let mut done = Replayed { queue, skipped, ..Replayed::default() };
        let published = self.publish(&archive, &mut *publisher, &mut done, per_second).await;
        publisher.end().await;
        self.note(caller, &archive, &done, published.as_ref().err()).await?;
        published.map(|()| done)
    }

    async fn publish(
        &self,
        archive: &Archive,
        publisher: &mut dyn Publisher,
        done: &mut Replayed,
        per_second: Option<u32>,
    ) -> Result<()> {
        let begun = Instant::now();
        let batch_len = per_second.map_or(BATCH_MAX, |rate| BATCH_MAX.min(rate as usize));
        let mut frames = self.frames(&archive.name, done.skipped).await?;
        while let Some((_, messages)) = frames.next().await? {
            for batch in messages.chunks(batch_len) {
                let published = publisher.publish(batch).await;
                done.messages += published.confirmed as u64;
                done.changed += published.changed as u64;
                self.remember_progress(archive, done).await?;
                if let Some(error) = published.failed {
                    return Err(error);
                }
                if let Some(rate) = per_second {
                    // A rate is at least one, so this is at most the seconds that all messages need.
                    let due = Duration::from_secs_f64(done.messages as f64 / f64::from(rate));
                    sleep_until(begun + due).await;
                }
            }
        }
        Ok(())
    }

    async fn remember_progress(&self, archive: &Archive, done: &Replayed) -> Result<()> {
        let name = archive.name.clone();
        let progress = Progress { to: done.queue.clone(), confirmed: done.skipped + done.messages };
        self.store.write(move |tx| tx.put(&REPLAYS, &name, &progress)).await
    }

    /// Writes down what a replay did. One that came to its end is forgotten, so that the next one begins anew.
    async fn note(&self, caller: &Caller, archive: &Archive, done: &Replayed, failed: Option<&Error>) -> Result<()> {
        let note = caller
            .note(Action::ArchiveReplay, &archive.name)
            .with("queue", done.queue.as_str())
            .with("messages", done.messages)
            .with("skipped", done.skipped)
            .with("changed", done.changed);
        let is_over = failed.is_none();
        let note = match failed {
            Some(error) => note.outcome(Outcome::Failed).with("cause", error.message()),
            None => note,
        };
        let name = archive.name.clone();
        self.store
            .write(move |tx| {
                if is_over {
                    tx.delete(&REPLAYS, &name);
                }
                tx.audit(note);
                Ok(())
            })
            .await
    }
}
