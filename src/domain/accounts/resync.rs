//! After a restoration: nothing that the brokers were told is believed any more.

use super::drift::CHUNK;
use super::{ACCOUNTS, Accounts, Owner};
use crate::base::Result;
use crate::base::audit::Note;

impl Accounts {
    /// Raises the wish of every account, so that the brokers are told all of it again, passwords too: a later one may be
    /// there, which nobody can see. Returns how many; each commit has an entry.
    ///
    /// Not that of our own administrators: a password of theirs may have been ended since. When the broker refuses it, it
    /// is replaced. And not those of users that were adopted: nothing of them is told to a broker.
    pub async fn resync_all(&self, note: impl Fn() -> Note) -> Result<usize> {
        let (mut all, mut chunks) = (0, self.store.chunks(&ACCOUNTS, CHUNK));
        while let Some(rows) = chunks.next().await? {
            all += rows.len();
            let note = note().with("doubted", u64::try_from(rows.len()).unwrap_or(u64::MAX));
            self.store
                .write(move |tx| {
                    tx.audit(note);
                    for (name, _) in rows {
                        let Some(mut account) = tx.get(&ACCOUNTS, &name)? else { continue };
                        if !matches!(account.owner, Owner::Administrator | Owner::Adopted) {
                            account.tell_again();
                            tx.put(&ACCOUNTS, &name, &account)?;
                        }
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(all)
    }
}
