//! The keys of a store together: the one in use, those before it, and the one that signs.

use std::sync::{Arc, PoisonError, RwLock};

use super::seal::{Keys, Sealed};
use super::sign::Signer;
use crate::base::{Result, Secret};

/// The keys of a store. What is sealed anew is sealed by the current key; what an earlier one sealed opens, too, for
/// earlier keys are kept under the current one: whoever has that could open everything anyway.
pub(super) struct Keyring {
    pub(super) current: Keys,
    /// Newest first.
    pub(super) former: Vec<Keys>,
    pub(super) signer: Signer,
    /// Whether some secrets may still be sealed by a former key, because a change was begun and not ended.
    pub(super) is_changing: bool,
}

impl Keyring {
    fn all(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.current).chain(&self.former)
    }

    pub(super) fn seal(&self, table: &str, key: &str, secret: &Secret) -> Result<Sealed> {
        self.current.seal(table, key, secret)
    }

    pub(super) fn open(&self, table: &str, key: &str, sealed: &Sealed) -> Result<Secret> {
        let opened = self.current.open(table, key, sealed);
        match opened {
            Ok(secret) => Ok(secret),
            Err(error) => self.former.iter().find_map(|keys| keys.open(table, key, sealed).ok()).ok_or(error),
        }
    }

    /// What the audit log keeps of a secret that is lent now.
    pub(super) fn reference(&self, secret: &Secret) -> String {
        self.current.reference(secret)
    }

    /// What the audit log may hold of a secret, whenever it was lent.
    pub(super) fn references(&self, secret: &Secret) -> Vec<String> {
        self.all().map(|keys| keys.reference(secret)).collect()
    }

    /// The key of this public name.
    pub(super) fn by_id(&self, id: &str) -> Option<&Keys> {
        self.all().find(|keys| keys.id() == id)
    }
}

/// The keyring of a running store, which a change of the key replaces.
pub(super) struct Shared(RwLock<Arc<Keyring>>);

impl Shared {
    pub(super) fn new(keyring: Keyring) -> Self {
        Self(RwLock::new(Arc::new(keyring)))
    }

    pub(super) fn get(&self) -> Arc<Keyring> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, keyring: Keyring) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
    }
}
