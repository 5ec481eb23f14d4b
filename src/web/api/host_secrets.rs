//! The host-secrets API: ping, and credentials for the machine that asks (taskcluster.md 6.3; vector group
//! `host_secrets_http`).

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use schemars::JsonSchema;
use serde::Serialize;

use super::pulse::{PING, ping};
use super::{Call, Endpoint, QueryParameter, Reply, Routes, call, hosts, nothing};
use crate::base::Result;
use crate::domain::auth::scopes;
use crate::domain::hosts::Asker;
use crate::proto::tempcred::Credentials;
use crate::web::metrics::Lend;
use crate::web::state::App;

/// All methods, in the order of the reference document.
pub static ENDPOINTS: [&Endpoint; 2] = [&CREDENTIALS, &PING];

static CREDENTIALS: Endpoint = Endpoint::public(
    "credentials",
    "/credentials",
    "Lends temporary credentials to the machine that asks, which is known by its address and DNS name.",
)
.answers::<Wire<'_>>();

/// The same path with `?explain=1`, for operators: what the asker would get and why. It lends nothing.
static EXPLAIN: Endpoint = Endpoint {
    query: &[QueryParameter { name: "explain", pattern: "/^1$/", matches: |value| value == "1" }],
    scope: Some(scopes::HOST_EXPLAIN),
    ..Endpoint::public("credentials", "/credentials", "Says what the asker would get, and why.")
};

/// The routes below the mount.
pub fn routes() -> Routes {
    credentials_routes().serve(&PING, nothing, ping).options(&PING, "GET,HEAD")
}

/// The routes that the other ancestor's mount has not already.
pub fn credentials_routes() -> Routes {
    Routes::default().serve_by(&CREDENTIALS, get(answer)).options(&CREDENTIALS, "GET,HEAD")
}

async fn answer(State(app): State<App>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "explain") {
        call::answer(app, EXPLAIN, nothing, explain, request).await
    } else {
        call::answer(app, CREDENTIALS, nothing, credentials, request).await
    }
}

#[derive(Serialize, JsonSchema)]
struct Wire<'a> {
    credentials: WireCredentials<'a>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WireCredentials<'a> {
    client_id: &'a str,
    access_token: &'a str,
    /// JSON text in a string, as clients take it.
    certificate: &'a str,
}

async fn credentials(app: App, call: Call, (): ()) -> Result<Reply> {
    let peer = &call.origin.peer;
    let asker = Asker { address: peer.address, is_sure: peer.is_sure, request_id: &call.origin.trace.id };
    let lent = app.meters.lent(Lend::HostCredentials, app.hosts.credentials(asker).await)?;
    let Credentials { client_id, access_token, certificate } = lent.into_inner();
    Reply::json(&Wire {
        credentials: WireCredentials {
            client_id: client_id.as_str(),
            access_token: access_token.expose(),
            certificate: &certificate,
        },
    })
}

async fn explain(app: App, call: Call, (): ()) -> Result<Reply> {
    let peer = &call.origin.peer;
    hosts::explanation(&app.hosts.explain(peer.address, peer.is_sure).await?)
}
