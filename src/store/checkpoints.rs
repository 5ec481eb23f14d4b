//! Signed heads of the audit chain, and the one that stands for entries that were pruned.

use redb::ReadableTable;

use super::chain::Head;
use super::migrate::{Meta, read_meta};
use super::tx::ReadTx;
use super::{AUDIT, Checkpoint, Store, fault};
use crate::base::audit::Note;
use crate::base::{Error, Result};

/// Where the checkpoint of the last pruned entry lies.
pub(super) const BASE: &str = "audit_base";
/// Entries that one commit removes: other writers hardly wait for it.
const PRUNE_CHUNK: usize = 5000;

impl Store {
    /// Signs the head of the audit chain, or what it was at an earlier entry.
    ///
    /// # Errors
    /// [`crate::base::Kind::NotFound`] when there is no entry of this number.
    pub fn checkpoint(&self, seq: Option<u64>) -> Result<Checkpoint> {
        self.read(|tx| {
            let base = tx.base_head()?;
            let seq = match seq {
                Some(seq) => seq,
                None => tx.last_entry()?.unwrap_or(base.seq),
            };
            let head = match tx.entry(seq)? {
                Some(bytes) => Head { seq: seq - 1, ..base }.after(&bytes),
                None if seq == base.seq => base,
                None => return Err(Error::not_found(format!("the log has no entry {seq}"))),
            };
            Ok(tx.keyring.signer.sign(&head, tx.now()))
        })
    }

    /// The public key that signs checkpoints, in hexadecimal.
    pub fn signing_key(&self) -> String {
        self.keyring.get().signer.public_key()
    }

    /// Removes the oldest audit entries up to number `through`, as many as one commit takes, and leaves a checkpoint for
    /// them, so that the rest stays verifiable. Returns that; `None` when there was nothing to remove. The last entry
    /// always stays. `note` makes the entry about it.
    pub async fn prune_audit(
        &self,
        through: u64,
        note: impl FnOnce(&Checkpoint) -> Note + Send + 'static,
    ) -> Result<Option<Checkpoint>> {
        self.write(move |tx| {
            let now = tx.now();
            let pruned = tx.raw(|db, keyring| {
                let failed = |e: redb::StorageError| fault("pruning the audit log", e);
                let mut log = db.open_table(AUDIT).map_err(|e| fault("pruning the audit log", e))?;
                let Some(last) = log.last().map_err(failed)?.map(|(seq, _)| seq.value()) else { return Ok(None) };
                let through = through.min(last.saturating_sub(1));
                let mut end = None;
                for row in log.range(..=through).map_err(failed)?.take(PRUNE_CHUNK) {
                    let (seq, bytes) = row.map_err(failed)?;
                    end = Some(Head { seq: seq.value() - 1, hash: [0; 32] }.after(bytes.value()));
                }
                let Some(end) = end else { return Ok(None) };
                log.retain_in(..=end.seq, |_, _| false).map_err(failed)?;
                let base = keyring.signer.sign(&end, now);
                let bytes = serde_json::to_vec(&base).map_err(|e| Error::internal("writing a checkpoint", e))?;
                Meta::open(db)?.put(BASE, &bytes)?;
                Ok(Some(base))
            })?;
            if let Some(base) = &pruned {
                tx.audit(note(base));
            }
            Ok(pruned)
        })
        .await
    }
}

impl ReadTx<'_> {
    /// The checkpoint that stands for the entries that were pruned; none while the log has its beginning.
    pub fn audit_base(&self) -> Result<Option<Checkpoint>> {
        read_meta(&self.tx, BASE)?.map(|bytes| read_base(&bytes)).transpose()
    }

    /// The head that the first entry of the log follows. Its checkpoint must be signed by our own key.
    pub(super) fn base_head(&self) -> Result<Head> {
        let Some(base) = self.audit_base()? else { return Ok(Head::EMPTY) };
        if base.key != self.keyring.signer.public_key() {
            return Err(Error::conflict("the checkpoint of the pruned entries is signed by another key"));
        }
        base.verify()
    }
}

/// The checkpoint of the pruned entries, from its bytes.
pub(super) fn read_base(bytes: &[u8]) -> Result<Checkpoint> {
    let unreadable = |e| Error::conflict("the checkpoint of the pruned entries cannot be read").because(e);
    serde_json::from_slice(bytes).map_err(unreadable)
}
