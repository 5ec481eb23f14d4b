//! Our own API: roles of the own store.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing};
use crate::base::{Result, RoleId, Scope};
use crate::domain::actions::roles;
use crate::domain::auth::scopes;
use crate::web::state::App;

static LIST: Endpoint = endpoint("listRoles", "/roles", scopes::ROLE_LIST, "Lists the roles of the own store.")
    .command("role list")
    .answers::<List>();
pub(super) fn routes() -> Routes {
    Routes::default().serve(&LIST, nothing, list).act(&roles::CREATE).act(&roles::DELETE)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RoleBody {
    role_id: RoleId,
    scopes: Vec<Scope>,
}

#[derive(Serialize, JsonSchema)]
struct List {
    roles: Vec<RoleBody>,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    let roles =
        app.auth.roles().await?.into_iter().map(|role| RoleBody { role_id: role.id, scopes: role.scopes }).collect();
    Reply::json(&List { roles })
}
