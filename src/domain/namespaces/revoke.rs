//! Revoking: both passwords of a namespace end now, whatever was promised, and so do the connections that use them.

use futures_util::future::join_all;

use super::{NAMESPACES, Namespaces, Slot, leases};
use crate::base::audit::Action;
use crate::base::{AccountName, Error, NamespaceName, Result, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::store::WriteTx;

/// What a client that is cut off reads.
const GOODBYE: &str = "the credentials were revoked: claim the namespace again";

impl Namespaces {
    /// Ends both passwords of a namespace now: the active user gets a new one, the resting user none, and their
    /// connections are closed. Queues and exchanges stay, and the next claim gets the new password.
    ///
    /// **Invariant:** this is the one place where a promised `reclaimAt` is broken, on purpose and with a reason. It may
    /// be repeated: after a crash the passwords are brought to the broker by `reconcile`, and who held them is forgotten
    /// only when the connections are closed, too.
    pub async fn revoke(&self, name: &NamespaceName, caller: &Caller) -> Result<()> {
        let (this, namespace, by) = (self.clone(), name.clone(), caller.clone());
        let (began, accounts) = self.store.write(move |tx| this.replace_both(tx, &namespace, &by)).await?;
        // A broker that is away keeps no other one from it.
        let settled = self.accounts.settle_everywhere(&accounts, caller).await;
        let ended = self.sites.iter().zip(settled).map(async |(site, settled)| {
            settled?;
            for account in &accounts {
                let closed = site.get()?.close_connections_of(account, GOODBYE).await;
                closed.map_err(|error| site.name_error(error))?;
            }
            Ok::<_, Error>(())
        });
        join_all(ended).await.into_iter().collect::<Result<()>>()?;
        self.store
            .write(move |tx| accounts.iter().try_for_each(|account| leases::forget_revoked(tx, account, began)))
            .await
    }

    fn replace_both(
        &self,
        tx: &mut WriteTx<'_, '_>,
        name: &NamespaceName,
        caller: &Caller,
    ) -> Result<(Timestamp, Vec<AccountName>)> {
        let mut namespace = tx.get(&NAMESPACES, name)?.ok_or_else(|| super::no_such(name))?;
        if namespace.ending {
            return Err(Error::conflict("the namespace is being removed, which ends its users"));
        }
        let password = Secret::generate();
        for slot in Slot::BOTH {
            let login = (slot == namespace.active).then(|| password.clone());
            self.accounts.wish(tx, namespace.account(slot), self.config.wish(name, login))?;
            leases::revoke_holders(tx, namespace.account(slot))?;
        }
        let mut pair = namespace.pair();
        pair.restart(self.next_rotation(name, tx.now()), self.config.grace());
        namespace.take_pair(pair);
        tx.put(&NAMESPACES, name, &namespace)?;
        let accounts = namespace.accounts.to_vec();
        let names: Vec<&str> = accounts.iter().map(AccountName::as_str).collect();
        let note = caller.note(Action::NamespaceRevoke, name).about(&password);
        tx.audit(note.with("accounts", names));
        Ok((tx.now(), accounts))
    }
}
