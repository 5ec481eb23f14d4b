//! Who moved: which connections still use a user of a namespace, and the early end of a password nobody uses.

use super::{NAMESPACES, Namespaces, Slot, leases};
use crate::base::audit::Action;
use crate::base::{AccountName, Error, NamespaceName, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::ports::broker::Connection;

/// A connection of a user of a namespace.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The broker's name for the connection.
    pub connection: String,
    pub account: AccountName,
    pub slot: Slot,
    /// The address it comes from.
    pub peer_host: Option<String>,
    /// The name the client gave itself.
    pub client_name: Option<String>,
    /// Since when, where the broker tells.
    pub connected_at: Option<Timestamp>,
}

impl Namespaces {
    /// The connections of a namespace's users at the main broker. New ones may be missing for some seconds (rabbitmq.md 2.4).
    pub async fn holders(&self, name: &NamespaceName) -> Result<Vec<Holder>> {
        let connections = self.sites[0].get()?.connections().await?;
        let record = self.store.read(|tx| tx.get(&NAMESPACES, name))?.ok_or_else(|| super::no_such(name))?;
        let mut holders = Vec::new();
        for slot in Slot::BOTH {
            let account = record.account(slot);
            let own = connections.iter().filter(|connection| connection.user == account.as_str());
            holders.extend(own.map(|connection| holder(account, slot, connection)));
        }
        Ok(holders)
    }

    /// The account that rests. `Conflict` while somebody is connected with its password.
    pub async fn unused_resting(&self, name: &NamespaceName) -> Result<AccountName> {
        let resting = self.store.read(|tx| {
            let namespace = tx.get(&NAMESPACES, name)?.ok_or_else(|| super::no_such(name))?;
            Ok(namespace.resting().clone())
        })?;
        let mut left = 0;
        for site in self.sites.iter() {
            left += site.get()?.connection_count(&resting).await.map_err(|error| site.name_error(error))?;
        }
        if left > 0 {
            return Err(Error::conflict(format!("{left} connections still use {resting}")));
        }
        Ok(resting)
    }

    /// Ends the resting password before its promise does, for an operator: `Conflict` while somebody is connected with
    /// it. Whoever only keeps it for later must claim again.
    pub async fn finish(&self, name: &NamespaceName, caller: &Caller) -> Result<()> {
        let (this, namespace, by) = (self.clone(), name.clone(), caller.clone());
        let resting = self.unused_resting(name).await?;
        let account = resting.clone();
        self.store
            .write(move |tx| {
                let mut record = tx.get(&NAMESPACES, &namespace)?.ok_or_else(|| super::no_such(&namespace))?;
                if record.ending || record.incoming || *record.resting() != account {
                    return Err(Error::conflict("the namespace is being rotated or removed: look again"));
                }
                record.resting_until = tx.now();
                tx.put(&NAMESPACES, &namespace, &record)?;
                this.accounts.wish(tx, &account, this.config.wish(&namespace, None))?;
                leases::forget_holders(tx, &account)?;
                tx.audit(by.note(Action::NamespaceFinish, &namespace).with("account", account.as_str()));
                Ok(())
            })
            .await?;
        self.accounts.settle_everywhere(&[resting], caller).await.into_iter().collect()
    }
}

fn holder(account: &AccountName, slot: Slot, connection: &Connection) -> Holder {
    Holder {
        connection: connection.name.clone(),
        account: account.clone(),
        slot,
        peer_host: connection.peer_host.clone(),
        client_name: connection.client_name.clone(),
        connected_at: connection.connected_at,
    }
}
