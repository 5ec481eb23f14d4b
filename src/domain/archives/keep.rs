//! Archives over time: what a crash left of one is finished, and what is old enough goes.

use std::collections::BTreeMap;

use super::{ARCHIVES, Archive, Archives, codec};
use crate::base::audit::{Action, Outcome};
use crate::base::{ArchiveName, Kind, Result, Timestamp};
use crate::domain::auth::Caller;

/// What a mended archive says of itself.
const BROKEN_OFF: &str =
    "it was broken off: messages behind its last one are in the queue, and the last of these may be, too";
/// What one without a file says.
const GONE: &str = "its file is gone";

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Archives that a crash had left unfinished, and files that nobody knew of.
    pub mended: usize,
    /// Those that were old enough.
    pub removed: usize,
    /// What could not be done.
    pub failed: usize,
}

impl Archives {
    /// Archives that are old enough to go.
    pub async fn list_expired(&self) -> Result<Vec<ArchiveName>> {
        let now = self.store.clock().now();
        Ok(self.list().await?.into_iter().filter(|archive| self.is_over(archive, now)).map(|each| each.name).collect())
    }

    /// Whether a crash left one unfinished.
    pub async fn has_unfinished(&self) -> Result<bool> {
        Ok(!self.list_unfinished().await?.is_empty())
    }

    /// Finishes what a crash left, takes up files that the store does not know, as after a restoration, and removes what is
    /// old enough.
    pub async fn prune(&self, caller: &Caller) -> Result<Pruned> {
        let _busy = self.busy.lock().await;
        let mut done = Pruned::default();
        for unfinished in self.list_unfinished().await? {
            match self.mend(caller, &unfinished).await {
                Ok(()) => done.mended += 1,
                Err(error) => {
                    tracing::warn!("the archive {unfinished} cannot be finished: {}", error.chain());
                    done.failed += 1;
                }
            }
        }
        let now = self.store.clock().now();
        for archive in self.list().await?.into_iter().filter(|archive| self.is_over(archive, now)) {
            let name = archive.name.clone();
            match self.remove(archive, caller.note(Action::ArchivePrune, &name)).await {
                Ok(()) => done.removed += 1,
                Err(error) => {
                    tracing::warn!("the archive {name} cannot be removed: {}", error.chain());
                    done.failed += 1;
                }
            }
        }
        Ok(done)
    }

    fn is_over(&self, archive: &Archive, now: Timestamp) -> bool {
        let keep = self.config.keep;
        !keep.is_zero() && archive.finished.is_some_and(|finished| now.since(finished) >= keep)
    }

    /// Archives without an end, and files without a record.
    async fn list_unfinished(&self) -> Result<Vec<ArchiveName>> {
        let files = self.blocking(|_, config| config.directory.list()).await?;
        let known: BTreeMap<ArchiveName, bool> =
            self.list().await?.into_iter().map(|archive| (archive.name, archive.finished.is_some())).collect();
        let unknown = files.into_iter().map(|(name, _)| name).filter(|name| !known.contains_key(name));
        let open = known.iter().filter(|(_, is_finished)| !**is_finished).map(|(name, _)| name.clone());
        Ok(open.chain(unknown).collect())
    }

    async fn mend(&self, caller: &Caller, name: &ArchiveName) -> Result<()> {
        let (wanted, now) = (name.clone(), self.store.clock().now());
        let mended = self.blocking(move |store, config| {
            store.mend_archive(&config.directory, &wanted, now, BROKEN_OFF, codec::payload)
        });
        let archive = match mended.await {
            Ok((subject, file)) => Archive::begun(&subject).finished(file),
            Err(error) if error.kind() == Kind::NotFound => {
                let archive = self.show(name).await?;
                Archive { finished: Some(now), problem: Some(GONE.to_owned()), ..archive }
            }
            Err(error) => return Err(error),
        };
        let note = archive.tell(caller.note(Action::ArchiveMend, name));
        let note = match &archive.problem {
            Some(problem) => note.outcome(Outcome::Failed).with("cause", problem.as_str()),
            None => note,
        };
        self.store
            .write(move |tx| {
                tx.audit(note);
                tx.put(&ARCHIVES, &archive.name, &archive)
            })
            .await
    }
}
