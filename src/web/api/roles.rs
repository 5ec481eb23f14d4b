//! Our own API: roles of the own store.

use axum::routing::MethodFilter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clients::{Done, done, endpoint, read_input};
use super::{Call, Endpoint, Params, Reply, Routes, nothing};
use crate::base::{Result, RoleId, Scope};
use crate::domain::actions::roles;
use crate::domain::auth::scopes;
use crate::web::state::App;

static LIST: Endpoint =
    endpoint("listRoles", MethodFilter::GET, "/roles", scopes::ROLE_LIST, "Lists the roles of the own store.")
        .answers::<List>();
static CREATE: Endpoint = endpoint(
    "createRole",
    MethodFilter::PUT,
    "/roles/<roleId>",
    scopes::ROLE_CREATE,
    "Makes a role, or gives one other scopes.",
)
.takes::<Input>()
.answers::<Done>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&LIST, nothing, list).serve(&CREATE, role_id, create).act(&roles::DELETE)
}

fn role_id(_: &App, params: &Params) -> Result<RoleId> {
    RoleId::parse(params.get("roleId").map_or("", String::as_str))
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    scopes: Vec<Scope>,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    let roles =
        app.auth.roles().await?.into_iter().map(|role| RoleBody { role_id: role.id, scopes: role.scopes }).collect();
    Reply::json(&List { roles })
}

async fn create(app: App, call: Call, id: RoleId) -> Result<Reply> {
    let Input { scopes } = read_input(&call.payload)?;
    app.auth.put_role(&call.caller, id, scopes).await?;
    done()
}
