//! What people may do with a role of the own store.

use super::{About, Action, DONE, Done, Weight};
use crate::base::{ClientId, Error, Result, RoleId, Scope};
use crate::domain::Domain;
use crate::domain::auth::scopes;
use crate::proto::roles::Role;
use crate::proto::scopes::satisfies;

pub const DELETE: Action<RoleId, Done> = Action {
    about: About {
        name: "deleteRole",
        method: "DELETE",
        route: "/roles/<roleId>",
        scope: scopes::ROLE_DELETE,
        command: "role delete <roleId>",
        argument: ("ID", "The role id"),
        example: "'pulse-user:*'",
        says: "Deletes a role: who has it loses its scopes.",
        title: "Delete the role <role>",
        button: "Delete now",
        weight: Weight::Destroys,
        asks_programs: false,
    },
    on: |_, text| RoleId::parse(text),
    plan: |domain, id| {
        Box::pin(async move {
            let scopes = found(&domain, &id).await?.scopes;
            let scopes = scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
            let mut effects = vec![format!("Who holds assume:{id} loses these scopes: {scopes}")];
            effects.extend(affected(&domain, &id).await?);
            Ok(effects)
        })
    },
    run: |domain, caller, id| Box::pin(async move { domain.auth.delete_role(&caller, id).await.map(|()| DONE) }),
};

/// The role of this id. `NotFound` when there is none.
pub async fn found(domain: &Domain, id: &RoleId) -> Result<Role> {
    let found = domain.auth.roles().await?.into_iter().find(|role| role.id == *id);
    found.ok_or_else(|| Error::not_found("There is no such role."))
}

/// Whom a change of a role changes, a sentence each.
pub async fn affected(domain: &Domain, id: &RoleId) -> Result<Vec<String>> {
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
