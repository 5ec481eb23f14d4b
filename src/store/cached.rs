//! A value that is made of a table, kept until the table changes.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Store, Survey, Table};
use crate::base::Result;

/// A value made of a table, as of its last change. Cheap to clone.
pub struct Cached<T>(Arc<Shared<T>>);

struct Shared<T> {
    /// The version of the table, and what was made of it.
    known: Mutex<Option<(u64, Arc<T>)>>,
    /// Held while it is made: of many that want it after a change one makes it.
    making: Mutex<()>,
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Arc::new(Shared { known: Mutex::default(), making: Mutex::default() }))
    }
}

impl<T: Send + Sync + 'static> Cached<T> {
    /// The value as the table is now, made anew only after a change.
    pub async fn get<K, V>(
        &self,
        store: &Store,
        table: &Table<K, V>,
        make: impl FnOnce(&Survey<'_>) -> Result<T> + Send + 'static,
    ) -> Result<Arc<T>> {
        // Before the records: one that changes meanwhile is read again next time.
        let version = store.version(table);
        if let Some(value) = self.0.of(version) {
            return Ok(value);
        }
        let shared = self.0.clone();
        store
            .survey(move |tx| {
                let _one = shared.making.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(value) = shared.of(version) {
                    return Ok(value);
                }
                let value = Arc::new(make(tx)?);
                *shared.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, value.clone()));
                Ok(value)
            })
            .await
    }
}

impl<T> Shared<T> {
    fn of(&self, version: u64) -> Option<Arc<T>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(of, _)| *of >= version).map(|(_, value)| value.clone())
    }
}
