//! Our own API: clients of the own store.

use std::net::IpAddr;
use std::time::Duration;

use axum::routing::MethodFilter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, nothing};
use crate::base::{CertificateName, ClientId, Error, Result, Scope, Secret, Timestamp};
pub(super) use crate::domain::actions::Done;
use crate::domain::actions::{DONE, clients as actions};
use crate::domain::auth::scopes::{self, RequiredScope};
use crate::domain::auth::{Auth, ClientChange, ClientView, NewClient};
use crate::proto::formats;
use crate::web::state::App;

static LIST: Endpoint =
    endpoint("listClients", MethodFilter::GET, "/clients", scopes::CLIENT_LIST, "Lists the clients of the own store.")
        .answers::<List>();
static CREATE: Endpoint = endpoint(
    "createClient",
    MethodFilter::PUT,
    "/clients/<clientId>",
    scopes::CLIENT_CREATE,
    "Makes a client, and shows its token this once.",
)
.takes::<Input>()
.answers::<Issued<'_>>();
static CHANGE: Endpoint = endpoint(
    "changeClient",
    MethodFilter::POST,
    "/clients/<clientId>/change",
    scopes::CLIENT_CHANGE,
    "Gives a client other scopes, another end or another description; its token stays.",
)
.takes::<ChangeInput>()
.answers::<Done>();
static RESET: Endpoint = Endpoint {
    query: &[QueryParameter {
        name: "keepSeconds",
        pattern: "/^[0-9]+$/",
        matches: |text| text.parse::<u32>().is_ok(),
    }],
    ..endpoint(
        "resetClient",
        MethodFilter::POST,
        "/clients/<clientId>/reset",
        scopes::CLIENT_RESET,
        "Gives a client a new token, and shows it this once.",
    )
    .answers::<Issued<'_>>()
};
static CERTIFICATE: Endpoint = endpoint(
    "nameClientCertificate",
    MethodFilter::PUT,
    "/clients/<clientId>/certificate",
    scopes::CLIENT_CERTIFICATE,
    "Says by which certificates a client is known.",
)
.takes::<CertificateInput>()
.answers::<Done>();

/// An endpoint of our own API: always with a scope.
pub(super) const fn endpoint(
    name: &'static str,
    method: MethodFilter,
    route: &'static str,
    scope: RequiredScope,
    summary: &'static str,
) -> Endpoint {
    Endpoint { scope: Some(scope), ..Endpoint::public(name, method, route, summary) }
}

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, nothing, list)
        .serve(&CREATE, client_id, create)
        .serve(&CHANGE, client_id, change)
        .act(&actions::DELETE)
        .serve(&RESET, client_id, reset)
        .serve(&CERTIFICATE, client_id, certificate)
        .act(&actions::DISABLE)
        .act(&actions::ENABLE)
}

fn client_id(_: &App, params: &Params) -> Result<ClientId> {
    ClientId::parse(params.get("clientId").map_or("", String::as_str))
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

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    scopes: Vec<Scope>,
    /// Read as leniently as a claim's.
    expires: Option<String>,
    #[serde(default)]
    description: String,
    certificate_name: Option<CertificateName>,
}

/// What is to change; a member that is missing stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChangeInput {
    scopes: Option<Vec<Scope>>,
    /// Read as leniently as a claim's.
    expires: Option<String>,
    description: Option<String>,
}

/// A client together with its new token.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Issued<'a> {
    client_id: &'a ClientId,
    access_token: &'a str,
}

async fn create(app: App, call: Call, id: ClientId) -> Result<Reply> {
    let Input { scopes, expires, description, certificate_name } = read_input(&call.payload)?;
    let expires = match expires {
        None => Auth::never(app.clock.now()),
        Some(text) => formats::date_time(&text).map_err(|_| not_a_time(&text))?,
    };
    let new = NewClient { scopes, expires, description, certificate_name };
    issued(&id, &app.auth.create_client(&call.caller, id.clone(), new).await?.into_inner())
}

async fn change(app: App, call: Call, id: ClientId) -> Result<Reply> {
    let ChangeInput { scopes, expires, description } = read_input(&call.payload)?;
    let expires = expires.map(|text| formats::date_time(&text).map_err(|_| not_a_time(&text))).transpose()?;
    app.auth.change_client(&call.caller, id, ClientChange { scopes, expires, description }).await?;
    done()
}

async fn reset(app: App, call: Call, id: ClientId) -> Result<Reply> {
    let keep = call.query("keepSeconds").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    issued(&id, &app.auth.reset_client(&call.caller, id.clone(), keep.unwrap_or_default()).await?.into_inner())
}

fn issued(client_id: &ClientId, token: &Secret) -> Result<Reply> {
    Reply::json(&Issued { client_id, access_token: token.expose() })
}

pub(super) fn done() -> Result<Reply> {
    Reply::json(&DONE)
}

/// By what certificates a client is known; null is by none.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("required" = ["certificateName"]))]
struct CertificateInput {
    #[serde(deserialize_with = "present")]
    certificate_name: Option<CertificateName>,
}

/// A member that may be null and must be there.
fn present<'d, D: serde::Deserializer<'d>, T: Deserialize<'d>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

async fn certificate(app: App, call: Call, id: ClientId) -> Result<Reply> {
    let CertificateInput { certificate_name } = read_input(&call.payload)?;
    app.auth.name_client(&call.caller, id, certificate_name).await?;
    done()
}

fn not_a_time(text: &str) -> Error {
    Error::invalid(format!("expires is not a time like 2026-11-20T14:03:00Z: {text:?}"))
        .with_code("InputValidationError")
}

/// Reads an input; the message says which member is wrong and how.
pub(super) fn read_input<'d, T: serde::Deserialize<'d>>(payload: &'d serde_json::Value) -> Result<T> {
    T::deserialize(payload).map_err(|e| Error::invalid(e.to_string()).with_code("InputValidationError"))
}
