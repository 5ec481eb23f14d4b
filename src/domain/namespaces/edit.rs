//! What operators set about a namespace beside its claims: when it ends, and what should be known of it.

use super::{NAMESPACES, Namespaces};
use crate::base::audit::Action;
use crate::base::{Error, NamespaceName, Result, Timestamp};
use crate::domain::auth::Caller;

/// Bytes of a note: some paragraphs for other operators.
pub const NOTE_LEN_MAX: usize = 2000;

impl Namespaces {
    /// Lets a namespace end later. The next claim says when it ends as ever.
    pub async fn extend(&self, name: &NamespaceName, expires: Timestamp, caller: &Caller) -> Result<()> {
        let (name, caller) = (name.clone(), caller.clone());
        self.store
            .write(move |tx| {
                let mut namespace = tx.get(&NAMESPACES, &name)?.ok_or_else(|| super::no_such(&name))?;
                if namespace.ending {
                    return Err(Error::conflict("this namespace is being removed"));
                }
                if namespace.session.is_some() {
                    return Err(Error::conflict("this namespace is lent to a task, and ends with its session"));
                }
                if expires <= namespace.expires || expires <= tx.now() {
                    let present = namespace.expires;
                    return Err(Error::invalid(format!(
                        "expected a moment to come and after {present}, when it ends now"
                    )));
                }
                namespace.expires = expires;
                tx.audit(caller.note(Action::NamespaceExtend, &name).with("expires", expires.to_string()));
                tx.put(&NAMESPACES, &name, &namespace)
            })
            .await
    }

    /// Sets the note of a namespace, which goes when the namespace does; an empty one takes it away.
    pub async fn note(&self, name: &NamespaceName, note: String, caller: &Caller) -> Result<()> {
        if note.len() > NOTE_LEN_MAX {
            return Err(Error::invalid(format!("a note has at most {NOTE_LEN_MAX} bytes")));
        }
        let (name, caller) = (name.clone(), caller.clone());
        self.store
            .write(move |tx| {
                let mut namespace = tx.get(&NAMESPACES, &name)?.ok_or_else(|| super::no_such(&name))?;
                tx.audit(caller.note(Action::NamespaceNote, &name).with("note", note.clone()));
                namespace.note = note;
                tx.put(&NAMESPACES, &name, &namespace)
            })
            .await
    }
}
