//! Leases: the passwords of namespaces that work now, and who was lent them.

use std::sync::Arc;

use super::record::{LENDINGS, Lending};
use super::{Namespaces, Slot};
use crate::base::{AccountName, NamespaceName, Result, Timestamp};
use crate::domain::accounts::{AccountCounts, held};
use crate::ports::broker::Connection;
use crate::store::Survey;

pub use held::{Connected, HeldBy};
pub(super) use held::{
    forget, forget_holders, forget_revoked, last_connected, last_holder, last_holders, note_holder, revoke_holders,
};

/// A password of a namespace that works.
#[derive(Clone, Debug)]
pub struct NamespaceLease {
    pub namespace: NamespaceName,
    pub account: AccountName,
    /// Whether it is the one that claims get now.
    pub is_active: bool,
    /// Since when there is the namespace.
    pub created: Timestamp,
    /// Until when it was promised. It works until it is replaced, which may be later.
    pub until: Timestamp,
    /// Who got it, if anybody did. Unknown for one from before the version that writes this down.
    pub holders: Option<Vec<HeldBy>>,
    /// When it was last seen in use.
    pub connected: Option<Connected>,
}

/// The passwords of a namespace that were lent, if their users can log in.
fn lent(name: &NamespaceName, lending: Lending) -> impl Iterator<Item = NamespaceLease> {
    let Lending { accounts, created, active, promised_until, resting_until, incoming, ending } = lending;
    let lease = move |(slot, account)| {
        let is_active = slot == active;
        // A resting password that is new was not lent yet.
        let is_lent = !ending && (is_active || !incoming);
        is_lent.then(|| NamespaceLease {
            namespace: name.clone(),
            account,
            is_active,
            created,
            until: if is_active { promised_until } else { resting_until },
            holders: None,
            connected: None,
        })
    };
    Slot::BOTH.into_iter().zip(accounts).filter_map(lease)
}

impl Namespaces {
    /// The passwords that work now, in the order of the namespaces. Those of namespaces that are being removed are over.
    /// `counts` is what [`Namespaces::counts`] said before.
    pub fn leases(&self, tx: &Survey<'_>, counts: &AccountCounts, mut look: impl FnMut(NamespaceLease)) -> Result<()> {
        let (mut holders, mut connected) = held::all(tx)?;
        tx.each(&LENDINGS, |name, lending| {
            for lent in lent(&name, lending).filter(|lent| !counts.unusable.contains(&lent.account)) {
                let (holders, connected) = (holders.remove(&lent.account), connected.remove(&lent.account));
                look(NamespaceLease { holders, connected, ..lent });
            }
        })
    }

    /// How the broker users stand.
    pub async fn counts(&self) -> Result<Arc<AccountCounts>> {
        self.accounts.counts().await
    }

    /// The passwords of one namespace that work now.
    pub fn leases_of(&self, name: &NamespaceName) -> Result<Vec<NamespaceLease>> {
        self.store.read(|tx| {
            let Some(lending) = tx.get(&LENDINGS, name)? else { return Ok(Vec::new()) };
            let mut leases = Vec::new();
            for lent in lent(name, lending) {
                if self.accounts.status(tx, &lent.account)?.is_some_and(|status| status.usable) {
                    let (holders, connected) = held::of(tx, &lent.account)?;
                    leases.push(NamespaceLease { holders, connected, ..lent });
                }
            }
            Ok(leases)
        })
    }

    /// Notes which of our users these connections belong to.
    pub async fn note_connected(&self, connections: &[Connection]) -> Result<()> {
        self.accounts.note_connected(connections).await
    }
}
