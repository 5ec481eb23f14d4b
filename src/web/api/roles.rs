//! Our own API: roles of the own store.

use axum::Router;
use axum::routing::MethodFilter;
use serde::{Deserialize, Serialize};

use super::clients::{done, endpoint, read_input};
use super::{Call, Endpoint, Params, Reply, Routes, nothing, serve};
use crate::base::{Result, RoleId, Scope};
use crate::web::state::App;

static LIST: Endpoint = endpoint("listRoles", MethodFilter::GET, "/roles", "keylender:role:list", false);
static CREATE: Endpoint =
    endpoint("createRole", MethodFilter::PUT, "/roles/<roleId>", "keylender:role:create:<roleId>", true);
static DELETE: Endpoint =
    endpoint("deleteRole", MethodFilter::DELETE, "/roles/<roleId>", "keylender:role:delete:<roleId>", false);

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/roles", serve(&LIST, nothing, list))
        .route("/roles/{roleId}", serve(&CREATE, role_id, create).merge(serve(&DELETE, role_id, delete)))
}

fn role_id(_: &App, params: &Params) -> Result<RoleId> {
    RoleId::parse(params.get("roleId").map_or("", String::as_str))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    role_id: RoleId,
    scopes: Vec<Scope>,
}

#[derive(Serialize)]
struct List {
    roles: Vec<Shown>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    scopes: Vec<Scope>,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    let roles = app.auth.roles()?.into_iter().map(|role| Shown { role_id: role.id, scopes: role.scopes }).collect();
    Reply::json(&List { roles })
}

async fn create(app: App, call: Call, id: RoleId) -> Result<Reply> {
    let Input { scopes } = read_input(&call.payload)?;
    app.auth.put_role(&call.caller, id, scopes).await?;
    done()
}

async fn delete(app: App, call: Call, id: RoleId) -> Result<Reply> {
    app.auth.delete_role(&call.caller, id).await?;
    done()
}
