//! The key that seals secrets at rest, and the change to another one.

use super::auth::Caller;
use crate::base::audit::{Action, Actor, Note};
use crate::base::{Result, Secret};
use crate::store::Store;

/// What a change of the key is called in the audit log.
const ACTION: Action = Action::KeyRotate;

/// The keeper of the key. Cheap to clone.
#[derive(Clone)]
pub struct SealingKey {
    store: Store,
}

/// A change that is through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The public name of the key before.
    pub former: String,
    /// The public name of the key now.
    pub current: String,
}

impl SealingKey {
    /// The keeper of a store's key.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The public name of the key in use, and whether a change to it was broken off.
    pub fn state(&self) -> (String, bool) {
        (self.store.key_id(), self.store.is_changing_key())
    }

    /// Seals everything by a new key, while the appliance works on. One that was broken off is carried through.
    /// `passphrase` is the next one, when the key comes from one; then the setting has to follow.
    pub async fn rotate(&self, caller: &Caller, passphrase: Option<Secret>) -> Result<Changed> {
        let former = self.store.key_id();
        let note = caller.note(ACTION, "key");
        let begun = caller.note(ACTION, "key").with("state", "begun").with("former", former.clone());
        self.change(passphrase, begun, note.with("state", "done")).await?;
        // After one that was broken off, the key that it came from.
        Ok(Changed { former: self.store.former_key_id().unwrap_or(former), current: self.store.key_id() })
    }

    /// Carries a change through that was broken off, if there is one.
    pub async fn finish(&self) -> Result<bool> {
        let is_changing = self.store.is_changing_key();
        if is_changing {
            let note = || Note::done(Actor::Appliance, ACTION, "key");
            self.change(None, note(), note().with("state", "done")).await?;
        }
        Ok(is_changing)
    }

    async fn change(&self, passphrase: Option<Secret>, begun: Note, ended: Note) -> Result<()> {
        let told = |records: usize| tracing::debug!("{records} records are sealed by the new key");
        self.store.change_key(passphrase, begun, ended, told).await
    }
}
