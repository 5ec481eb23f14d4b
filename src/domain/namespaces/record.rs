//! What is stored of a namespace, and how much of it each reader decodes: a member that changes here changes for all of
//! them.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::Slot;
use crate::base::{AccountName, MailAddress, NamespaceName, ProxySessionId, Timestamp};
use crate::domain::accounts::Pair;
use crate::store::Table;

pub(super) const NAMESPACES: Table<NamespaceName, Namespace> = Table::audited("namespaces");
/// The same records, as far as the public list shows them: decoding less is most of what makes a list fast.
pub(super) const LISTED: Table<NamespaceName, Times> = Table::audited("namespaces");

/// A namespace as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Namespace {
    /// Its two broker users, by slot. They keep their names when the prefix for new ones changes.
    pub(super) accounts: [AccountName; 2],
    pub(super) created: Timestamp,
    pub(super) expires: Timestamp,
    /// Whom to tell about queues that grow. Never returned over the wire.
    pub(super) contact: Option<String>,
    /// Whom else to tell, as operators settled it. No claim resets it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) owners: Vec<MailAddress>,
    /// What operators should know of it. No claim resets it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) note: String,
    /// The slot whose password is lent now; the other one rests.
    pub(super) active: Slot,
    /// When the slots change places.
    pub(super) next_rotation: Timestamp,
    /// Until when the active password was promised to work: the `reclaimAt` of the claims that got it.
    pub(super) promised_until: Timestamp,
    /// The same for the password of the resting slot. **Invariant:** it is not replaced before.
    pub(super) resting_until: Timestamp,
    /// Whether the resting slot was given a new password, to become active as soon as the broker knows it.
    pub(super) incoming: bool,
    /// Whether it is being removed. It cannot be claimed until it is gone.
    pub(super) ending: bool,
    /// The session of the task proxy that it is lent to, and with which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<ProxySessionId>,
}

impl Namespace {
    /// The broker user of a slot.
    pub(super) fn account(&self, slot: Slot) -> &AccountName {
        slot.of(&self.accounts)
    }

    /// The broker user whose password is not lent now.
    pub(super) fn resting(&self) -> &AccountName {
        self.account(self.active.other())
    }

    /// Its users as a pair, to be rotated.
    pub(super) fn pair(&self) -> Pair {
        Pair {
            accounts: self.accounts.clone(),
            active: self.active,
            incoming: self.incoming,
            next_rotation: self.next_rotation,
            promised_until: self.promised_until,
            resting_until: self.resting_until,
        }
    }

    pub(super) fn take_pair(&mut self, pair: Pair) {
        Pair {
            accounts: self.accounts,
            active: self.active,
            incoming: self.incoming,
            next_rotation: self.next_rotation,
            promised_until: self.promised_until,
            resting_until: self.resting_until,
        } = pair;
    }
}

/// When a namespace was made and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// When it was claimed first.
    pub created: Timestamp,
    /// When it may be removed, unless it is claimed again.
    pub expires: Timestamp,
}

/// The same records, as far as a list shows them.
pub(super) const BRIEF: Table<NamespaceName, Brief<IgnoredAny>> = Table::audited("namespaces");

/// The same, with their users.
pub(super) const WITH_USERS: Table<NamespaceName, Brief<[AccountName; 2]>> = Table::audited("namespaces");

/// And as far as it matters when they are due.
pub(super) const DUE: Table<String, Due> = Table::audited("namespaces");

#[derive(Deserialize)]
pub(super) struct Due {
    pub(super) expires: Timestamp,
    pub(super) next_rotation: Timestamp,
    pub(super) incoming: bool,
    pub(super) ending: bool,
}

#[derive(Deserialize)]
pub(super) struct Brief<Accounts> {
    pub(super) accounts: Accounts,
    pub(super) expires: Timestamp,
    pub(super) contact: Option<String>,
    pub(super) active: Slot,
    pub(super) next_rotation: Timestamp,
    pub(super) incoming: bool,
    pub(super) ending: bool,
}

/// The same records, as far as a watcher looks at them.
pub(super) const OBSERVED: Table<NamespaceName, Observed> = Table::audited("namespaces");

#[derive(Deserialize)]
pub(super) struct Observed {
    pub(super) accounts: [AccountName; 2],
    pub(super) contact: Option<String>,
    #[serde(default)]
    pub(super) owners: Vec<MailAddress>,
    pub(super) active: Slot,
    pub(super) resting_until: Timestamp,
}

/// The same records, as far as it is about the sessions that they are lent to.
pub(super) const LENT_TO: Table<NamespaceName, LentTo> = Table::audited("namespaces");

#[derive(Deserialize)]
pub(super) struct LentTo {
    #[serde(default)]
    pub(super) session: Option<ProxySessionId>,
}

/// The records of namespaces, as far as it is about what was lent.
pub(super) const LENDINGS: Table<NamespaceName, Lending> = Table::audited("namespaces");

#[derive(Deserialize)]
pub(super) struct Lending {
    pub(super) accounts: [AccountName; 2],
    pub(super) created: Timestamp,
    pub(super) active: Slot,
    pub(super) promised_until: Timestamp,
    pub(super) resting_until: Timestamp,
    pub(super) incoming: bool,
    pub(super) ending: bool,
}
