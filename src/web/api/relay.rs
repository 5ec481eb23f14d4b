//! Our own API: the relay, what it declares, and what of that the broker has.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing};
use crate::base::{AccountName, Result, VhostName};
use crate::domain::accounts::AccountStatus;
use crate::domain::actions::relay::{APPLY, ToldStep};
use crate::domain::auth::scopes;
use crate::proto::relay_profile::{Account, Grant, TopicGrant, Vhost};
use crate::web::state::App;

static SHOW: Endpoint =
    endpoint("relay", "/relay", scopes::RELAY_READ, "Shows what the profile of the relay declares.")
        .command("relay show")
        .answers::<Document>();
static PLAN: Endpoint = endpoint(
    "planRelay",
    "/relay/plan",
    scopes::RELAY_READ,
    "Says what applying the profile of the relay would do now. It changes nothing.",
)
.command("relay plan")
.answers::<Plan>();
static DRIFT: Endpoint = endpoint(
    "relayDrift",
    "/relay/drift",
    scopes::RELAY_READ,
    "Says what the broker has otherwise than it was applied, and what happens to that.",
)
.command("relay drift")
.answers::<Drift>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&SHOW, nothing, show).serve(&PLAN, nothing, plan).serve(&DRIFT, nothing, drift).act(&APPLY)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Document {
    relay: String,
    /// The built-in profile or the file that it was read from.
    from: String,
    vhosts: Vec<DeclaredVhost>,
    accounts: Vec<DeclaredAccount>,
    /// Users that the broker must not have.
    absent_users: Vec<AccountName>,
    /// Vhosts that others declare.
    foreign_vhosts: Vec<VhostName>,
}

/// A vhost, with how much is declared in it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeclaredVhost {
    vhost: VhostName,
    on_drift: &'static str,
    exchanges: usize,
    queues: usize,
    bindings: usize,
    policies: usize,
    operator_policies: usize,
}

impl From<&Vhost> for DeclaredVhost {
    fn from(vhost: &Vhost) -> Self {
        Self {
            vhost: vhost.name.clone(),
            on_drift: vhost.on_drift.as_str(),
            exchanges: vhost.exchanges.len(),
            queues: vhost.queues.len(),
            bindings: vhost.bindings.len(),
            policies: vhost.policies.len(),
            operator_policies: vhost.operator_policies.len(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeclaredAccount {
    account: AccountName,
    tags: Vec<String>,
    grants: Vec<DeclaredGrant>,
    on_drift: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Its broker users, as far as they were applied.
    users: Vec<AccountStatus>,
}

#[derive(Serialize, JsonSchema)]
struct DeclaredGrant {
    vhost: VhostName,
    configure: String,
    write: String,
    read: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    topics: Vec<DeclaredTopic>,
}

/// Which routing keys may be used with an exchange.
#[derive(Serialize, JsonSchema)]
struct DeclaredTopic {
    exchange: String,
    write: String,
    read: String,
}

impl From<&Grant> for DeclaredGrant {
    fn from(grant: &Grant) -> Self {
        let topic = |TopicGrant { exchange, write, read }: &TopicGrant| DeclaredTopic {
            exchange: exchange.clone(),
            write: write.clone(),
            read: read.clone(),
        };
        Self {
            vhost: grant.vhost.clone(),
            configure: grant.configure.clone(),
            write: grant.write.clone(),
            read: grant.read.clone(),
            topics: grant.topics.iter().map(topic).collect(),
        }
    }
}

async fn show(app: App, _: Call, (): ()) -> Result<Reply> {
    let declared = app.relay.declared()?;
    let account = |account: &Account| {
        Ok(DeclaredAccount {
            account: account.name.clone(),
            tags: account.tags.clone(),
            grants: account.grants.iter().map(DeclaredGrant::from).collect(),
            on_drift: account.on_drift.as_str(),
            note: account.note.clone(),
            users: app.relay.users(account)?,
        })
    };
    let profile = &declared.profile;
    Reply::json(&Document {
        relay: profile.name().to_owned(),
        from: declared.from.clone(),
        vhosts: profile.vhosts().iter().map(DeclaredVhost::from).collect(),
        accounts: profile.accounts().iter().map(account).collect::<Result<_>>()?,
        absent_users: profile.absent_users().to_vec(),
        foreign_vhosts: profile.foreign_vhosts().to_vec(),
    })
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Plan {
    relay: String,
    steps: Vec<ToldStep>,
    /// How many of them change something.
    changes: usize,
    /// How much there is in its vhosts that nobody declares.
    unmanaged: usize,
}

async fn plan(app: App, _: Call, (): ()) -> Result<Reply> {
    let relay = app.relay.declared()?.profile.name().to_owned();
    let plan = app.relay.plan().await?;
    let (changes, unmanaged) = (plan.changes(), plan.unmanaged);
    Reply::json(&Plan { relay, steps: plan.steps.into_iter().map(ToldStep::from).collect(), changes, unmanaged })
}

#[derive(Serialize, JsonSchema)]
struct Drift {
    relay: String,
    drifts: Vec<ToldStep>,
}

async fn drift(app: App, _: Call, (): ()) -> Result<Reply> {
    let relay = app.relay.declared()?.profile.name().to_owned();
    let drifts = app.relay.drifts().await?.into_iter().map(ToldStep::from).collect();
    Reply::json(&Drift { relay, drifts })
}
