//! Room for the bodies of all requests at once: what arrives or inflates beyond it waits.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What of each body counts as its beginning. **Invariant:** no method takes more, so nothing that a client needs ever
/// waits for the large bodies of others.
pub const BODY_BEGINNING_LEN: usize = 64 << 10;
/// Bytes of beginnings in memory: as many whole ones as there are requests in hand.
const BEGINNINGS_LEN_MAX: usize = 64 << 20;
/// Bytes of what follows them: six of the longest bodies.
const REST_LEN_MAX: usize = 64 << 20;

/// The memory that all bodies share. Cheap to clone.
#[derive(Clone)]
pub struct BodyBudget {
    beginnings: Arc<Semaphore>,
    rest: Arc<Semaphore>,
}

impl Default for BodyBudget {
    fn default() -> Self {
        Self { beginnings: Arc::new(Semaphore::new(BEGINNINGS_LEN_MAX)), rest: Arc::new(Semaphore::new(REST_LEN_MAX)) }
    }
}

impl BodyBudget {
    /// A share for one body, empty at first. What it takes is free again when it is dropped.
    pub fn share(&self) -> BodyShare {
        BodyShare { budget: self.clone(), len: 0, is_waiting: false, taken: Vec::new() }
    }
}

/// What one body takes of the budget.
pub struct BodyShare {
    budget: BodyBudget,
    len: usize,
    is_waiting: bool,
    taken: Vec<OwnedSemaphorePermit>,
}

impl BodyShare {
    /// Takes room for more bytes, and waits until there is some.
    pub async fn take(&mut self, len: usize) {
        let beginning = len.min(BODY_BEGINNING_LEN.saturating_sub(self.len));
        self.len += len;
        self.is_waiting = true;
        self.take_of(self.budget.beginnings.clone(), beginning).await;
        self.take_of(self.budget.rest.clone(), len - beginning).await;
        self.is_waiting = false;
    }

    /// Whether it waits for others, or did when the wait was given up.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    async fn take_of(&mut self, room: Arc<Semaphore>, len: usize) {
        // Neither room is ever closed, and nothing that is read at once is longer than a number says.
        let Ok(permit) = room.acquire_many_owned(u32::try_from(len).unwrap_or(u32::MAX)).await else { return };
        match self.taken.iter_mut().find(|taken| Arc::ptr_eq(taken.semaphore(), permit.semaphore())) {
            Some(taken) => taken.merge(permit),
            None => self.taken.push(permit),
        }
    }
}
