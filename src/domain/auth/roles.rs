//! Roles of the own store: names for sets of scopes, held through `assume:<role id>`.

use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clients::refuse_double_star;
use super::{Auth, Caller};
use crate::base::audit::Action;
use crate::base::{Error, Result, RoleId, Scope};
use crate::proto::roles::{Role, Roles};
use crate::store::{Survey, Table};

const ROLES: Table<RoleId, Stored> = Table::audited("roles");
/// Roles at most: every check of a role set walks all of them.
const ROLES_MAX: usize = 1000;
/// Scopes of one role at most: every expansion that enters it copies them.
const SCOPES_MAX: usize = 1000;
/// How often a change of a role is looked at again because another one came first.
const TRIES: usize = 4;

/// A role as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    scopes: Vec<Scope>,
}

impl Auth {
    pub(super) async fn roles_in_force(&self) -> Result<Arc<Roles>> {
        self.parsed_roles.get(&self.store, &ROLES, |tx| Roles::new(all(tx)?.into_iter().map(role).collect())).await
    }

    /// Scopes, and all that their roles stand for: of the own store, or as the deployment says.
    pub async fn expand(&self, scopes: &[Scope]) -> Result<Vec<Scope>> {
        match &self.remote {
            Some(remote) => remote.expand(scopes).await,
            None => Ok(self.roles_in_force().await?.expand(scopes)),
        }
    }

    /// Makes a role or gives it other scopes. The caller must hold the scopes it gives away; a set of roles that
    /// would be a cycle is refused.
    ///
    /// The set is looked at before the transaction, because that takes long when there are many roles and all writers
    /// would wait; the transaction only makes sure that it is still the same set.
    pub async fn put_role(&self, caller: &Caller, id: RoleId, scopes: Vec<Scope>) -> Result<()> {
        caller.require_all(&scopes)?;
        if scopes.len() > SCOPES_MAX {
            return Err(Error::invalid(format!("a role has at most {SCOPES_MAX} scopes")));
        }
        refuse_double_star(&scopes)?;
        let new = Stored { scopes };
        for _ in 0..TRIES {
            let row = (id.clone(), new.clone());
            let survey = self.store.survey(|tx| {
                let seen = all(tx)?;
                check(seen.clone(), row)?;
                Ok(seen)
            });
            let seen = survey.await?;
            if self.replace_role(caller.clone(), id.clone(), new.clone(), seen).await? {
                return Ok(());
            }
        }
        Err(Error::conflict("others keep changing the roles: try again in a moment"))
    }

    /// Puts a role among those that it was checked with; false when they are others by now.
    async fn replace_role(&self, by: Caller, id: RoleId, new: Stored, seen: Vec<(RoleId, Stored)>) -> Result<bool> {
        self.store
            .write(move |tx| {
                if tx.scan(&ROLES, ROLES_MAX)? != seen {
                    return Ok(false);
                }
                let listed: Vec<&str> = new.scopes.iter().map(Scope::as_str).collect();
                tx.audit(by.note(Action::RoleCreate, &id).with("scopes", listed));
                tx.put(&ROLES, &id, &new)?;
                Ok(true)
            })
            .await
    }

    /// Removes a role; who held scopes through it no longer does.
    pub async fn delete_role(&self, caller: &Caller, id: RoleId) -> Result<()> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                tx.get(&ROLES, &id)?.ok_or_else(|| {
                    Error::not_found(format!("there is no role `{id}`")).with_code("ResourceNotFound")
                })?;
                tx.delete(&ROLES, &id);
                tx.audit(caller.note(Action::RoleDelete, &id));
                Ok(())
            })
            .await
    }

    pub async fn roles(&self) -> Result<Vec<Role>> {
        Ok(self.store.survey(all).await?.into_iter().map(role).collect())
    }
}

fn all(tx: &Survey<'_>) -> Result<Vec<(RoleId, Stored)>> {
    tx.scan(&ROLES, Bound::Unbounded, ROLES_MAX)
}

fn role((id, stored): (RoleId, Stored)) -> Role {
    Role { id, scopes: stored.scopes }
}

/// Refuses a role that would not fit among the others.
fn check(mut roles: Vec<(RoleId, Stored)>, new: (RoleId, Stored)) -> Result<()> {
    roles.retain(|(other, _)| *other != new.0);
    if roles.len() >= ROLES_MAX {
        return Err(Error::conflict(format!("there are {ROLES_MAX} roles already: delete some")));
    }
    roles.push(new);
    Roles::new(roles.into_iter().map(role).collect()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Clock, Kind, Timestamp};
    use crate::store::Store;

    fn auth() -> Auth {
        let clock = Clock::manual(Timestamp::from_millis(0));
        let limits = crate::domain::auth::Limits { requests: 0, failures: 0 };
        Auth::new(Store::memory(clock.clone()).unwrap(), None, limits, clock).unwrap()
    }

    fn role_id(id: &str) -> RoleId {
        RoleId::parse(id).unwrap()
    }

    #[tokio::test]
    async fn a_role_has_a_thousand_scopes_at_most() {
        let (auth, caller) = (auth(), Caller::local("root", "r"));
        let scopes = |count| (0..count).map(|n| Scope::parse(&format!("x:{n}")).unwrap()).collect::<Vec<_>>();
        let refused = auth.put_role(&caller, role_id("r"), scopes(SCOPES_MAX + 1)).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
        auth.put_role(&caller, role_id("r"), scopes(SCOPES_MAX)).await.unwrap();
    }

    #[tokio::test]
    async fn a_role_is_not_put_among_others_than_it_was_checked_with() {
        let (auth, caller) = (auth(), Caller::local("root", "r"));
        let stored = |scope: &str| Stored { scopes: vec![Scope::parse(scope).unwrap()] };
        let put = |id, scope: &str| auth.replace_role(caller.clone(), role_id(id), stored(scope), Vec::new());
        assert!(put("a", "assume:b").await.unwrap());
        assert!(!put("b", "assume:a").await.unwrap());
        let (one, other) = tokio::join!(
            auth.put_role(&caller, role_id("c"), vec![Scope::parse("assume:d").unwrap()]),
            auth.put_role(&caller, role_id("d"), vec![Scope::parse("assume:c").unwrap()]),
        );
        assert!(one.is_ok() != other.is_ok(), "never a circle");
        assert_eq!(auth.roles().await.unwrap().len(), 2);
    }
}
