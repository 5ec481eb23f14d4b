//! What a watcher of the broker must know of the namespaces: whose things lie there, and whom to tell.

use super::record::{NAMESPACES, OBSERVED, Observed};
use super::{Namespaces, Slot};
use crate::base::{AccountName, MailAddress, NamespaceName, Result, Timestamp};
use crate::store::WriteTx;

/// A namespace, as far as a watcher of the broker needs it.
#[derive(Clone, Debug)]
pub struct MonitoredNamespace {
    pub name: NamespaceName,
    /// Whom to tell: the contact of its claims, then its owners.
    pub receivers: Vec<String>,
    /// The user that rests: its password was lent before and is not lent now.
    pub resting: AccountName,
    /// Until when that password was promised; [`Timestamp::MIN`] when it never was.
    pub resting_until: Timestamp,
}

impl Namespaces {
    /// All namespaces at one moment, also those that are being removed, in the order of their names.
    pub async fn list_for_monitor(&self) -> Result<Vec<MonitoredNamespace>> {
        let survey = self.store.survey(|tx| {
            let mut all = Vec::new();
            tx.each(&OBSERVED, |name, namespace| {
                let Observed { accounts: [first, second], contact, owners, active, resting_until } = namespace;
                all.push(MonitoredNamespace {
                    resting: if active == Slot::First { second } else { first },
                    resting_until,
                    receivers: receivers(contact, &owners),
                    name,
                });
            })?;
            Ok(all)
        });
        survey.await
    }

    /// Whom to tell of a namespace: the contact of its claims, then its owners. Nobody for one that there is not.
    pub fn receivers(&self, tx: &WriteTx<'_, '_>, name: &NamespaceName) -> Result<Vec<String>> {
        let namespace = tx.get(&NAMESPACES, name)?;
        Ok(namespace.map(|namespace| receivers(namespace.contact, &namespace.owners)).unwrap_or_default())
    }

    /// Whether there is such a namespace now.
    pub fn exists(&self, name: &NamespaceName) -> Result<bool> {
        self.store.read(|tx| Ok(tx.get(&NAMESPACES, name)?.is_some()))
    }
}

fn receivers(contact: Option<String>, owners: &[MailAddress]) -> Vec<String> {
    contact.into_iter().chain(owners.iter().map(ToString::to_string)).collect()
}
