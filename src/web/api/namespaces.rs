//! Our own API: namespaces as operators see them, with their users.

use axum::routing::MethodFilter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clients::{Done, done, endpoint, read_input};
use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, detached};
use crate::base::{AccountName, Error, MailAddress, NamespaceName, Result, Timestamp};
use crate::domain::accounts::AccountStatus;
use crate::domain::actions::namespaces as actions;
use crate::domain::auth::scopes;
use crate::domain::namespaces::{Detail, Holder, PAGE_LEN_MAX, TestClaim};
use crate::proto::formats;
use crate::web::state::App;

static LIST: Endpoint = Endpoint {
    query: &[QueryParameter {
        name: "from",
        pattern: "a namespace",
        matches: |name| NamespaceName::parse(name).is_ok(),
    }],
    ..endpoint(
        "listNamespaces",
        MethodFilter::GET,
        "/namespaces",
        scopes::NAMESPACE_LIST,
        "Lists namespaces with their users, a page at a time.",
    )
    .answers::<List>()
};
static GET: Endpoint = endpoint(
    "namespace",
    MethodFilter::GET,
    "/namespaces/<namespace>",
    scopes::NAMESPACE_SHOW,
    "Shows a namespace, and who is connected.",
)
.answers::<NamespaceBody>();

static EXTEND: Endpoint = endpoint(
    "extendNamespace",
    MethodFilter::POST,
    "/namespaces/<namespace>/extend",
    scopes::NAMESPACE_EXTEND,
    "Lets a namespace end later, until a claim says otherwise.",
)
.takes::<End>()
.answers::<Done>();
static NOTE: Endpoint = endpoint(
    "noteNamespace",
    MethodFilter::PUT,
    "/namespaces/<namespace>/note",
    scopes::NAMESPACE_NOTE,
    "Sets what operators should know of a namespace; an empty note takes it away.",
)
.takes::<Note>()
.answers::<Done>();
static TEST: Endpoint = endpoint(
    "testNamespace",
    MethodFilter::POST,
    "/namespaces/<namespace>/test",
    scopes::PULSE_NAMESPACE,
    "Claims a namespace as a service would and logs in to the broker with it; the password goes to nobody.",
)
.answers::<Tested>();
static OWN: Endpoint = endpoint(
    "ownNamespace",
    MethodFilter::PUT,
    "/namespaces/<namespace>/owners/<address>",
    scopes::NAMESPACE_OWNERS,
    "Adds an owner, who hears of the namespace by mail.",
)
.answers::<Done>();
static DISOWN: Endpoint = endpoint(
    "disownNamespace",
    MethodFilter::DELETE,
    "/namespaces/<namespace>/owners/<address>",
    scopes::NAMESPACE_OWNERS,
    "Takes an owner away.",
)
.answers::<Done>();

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, super::nothing, list)
        .serve(&GET, name, get)
        .act(&actions::ROTATE)
        .act(&actions::FINISH)
        .act(&actions::EXPIRE)
        .serve(&EXTEND, name, extend)
        .serve(&NOTE, name, note)
        .serve(&TEST, claimable, test)
        .serve(&OWN, owner, own)
        .serve(&DISOWN, owner, disown)
}

fn name(_: &App, params: &Params) -> Result<NamespaceName> {
    NamespaceName::parse(params.get("namespace").map_or("", String::as_str))
}

fn claimable(app: &App, params: &Params) -> Result<NamespaceName> {
    app.namespaces.parse(params.get("namespace").map_or("", String::as_str))
}

fn owner(app: &App, params: &Params) -> Result<(NamespaceName, MailAddress)> {
    Ok((name(app, params)?, MailAddress::parse(params.get("address").map_or("", String::as_str))?))
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct NamespaceBody {
    namespace: NamespaceName,
    created: Timestamp,
    expires: Timestamp,
    contact: Option<String>,
    owners: Vec<MailAddress>,
    /// What operators should know of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
    active_slot: u8,
    next_rotation: Timestamp,
    accounts: Vec<AccountStatus>,
    /// When one of them was last seen connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_connected: Option<Timestamp>,
    /// Who is connected, when the broker was asked and answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<Vec<Connected>>,
}

/// A connection of one of the two users.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Connected {
    connection: String,
    account: AccountName,
    slot: u8,
    peer_host: Option<String>,
    client_name: Option<String>,
    connected_at: Option<Timestamp>,
}

impl From<Holder> for Connected {
    fn from(holder: Holder) -> Self {
        let Holder { connection, account, slot, peer_host, client_name, connected_at } = holder;
        Self { connection, account, slot: slot.into(), peer_host, client_name, connected_at }
    }
}

impl From<Detail> for NamespaceBody {
    fn from(detail: Detail) -> Self {
        Self {
            namespace: detail.namespace,
            created: detail.times.created,
            expires: detail.times.expires,
            contact: detail.contact,
            owners: detail.owners,
            note: detail.note,
            active_slot: detail.active.into(),
            next_rotation: detail.next_rotation,
            accounts: detail.accounts,
            last_connected: detail.last_connected,
            connections: None,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct List {
    namespaces: Vec<NamespaceBody>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NamespaceName>,
}

async fn list(app: App, call: Call, (): ()) -> Result<Reply> {
    let from = call.query("from").map(NamespaceName::parse).transpose()?;
    let page = app.namespaces.details(from, PAGE_LEN_MAX).await?;
    Reply::json(&List { namespaces: page.namespaces.into_iter().map(NamespaceBody::from).collect(), next: page.next })
}

async fn get(app: App, _: Call, name: NamespaceName) -> Result<Reply> {
    let mut shown = NamespaceBody::from(app.namespaces.detail(&name)?);
    // What the store knows is shown even while the broker is away.
    let holders = app.namespaces.holders(&name).await.ok();
    shown.connections = holders.map(|holders| holders.into_iter().map(Connected::from).collect());
    Reply::json(&shown)
}

/// Read as leniently as a claim's.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct End {
    expires: String,
}

async fn extend(app: App, call: Call, name: NamespaceName) -> Result<Reply> {
    let End { expires } = read_input(&call.payload)?;
    let expires = formats::date_time(&expires)
        .map_err(|_| Error::invalid("expected a time like 2026-11-20T14:03:00Z").with_code("InputValidationError"))?;
    app.namespaces.extend(&name, expires, &call.caller).await?;
    done()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    note: String,
}

async fn note(app: App, call: Call, name: NamespaceName) -> Result<Reply> {
    let Note { note } = read_input(&call.payload)?;
    app.namespaces.note(&name, note, &call.caller).await?;
    done()
}

/// What a claim for a test came to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Tested {
    /// The broker user whose password a service would have got.
    account: String,
    /// Where it would have gone with it.
    address: String,
    reclaim_at: Timestamp,
    expires: Timestamp,
    claim_milliseconds: u64,
    /// Whether the broker let the user in over AMQP; absent when that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_works: Option<bool>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_cause: Option<String>,
}

async fn test(app: App, call: Call, name: NamespaceName) -> Result<Reply> {
    let namespaces = app.namespaces.clone();
    let work = async move { namespaces.claim_for_test(&call.caller, &name).await };
    let TestClaim { account, address, reclaim_at, expires, took, login } = detached(&app.tasks, work).await?;
    let claim_milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (login_works, login_cause) = (login.as_ref().ok().copied(), login.err());
    Reply::json(&Tested { account, address, reclaim_at, expires, claim_milliseconds, login_works, login_cause })
}

async fn own(app: App, call: Call, (name, address): (NamespaceName, MailAddress)) -> Result<Reply> {
    app.namespaces.own(&name, address, &call.caller).await?;
    done()
}

async fn disown(app: App, call: Call, (name, address): (NamespaceName, MailAddress)) -> Result<Reply> {
    app.namespaces.disown(&name, address, &call.caller).await?;
    done()
}
