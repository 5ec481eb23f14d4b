//! The brokers that have accounts. The first is the main one: what it has is lent. The further ones have what it has, as
//! soon as they can.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::keyed_locks::KeyedLocks;
use crate::base::{AccountName, Error, SiteName, VhostName};
use crate::ports::broker::{self, Handle, Users};

/// Accounts that are remembered for a further broker that is slow; `reconcile` finds the others.
const BEHIND_MAX: usize = 10_000;

/// A broker that has all accounts, or those of namespaces.
pub(super) struct Site {
    /// Its name in the records.
    pub name: SiteName,
    pub users: Handle<dyn Users>,
    /// Keeps two settlements of one account apart, because the later answer must be the later wish.
    pub settling: KeyedLocks,
    /// Of a further one, where the users of namespaces are there.
    pub vhost: Option<VhostName>,
    /// What the main broker was told and this one was not.
    behind: Mutex<BTreeSet<AccountName>>,
    fell_behind: Notify,
}

impl Site {
    pub(super) fn main(users: Handle<dyn Users>) -> Self {
        Self {
            name: SiteName::main(),
            users,
            settling: KeyedLocks::default(),
            vhost: None,
            behind: Mutex::default(),
            fell_behind: Notify::new(),
        }
    }

    pub(super) fn further(site: broker::Site<dyn Users>) -> Self {
        let broker::Site { name, vhost, side } = site;
        Self { name, vhost: Some(vhost), ..Self::main(side) }
    }

    pub(super) fn is_main(&self) -> bool {
        self.vhost.is_none()
    }

    /// The same error with the name of this broker.
    pub(super) fn name_error(&self, error: Error) -> Error {
        error.reworded(|text| self.name.says(text))
    }

    /// Remembers what it has to be told.
    pub(super) fn fall_behind(&self, accounts: &[AccountName]) {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        if behind.len() < BEHIND_MAX {
            behind.extend(accounts.iter().cloned());
        }
        self.fell_behind.notify_one();
    }

    /// Waits until there is something to be told, and takes it.
    pub(super) async fn behind(&self) -> BTreeSet<AccountName> {
        self.fell_behind.notified().await;
        std::mem::take(&mut *self.behind.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
