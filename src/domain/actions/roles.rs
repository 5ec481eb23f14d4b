//! What people may do with a role of the own store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Done, Weight, lost_and_given};
use crate::base::{ClientId, Error, Result, RoleId, Scope};
use crate::domain::Domain;
use crate::domain::auth::scopes;
use crate::proto::scopes::satisfies;

const ABOUT: About = About { argument: ("ID", "The role id"), example: "'pulse-user:*'", ..super::ABOUT };

/// What a role stands for.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    pub scopes: Vec<Scope>,
}

pub const CREATE: Action<RoleId, Done, Scopes> = Action {
    about: About {
        name: "createRole",
        route: "PUT /roles/<roleId>",
        scope: scopes::ROLE_CREATE,
        command: "role create <roleId> --scope <scope>",
        says: "Makes a role, or gives one other scopes.",
        page: ("Make the role <role>", "Make it now"),
        ..ABOUT
    },
    on: |_, text| RoleId::parse(text),
    plan: work!(|domain, caller, id, Scopes { scopes }| {
        caller.require_all(&scopes)?;
        let Some(old) = domain.auth.roles().await?.into_iter().find(|role| role.id == id) else {
            let mut effects = vec![format!("There is a role {id}: who holds assume:{id} holds its scopes.")];
            effects.extend(lost_and_given(&[], &scopes));
            return Ok(effects);
        };
        let mut effects = lost_and_given(&old.scopes, &scopes);
        effects.extend(affected(&domain, &id).await?);
        Ok(effects)
    }),
    run: done!(|domain, caller, id, Scopes { scopes }| domain.auth.put_role(&caller, id, scopes)),
};

/// The same of a role that is there.
pub const CHANGE: Action<RoleId, Done, Scopes> = Action {
    about: About { page: ("Change the role <role>", "Change it now"), weight: Weight::Reasoned, ..CREATE.about },
    ..CREATE
};

pub const DELETE: Action<RoleId, Done> = Action {
    about: About {
        name: "deleteRole",
        route: "DELETE /roles/<roleId>",
        scope: scopes::ROLE_DELETE,
        command: "role delete <roleId>",
        says: "Deletes a role: who has it loses its scopes.",
        page: ("Delete the role <role>", "Delete now"),
        weight: Weight::Destroys,
        ..ABOUT
    },
    on: |_, text| RoleId::parse(text),
    plan: work!(|domain, _, id, ()| {
        let found = domain.auth.roles().await?.into_iter().find(|role| role.id == id);
        let scopes = found.ok_or_else(|| Error::not_found("There is no such role."))?.scopes;
        let scopes = scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
        let mut effects = vec![format!("Who holds assume:{id} loses these scopes: {scopes}")];
        effects.extend(affected(&domain, &id).await?);
        Ok(effects)
    }),
    run: done!(|domain, caller, id, ()| domain.auth.delete_role(&caller, id)),
};

/// Whom a change of a role changes, a sentence each.
async fn affected(domain: &Domain, id: &RoleId) -> Result<Vec<String>> {
    let holders = holders(domain, id).await?;
    if holders.is_empty() {
        return Ok(vec!["No client holds it by itself.".to_owned()]);
    }
    Ok(holders.iter().map(|client| format!("This is so for the client {client} at once.")).collect())
}

/// The clients that hold a role by themselves, and not by another role.
pub async fn holders(domain: &Domain, id: &RoleId) -> Result<Vec<ClientId>> {
    let assume = format!("assume:{id}");
    // Of a role with a parameter one holds a case: `assume:builds/x` of `builds/*`.
    let prefix = assume.strip_suffix('*');
    let is_held =
        |scope: &Scope| satisfies(scope, &assume) || prefix.is_some_and(|prefix| scope.as_str().starts_with(prefix));
    let clients = domain.auth.clients().await?.into_iter().filter(|client| client.scopes.iter().any(is_held));
    Ok(clients.map(|client| client.client_id).collect())
}
