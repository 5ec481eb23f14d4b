//! What a session has of the broker, and how often it may ask for more.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::rate::RateLimit;
use crate::base::{Error, NamespaceName, Result};

/// Namespaces of one session: a task has one or two, and each is two users of the broker.
const NAMESPACES_MAX: usize = 8;
/// Logins that a session is lent: each is an entry of the audit log. A task that opens a connection for each of its threads
/// is far below.
const PER_MINUTE: u32 = 240;

/// The namespaces of a session. **Invariant:** it names each that the session has in the store, and those that it is about
/// to have.
#[derive(Debug)]
pub struct Lending {
    names: Mutex<BTreeSet<NamespaceName>>,
    /// Held by the one who lends or gives back, so that no other finds it half done.
    turn: Arc<Semaphore>,
    rate: RateLimit<()>,
}

impl Default for Lending {
    fn default() -> Self {
        Self { names: Mutex::default(), turn: Arc::new(Semaphore::new(1)), rate: RateLimit::new(PER_MINUTE) }
    }
}

impl Lending {
    /// Counts a login. `now` is of the steady clock.
    pub fn admit(&self, now: Duration) -> Result<()> {
        let often = |wait| Error::limited(format!("a session is lent {PER_MINUTE} logins in a minute"), wait);
        self.rate.admit((), now).map_err(often)
    }

    /// The turn to lend or give back.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        self.turn.clone().acquire_owned().await.map_err(|e| Error::internal("waiting for others", e))
    }

    /// Notes that the session is about to have a namespace.
    pub fn note(&self, name: &NamespaceName) -> Result<()> {
        let mut names = self.names();
        if names.len() >= NAMESPACES_MAX && !names.contains(name) {
            return Err(Error::busy(format!(
                "a session has at most {NAMESPACES_MAX} namespaces: give one back by DELETE"
            )));
        }
        names.insert(name.clone());
        Ok(())
    }

    /// The namespaces.
    pub fn names(&self) -> MutexGuard<'_, BTreeSet<NamespaceName>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
