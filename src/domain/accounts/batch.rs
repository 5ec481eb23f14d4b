//! Many accounts that are settled one beside another: what they share, so that the broker is all that they wait for.

use std::collections::HashSet;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Accounts;
use crate::base::{AccountName, Error, Result};

/// Accounts of one batch. The list of users is as old as the batch takes, and who makes a user meanwhile is not seen.
pub const BATCH_LEN: usize = 500;
/// Settlements at once. Each waits half of its time for commits, and the broker for none of them.
pub const IN_HAND: usize = 2 * WRITERS;
/// Users that the broker is told at once: it gains nothing beyond (rabbitmq.md 3).
const WRITERS: usize = 8;
/// Of fewer accounts each is looked for by itself: the list has all users of the broker.
const LISTED_MIN: usize = 32;

/// What the settlements of one batch share.
pub struct Batch {
    /// The names of all users that the broker has, if they were asked for.
    users: Option<HashSet<String>>,
    writers: Semaphore,
}

impl Batch {
    /// Whether the broker may have a user of this name.
    pub(super) fn may_have(&self, name: &AccountName) -> bool {
        self.users.as_ref().is_none_or(|users| users.contains(name.as_str()))
    }

    /// A turn to tell the broker of a user.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        self.writers.acquire().await.map_err(|e| Error::internal("waiting for a turn", e))
    }
}

impl Accounts {
    /// What so many settlements on the main broker share. A broker that does not tell its users is asked for each.
    pub async fn batch(&self, len: usize) -> Batch {
        let users = match self.main().users.get() {
            Ok(broker) if len >= LISTED_MIN => broker.users().await.ok(),
            _ => None,
        };
        let users = users.map(|users| users.into_iter().map(|user| user.name).collect());
        Batch { users, writers: Semaphore::new(WRITERS) }
    }
}
