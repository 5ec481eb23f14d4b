//! Locks by name: one at a time for each.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// Locks over all names: two names seldom share one, and the number bounds the memory.
const STRIPES: usize = 256;

/// Keeps two that work on the same name apart.
pub struct KeyedLocks {
    stripes: [Mutex<()>; STRIPES],
    hasher: RandomState,
}

impl Default for KeyedLocks {
    fn default() -> Self {
        Self { stripes: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

impl KeyedLocks {
    /// Waits until these names are ours; that ends with the guards. Always in the order of the stripes, so that
    /// two callers cannot wait for each other.
    pub async fn take(&self, names: &[impl AsRef<str>]) -> Vec<MutexGuard<'_, ()>> {
        let mut stripes: Vec<usize> = names.iter().map(|name| self.stripe(name.as_ref())).collect();
        stripes.sort_unstable();
        stripes.dedup();
        let mut guards = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            guards.push(self.stripes[stripe].lock().await);
        }
        guards
    }

    fn stripe(&self, name: &str) -> usize {
        usize::try_from(self.hasher.hash_one(name) % STRIPES as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_name_is_locked_once_at_a_time_and_names_are_taken_in_any_order() {
        let locks = KeyedLocks::default();
        let first = locks.take(&["a", "b"]).await;
        assert!(locks.take(&["a"]).now_or_never().is_none());
        assert!(locks.take(&["c", "b"]).now_or_never().is_none());
        drop(first);
        assert!(locks.take(&["b", "a", "b"]).now_or_never().is_some());
    }
}
