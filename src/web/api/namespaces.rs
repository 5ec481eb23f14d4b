//! Our own API: namespaces as operators see them, with their users.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, detached, endpoint};
use crate::base::{AccountName, MailAddress, NamespaceName, ProxySessionId, Result, Timestamp};
use crate::domain::accounts::AccountStatus;
use crate::domain::actions::namespaces as actions;
use crate::domain::auth::scopes;
use crate::domain::namespaces::{Detail, Holder, PAGE_LEN_MAX, TestClaim};
use crate::web::state::App;

static LIST: Endpoint = Endpoint {
    query: &[QueryParameter {
        name: "from",
        pattern: "a namespace",
        matches: |name| NamespaceName::parse(name).is_ok(),
    }],
    ..endpoint(
        "listNamespaces",
        "/namespaces",
        scopes::NAMESPACE_LIST,
        "Lists namespaces with their users, a page at a time.",
    )
    .command("namespace list")
    .answers::<List>()
};
static GET: Endpoint = endpoint(
    "namespace",
    "/namespaces/<namespace>",
    scopes::NAMESPACE_SHOW,
    "Shows a namespace, and who is connected.",
)
.command("namespace show <namespace>")
.answers::<NamespaceBody>();

static TEST: Endpoint = endpoint(
    "testNamespace",
    "/namespaces/<namespace>/test",
    scopes::PULSE_NAMESPACE,
    "Claims a namespace as a service would and logs in to the broker with it; the password goes to nobody.",
)
.posted()
.command("namespace test <namespace>")
.answers::<Tested>();
pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, super::nothing, list)
        .serve(&GET, name, get)
        .act(&actions::ROTATE)
        .act(&actions::FINISH)
        .act(&actions::EXPIRE)
        .act(&actions::EXTEND)
        .act(&actions::NOTE)
        .serve(&TEST, claimable, test)
        .act(&actions::OWN)
        .act(&actions::DISOWN)
}

fn name(_: &App, params: &Params) -> Result<NamespaceName> {
    NamespaceName::parse(params.get("namespace").map_or("", String::as_str))
}

fn claimable(app: &App, params: &Params) -> Result<NamespaceName> {
    app.namespaces.parse(params.get("namespace").map_or("", String::as_str))
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
    /// The session of the task proxy that it is lent to, and with which it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<ProxySessionId>,
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
            session: detail.session,
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
