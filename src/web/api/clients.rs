//! Our own API: clients of the own store.

use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, QueryParameter, Reply, Routes, act, endpoint, nothing};
use crate::base::{CertificateName, ClientId, Result, Scope, Timestamp};
use crate::domain::actions::clients::{self as actions, Issued, Keep};
use crate::domain::auth::ClientView;
use crate::domain::auth::scopes;
use crate::web::state::App;

static LIST: Endpoint = endpoint("listClients", "/clients", scopes::CLIENT_LIST, "Lists the clients of the own store.")
    .command("client list")
    .answers::<List>();
/// What a reset may be asked with.
static RESET_QUERY: [QueryParameter; 3] = {
    let [plan, reason] = act::QUERY;
    [
        QueryParameter { name: "keepSeconds", pattern: "/^[0-9]+$/", matches: |text| text.parse::<u32>().is_ok() },
        plan,
        reason,
    ]
};

pub(super) fn routes() -> Routes {
    let reset = act::method::<Issued, ()>(&actions::RESET.about);
    Routes::default()
        .serve(&LIST, nothing, list)
        .act(&actions::CREATE)
        .act(&actions::CHANGE)
        .act(&actions::DELETE)
        .act_as(&actions::RESET, Endpoint { query: &RESET_QUERY, ..reset }, |call| {
            let keep = call.query("keepSeconds").and_then(|seconds| seconds.parse().ok());
            Ok(Keep(Duration::from_secs(keep.unwrap_or_default())))
        })
        .act(&actions::CERTIFICATE)
        .act(&actions::DISABLE)
        .act(&actions::ENABLE)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ClientBody {
    client_id: ClientId,
    scopes: Vec<Scope>,
    expires: Timestamp,
    disabled: bool,
    description: String,
    created: Timestamp,
    certificate_name: Option<CertificateName>,
    /// When it was last believed; never, or before an upgrade, when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<Timestamp>,
    /// From which addresses, the latest first.
    used_from: Vec<IpAddr>,
    /// Until when the access token before is good, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_until: Option<Timestamp>,
}

impl From<ClientView> for ClientBody {
    fn from(client: ClientView) -> Self {
        let ClientView { client_id, scopes, expires, disabled, description, created, .. } = client;
        let (certificate_name, uses, former_until) = (client.certificate_name, client.uses, client.former_until);
        let last_used = uses.first().map(|each| each.last);
        let used_from = uses.into_iter().map(|each| each.from).collect();
        Self {
            client_id,
            scopes,
            expires,
            disabled,
            description,
            created,
            certificate_name,
            last_used,
            used_from,
            former_until,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct List {
    clients: Vec<ClientBody>,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&List { clients: app.auth.clients().await?.into_iter().map(ClientBody::from).collect() })
}
