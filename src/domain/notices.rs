//! Notices: what a person should hear. A stand-in that only audits, until the outbox is merged.

use crate::base::Result;
use crate::base::audit::{Actor, Note};
use crate::store::{Store, WriteTx};

/// Something a person should hear.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What kind of thing happened.
    pub kind: &'static str,
    /// The name of the thing.
    pub about: String,
    /// Mail addresses; when there are none, only the webhook hears it.
    pub to: Vec<String>,
    /// In one line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// The outbox of this appliance. Cheap to clone.
#[derive(Clone)]
pub struct Notices;

impl Notices {
    /// The notices in this store.
    pub fn new(_store: Store) -> Self {
        Self
    }

    /// Puts a notice into the outbox, in the transaction of its cause: both are true, or neither.
    pub fn post(&self, tx: &mut WriteTx<'_, '_>, notice: Notice) -> Result<()> {
        let note = Note::done(Actor::Appliance, "notice.post", 0).with("kind", notice.kind).with("about", notice.about);
        tx.audit(note.with("to", notice.to));
        Ok(())
    }
}
