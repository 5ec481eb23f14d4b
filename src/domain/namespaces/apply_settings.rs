//! A change of settings reaches the users that are there already: their access, tags and vhost, with their passwords.

use super::{NAMESPACES, Namespaces};
use crate::base::Result;
use crate::base::audit::Action;
use crate::domain::accounts::Owner;
use crate::domain::auth::Caller;

/// Namespaces looked at per transaction.
const CHUNK: usize = 250;

impl Namespaces {
    /// Gives every user what the settings say today; returns how many differed. The broker hears of it when they are
    /// settled. Called at every start: settings change with one.
    pub async fn apply_settings(&self) -> Result<usize> {
        let (mut changed, mut chunks) = (0, self.store.chunks(&NAMESPACES, CHUNK));
        while let Some(rows) = chunks.next().await? {
            let this = self.clone();
            changed += self
                .store
                .write(move |tx| {
                    let mut changed = 0;
                    for (name, namespace) in rows {
                        let (owner, terms) = (Owner::Namespace(name.clone()), this.config.terms(&name));
                        for account in &namespace.accounts {
                            if this.accounts.adjust(tx, account, &owner, &terms)? {
                                tx.audit(Caller::of_loop("start").note(Action::AccountAdjust, account));
                                changed += 1;
                            }
                        }
                    }
                    Ok(changed)
                })
                .await?;
        }
        Ok(changed)
    }
}
