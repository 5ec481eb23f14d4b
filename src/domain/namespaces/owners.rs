//! Owners: whom operators want told of a namespace, beside the one contact that a claim may name.

use super::{NAMESPACES, Namespaces};
use crate::base::audit::Action;
use crate::base::{Error, MailAddress, NamespaceName, Result};
use crate::domain::auth::Caller;

/// Owners of one namespace. With its contact they are as many as hear of one notice.
pub const OWNERS_MAX: usize = 20;

impl Namespaces {
    /// Adds an owner. Owners stay until they are removed or the namespace is: no claim resets them. To add one again
    /// changes nothing.
    pub async fn own(&self, name: &NamespaceName, address: MailAddress, caller: &Caller) -> Result<()> {
        let (name, caller) = (name.clone(), caller.clone());
        self.store
            .write(move |tx| {
                let mut namespace = tx.get(&NAMESPACES, &name)?.ok_or_else(|| super::no_such(&name))?;
                if namespace.owners.contains(&address) {
                    return Ok(());
                }
                if namespace.owners.len() >= OWNERS_MAX {
                    return Err(Error::conflict(format!("it has {OWNERS_MAX} owners already: remove one")));
                }
                tx.audit(caller.note(Action::NamespaceOwn, &name).with("owner", address.as_str()));
                namespace.owners.push(address);
                tx.put(&NAMESPACES, &name, &namespace)
            })
            .await
    }

    /// Removes an owner. `NotFound` when it is none.
    pub async fn disown(&self, name: &NamespaceName, address: MailAddress, caller: &Caller) -> Result<()> {
        let (name, caller) = (name.clone(), caller.clone());
        self.store
            .write(move |tx| {
                let mut namespace = tx.get(&NAMESPACES, &name)?.ok_or_else(|| super::no_such(&name))?;
                let place = namespace.owners.iter().position(|owner| *owner == address);
                let place = place.ok_or_else(|| Error::not_found(format!("'{address}' is no owner of '{name}'")))?;
                namespace.owners.remove(place);
                tx.audit(caller.note(Action::NamespaceDisown, &name).with("owner", address.as_str()));
                tx.put(&NAMESPACES, &name, &namespace)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Kind, Timestamp};
    use crate::domain::namespaces::Claim;
    use crate::domain::namespaces::tests::World;

    fn address(text: &str) -> MailAddress {
        MailAddress::parse(text).unwrap()
    }

    #[tokio::test]
    async fn owners_hear_beside_the_contact_and_no_claim_resets_them() {
        let world = World::new();
        let (caller, name) = (Caller::local("tests", "r"), world.name());
        world.claim().await.unwrap();
        for owner in ["b@example.org", "c@example.org", "b@example.org"] {
            world.namespaces.own(&name, address(owner), &caller).await.unwrap();
        }

        let claim = Claim { expires: Some(Timestamp::MAX), contact: Some("a@example.org".into()), ..Claim::default() };
        world.namespaces.claim(&caller, &name, claim).await.unwrap();
        let receivers = world.namespaces.list_for_monitor().await.unwrap().remove(0).receivers;
        assert_eq!(receivers, ["a@example.org", "b@example.org", "c@example.org"]);

        world.namespaces.disown(&name, address("b@example.org"), &caller).await.unwrap();
        world.claim().await.unwrap();
        assert_eq!(world.namespaces.list_for_monitor().await.unwrap().remove(0).receivers, ["c@example.org"]);
        let again = world.namespaces.disown(&name, address("b@example.org"), &caller).await.unwrap_err();
        assert_eq!(again.kind(), Kind::NotFound);
    }

    #[tokio::test]
    async fn a_namespace_has_twenty_owners_at_most_and_must_exist() {
        let world = World::new();
        let (caller, name) = (Caller::local("tests", "r"), world.name());
        let early = world.namespaces.own(&name, address("a@example.org"), &caller).await.unwrap_err();
        assert_eq!(early.kind(), Kind::NotFound);

        world.claim().await.unwrap();
        for number in 0..OWNERS_MAX {
            world.namespaces.own(&name, address(&format!("o{number}@example.org")), &caller).await.unwrap();
        }
        world.namespaces.own(&name, address("o7@example.org"), &caller).await.unwrap();
        let refused = world.namespaces.own(&name, address("a@example.org"), &caller).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        assert_eq!(world.namespaces.detail(&name).unwrap().owners.len(), OWNERS_MAX);
    }
}
