//! What a watcher of the broker must know of the namespaces: whose things lie there, and whom to tell.

use std::ops::Bound;

use super::{NAMESPACES, Namespace, Namespaces};
use crate::base::{AccountName, NamespaceName, Result, Timestamp};
use crate::store::WriteTx;

/// Namespaces decoded at once, so that memory stays flat while most of a record is dropped.
const CHUNK: usize = 250;

/// A namespace, as far as a watcher of the broker needs it.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The name.
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
    pub fn watched(&self) -> Result<Vec<Watched>> {
        self.store.read(|tx| {
            let (mut all, mut last) = (Vec::new(), None);
            loop {
                let rows = tx.scan(&NAMESPACES, last.as_ref().map_or(Bound::Unbounded, Bound::Excluded), CHUNK)?;
                let Some((name, _)) = rows.last() else { return Ok(all) };
                last = Some(name.clone());
                for (name, namespace) in rows {
                    all.push(Watched {
                        resting: namespace.resting().clone(),
                        resting_until: namespace.resting_until,
                        receivers: receivers(namespace),
                        name,
                    });
                }
            }
        })
    }

    /// Whom to tell of a namespace: the contact of its claims, then its owners. Nobody for one that there is not.
    pub fn receivers(&self, tx: &WriteTx<'_, '_>, name: &NamespaceName) -> Result<Vec<String>> {
        Ok(tx.get(&NAMESPACES, name)?.map(receivers).unwrap_or_default())
    }

    /// Whether there is such a namespace now.
    pub fn exists(&self, name: &NamespaceName) -> Result<bool> {
        self.store.read(|tx| Ok(tx.get(&NAMESPACES, name)?.is_some()))
    }
}

fn receivers(namespace: Namespace) -> Vec<String> {
    namespace.contact.into_iter().chain(namespace.owners.iter().map(ToString::to_string)).collect()
}
