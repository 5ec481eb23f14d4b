//! After a restoration: nothing that the broker was told is believed any more.

use super::drift::CHUNK;
use super::{ACCOUNTS, Accounts, TAG};
use crate::base::Result;
use crate::base::audit::Note;

impl Accounts {
    /// Raises the wish of every account, so that the broker is told all of it again, passwords too: a later one may be
    /// there, which nobody can see. Returns how many; each commit has an entry.
    ///
    /// Not that of an administrator: its password may have been ended since. When the broker refuses it, it is replaced.
    pub async fn doubt_all(&self, note: impl Fn() -> Note) -> Result<usize> {
        let (mut all, mut chunks) = (0, self.store.chunks(&ACCOUNTS, CHUNK));
        while let Some(rows) = chunks.next().await? {
            all += rows.len();
            let note = note().with("doubted", u64::try_from(rows.len()).unwrap_or(u64::MAX));
            self.store
                .write(move |tx| {
                    tx.audit(note);
                    for (name, _) in rows {
                        let Some(mut account) = tx.get(&ACCOUNTS, &name)? else { continue };
                        if account.tags.iter().any(|tag| tag == TAG) {
                            continue;
                        }
                        account.wish += 1;
                        account.access_settled = false;
                        tx.put(&ACCOUNTS, &name, &account)?;
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(all)
    }
}
