//! The audit log as something to keep: its head is told to the world now and then, and its beginning may go.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::auth::Caller;
use crate::base::audit::Action;
use crate::base::{Error, Result, Timestamp};
use crate::store::{Checkpoint, Filter, Store};

/// Entries younger than this are never pruned: a restart takes up from them which signed requests were admitted, and
/// whoever looks into an incident begins with them.
const KEEP_MIN: Duration = Duration::from_secs(24 * 60 * 60);

/// The keeper of the log. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    store: Store,
    /// The last entry that a checkpoint told of.
    told: Arc<Mutex<u64>>,
}

/// What pruning did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// The last entry that goes; 0 for none.
    pub through: u64,
    pub entries: u64,
    /// What stands for them; none when nothing went.
    pub checkpoint: Option<Checkpoint>,
}

impl Audit {
    /// A keeper of a store's log.
    pub fn new(store: Store) -> Self {
        Self { store, told: Arc::default() }
    }

    /// Writes the signed head to the log of the program, and so to syslog where that is the log: an audit log that is
    /// cut off later is shorter than the last checkpoint. `None` when the head is the one that was told last.
    pub fn tell_head(&self) -> Result<Option<Checkpoint>> {
        let checkpoint = self.store.checkpoint(None)?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == checkpoint.seq {
            return Ok(None);
        }
        tracing::info!(target: "keylender::audit", "audit checkpoint {}", checkpoint.line()?);
        *told = checkpoint.seq;
        Ok(Some(checkpoint))
    }

    /// What pruning would remove: all entries from before a moment, up to the first one that is not.
    ///
    /// # Errors
    /// [`crate::base::Kind::Invalid`] for a moment less than a day ago; [`crate::base::Kind::Conflict`] for a broken
    /// chain, of which nothing is removed.
    pub async fn plan_pruning(&self, before: Timestamp) -> Result<Pruned> {
        if before > self.store.clock().now().minus(KEEP_MIN) {
            return Err(Error::invalid("entries of the last day are kept: name an earlier moment"));
        }
        self.store.verify_audit().await?;
        let base = self.store.read(|tx| Ok(tx.audit_base()?.map_or(0, |base| base.seq)))?;
        let kept = Filter { since: Some(before), ..Filter::default() };
        let mut from = base + 1;
        let first_kept = loop {
            let filter = kept.clone();
            let page = self.store.survey(move |tx| tx.search(from, &filter)).await?;
            match (page.entries.first(), page.next) {
                (Some((seq, _)), _) => break *seq,
                // The last entry stays, whatever its age.
                (None, None) => break page.seen.max(1),
                (None, Some(next)) => from = next,
            }
        };
        let through = first_kept - 1;
        Ok(Pruned { through, entries: through.saturating_sub(base), checkpoint: None })
    }

    /// Removes all entries from before a moment. Errors as of [`Audit::plan_pruning`]; what is broken off is gone on with
    /// by the same call.
    pub async fn prune(&self, caller: &Caller, before: Timestamp) -> Result<Pruned> {
        let mut pruned = self.plan_pruning(before).await?;
        let begin = pruned.through - pruned.entries;
        while pruned.checkpoint.as_ref().map_or(begin, |last| last.seq) < pruned.through {
            let caller = caller.clone();
            let note = move |base: &Checkpoint| {
                caller.note(Action::AuditPrune, format!("through {}", base.seq)).with("hash", base.hash.clone())
            };
            match self.store.prune_audit(pruned.through, note).await? {
                Some(checkpoint) => pruned.checkpoint = Some(checkpoint),
                None => break,
            }
        }
        Ok(pruned)
    }
}
