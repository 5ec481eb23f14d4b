//! Roles of the own store: names for sets of scopes, held through `assume:<role id>`.

use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::clients::refuse_double_star;
use super::{Auth, Caller};
use crate::base::{Error, Result, RoleId, Scope};
use crate::proto::roles::{Role, Roles};
use crate::store::{Store, Table};

const ROLES: Table<RoleId, Stored> = Table::audited("roles");
/// Roles at most: every check of a role set walks all of them.
const ROLES_MAX: usize = 1000;

/// A role as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    scopes: Vec<Scope>,
}

/// The parsed roles, as of one version of the table.
#[derive(Default)]
pub(super) struct Cached(Mutex<Option<(u64, Arc<Roles>)>>);

impl Cached {
    /// The roles in force, read again only after a change.
    pub(super) fn current(&self, store: &Store) -> Result<Arc<Roles>> {
        let version = store.version(&ROLES);
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, roles)) = cached.as_ref().filter(|(of, _)| *of == version) {
            return Ok(roles.clone());
        }
        let rows = store.read(|tx| tx.scan(&ROLES, Bound::Unbounded, ROLES_MAX))?;
        let roles = Arc::new(Roles::new(rows.into_iter().map(role).collect())?);
        *cached = Some((version, roles.clone()));
        Ok(roles)
    }
}

impl Auth {
    /// Makes a role or gives it other scopes. The caller must hold the scopes it gives away; a set of roles that
    /// would be a cycle is refused.
    pub async fn put_role(&self, caller: &Caller, id: RoleId, scopes: Vec<Scope>) -> Result<()> {
        caller.require_all(&scopes)?;
        refuse_double_star(&scopes)?;
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let mut roles = tx.scan(&ROLES, ROLES_MAX)?;
                roles.retain(|(other, _)| *other != id);
                if roles.len() >= ROLES_MAX {
                    return Err(Error::conflict(format!("there are {ROLES_MAX} roles already: delete some")));
                }
                roles.push((id.clone(), Stored { scopes: scopes.clone() }));
                Roles::new(roles.into_iter().map(role).collect())?;
                let listed: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
                tx.audit(caller.note("role.create", &id).with("scopes", listed));
                tx.put(&ROLES, &id, &Stored { scopes })
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
                tx.audit(caller.note("role.delete", &id));
                Ok(())
            })
            .await
    }

    /// All roles, by id.
    pub fn roles(&self) -> Result<Vec<Role>> {
        Ok(self.store.read(|tx| tx.scan(&ROLES, Bound::Unbounded, ROLES_MAX))?.into_iter().map(role).collect())
    }
}

fn role((id, stored): (RoleId, Stored)) -> Role {
    Role { id, scopes: stored.scopes }
}
