//! Our own API: the broker, and who we are to it.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing};
use crate::base::{AccountName, Result, SiteName, Timestamp};
use crate::domain::accounts::{AccountStatus, AdministratorStatus};
use crate::domain::actions::broker::ROTATE;
use crate::domain::auth::scopes;
use crate::web::state::App;

static SHOW: Endpoint =
    endpoint("broker", "/broker", scopes::BROKER_READ, "Shows how the broker is, and who we are to it.")
        .command("broker show")
        .answers::<Document>();
pub(super) fn routes() -> Routes {
    Routes::default().serve(&SHOW, nothing, show).act(&ROTATE)
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
    /// The further brokers that have the users of namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sites: Vec<Further>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Further {
    site: SiteName,
    /// `well`, `warning`, or `problem`: it cannot be told of namespaces.
    grade: &'static str,
    /// Its version, or what is wrong.
    health: String,
}

async fn show(app: App, _: Call, (): ()) -> Result<Reply> {
    let (check, further) = tokio::join!(app.health.broker(), app.health.further_brokers());
    let health = check.state;
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
        sites: further
            .into_iter()
            .map(|(site, found)| Further { site, grade: found.grade.word(), health: found.text })
            .collect(),
    })
}
