//! Our own API: the broker, and who we are to it.

use axum::routing::MethodFilter;
use schemars::JsonSchema;
use serde::Serialize;

use super::clients::endpoint;
use super::{Call, Endpoint, Reply, Routes, detached, nothing};
use crate::base::{AccountName, Error, Result, Timestamp};
use crate::domain::accounts::{AccountStatus, AdministratorStatus, Rotated};
use crate::domain::auth::scopes;
use crate::web::state::App;

static SHOW: Endpoint = endpoint(
    "broker",
    MethodFilter::GET,
    "/broker",
    scopes::BROKER_READ,
    "Shows how the broker is, and who we are to it.",
)
.answers::<Document>();
static ROTATE: Endpoint = endpoint(
    "rotateBroker",
    MethodFilter::POST,
    "/broker/rotate",
    scopes::BROKER_ROTATE,
    "Replaces our own administrator of the broker.",
)
.answers::<Done>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&SHOW, nothing, show).serve(&ROTATE, nothing, rotate)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Document {
    /// What `/__heartbeat__` says of it: its version, or what is wrong.
    health: String,
    is_well: bool,
    /// Who we are to it now.
    acting: String,
    /// `store`, or `settings`.
    from: &'static str,
    /// Whether it refused the one of the store.
    refused: bool,
    /// The administrator that the store has.
    administrator: Option<AccountName>,
    rotated: Option<Timestamp>,
    /// With whom a rotation began that has not ended.
    incoming: Option<AccountName>,
    accounts: Vec<AccountStatus>,
}

async fn show(app: App, _: Call, (): ()) -> Result<Reply> {
    let health = app.health.broker().await.state;
    let AdministratorStatus { acting, is_refused, active, rotated, incoming, accounts } = app.administrator.status()?;
    let is_ours = active.as_ref().is_some_and(|active| active.as_str() == acting);
    Reply::json(&Document {
        is_well: health.is_ok(),
        health: health.unwrap_or_else(|problem| problem),
        from: if is_ours { "store" } else { "settings" },
        acting,
        refused: is_refused,
        administrator: active,
        rotated,
        incoming,
        accounts,
    })
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Done {
    administrator: AccountName,
    /// Whether the one before is gone.
    retired: bool,
}

async fn rotate(app: App, call: Call, (): ()) -> Result<Reply> {
    // That there is no broker at all is said in its own words.
    app.administrator.status()?;
    let administrator = app.administrator.clone();
    let work = async move { administrator.rotate(&call.caller).await.map_err(unfinished) };
    let rotated = detached(&app.tasks, work).await.inspect_err(|_| app.loops.nudge("reconcile"))?;
    let Rotated { administrator, is_retired: retired } = rotated;
    if !retired {
        app.loops.nudge("reconcile");
    }
    Reply::json(&Done { administrator, retired })
}

/// What is lost by it: nothing.
fn unfinished(error: Error) -> Error {
    match error.kind() {
        crate::base::Kind::Unavailable => Error::unavailable(format!(
            "{}: the administrator before stays in force, and `reconcile` goes on with the rotation",
            error.message()
        ))
        .because(error),
        _ => error,
    }
}
