//! Our own API: the relay, what it declares, and what of that the broker has.

use schemars::JsonSchema;
use serde::Serialize;

use super::relay_parts::DeclaredPart;
use super::{Call, Endpoint, Params, Reply, Routes, endpoint, nothing};
use crate::base::{AccountName, Result, Timestamp, VhostName};
use crate::domain::accounts::{self, AccountStatus, OnDrift, Terms};
use crate::domain::actions::relay::{ADOPT, APPLY, RELEASE, ROTATE, STORE, ToldStep};
use crate::domain::auth::scopes;
use crate::domain::relay::{Adopted, Login, Standing};
use crate::ports::broker::Access;
use crate::proto::relay_profile::{Account, Grant, Rotation, TopicGrant, Vhost};
use crate::web::metrics::Lend;
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

static CREDENTIALS: Endpoint = endpoint(
    "relayCredentials",
    "/relay/accounts/<account>/credentials",
    scopes::RELAY_LEND,
    "Lends the login of an account of the relay.",
)
.command("claim --account <account>")
.answers::<Credentials<'_>>();

static PROFILE: Endpoint = endpoint(
    "relayProfile",
    "/relay/profile",
    scopes::RELAY_PROFILE,
    "Shows the profile of the relay as it was written.",
)
.command("relay profile")
.answers::<ProfileText>();
static USERS: Endpoint = endpoint(
    "relayUsers",
    "/relay/users",
    scopes::RELAY_READ,
    "Lists users of the broker that somebody else made: those that were adopted, and those that may be.",
)
.command("relay users")
.answers::<OtherUsers>();

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&SHOW, nothing, show)
        .serve(&PLAN, nothing, plan)
        .serve(&DRIFT, nothing, drift)
        .serve(&CREDENTIALS, account, credentials)
        .serve(&USERS, nothing, users)
        .serve(&PROFILE, nothing, profile)
        .act(&APPLY)
        .act(&ROTATE)
        .act(&ADOPT)
        .act(&RELEASE)
        .act(&STORE)
}

pub(super) fn account(_: &App, params: &Params) -> Result<AccountName> {
    AccountName::parse(params.get("account").map_or("", String::as_str))
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
    /// Files that are written for programs.
    parts: Vec<DeclaredPart>,
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
    /// When it rotates by itself, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<DeclaredRotation>,
    /// How long after a rotation connections with the former password are closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    close_after_seconds: Option<u64>,
    /// When it got another password last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotation: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation: Option<Timestamp>,
    /// Until when the present password was promised, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    promised_until: Option<Timestamp>,
    /// How many were lent a password of it that works.
    holders: usize,
    /// Its broker users, as far as they were applied.
    users: Vec<AccountStatus>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeclaredRotation {
    every_seconds: u64,
    /// `in-place` or `in-turn`.
    by: &'static str,
}

impl From<Rotation> for DeclaredRotation {
    fn from(Rotation { every, by }: Rotation) -> Self {
        Self { every_seconds: every.size().as_secs(), by: by.as_str() }
    }
}

fn declared_account(app: &App, account: &Account) -> Result<DeclaredAccount> {
    let standing = app.relay.standing(account)?;
    let Standing { rotated, next_rotation, promised_until, holders } = standing.unwrap_or_default();
    Ok(DeclaredAccount {
        account: account.name.clone(),
        tags: account.tags.clone(),
        grants: account.grants.iter().map(DeclaredGrant::from).collect(),
        on_drift: account.on_drift.as_str(),
        note: account.note.clone(),
        rotation: account.rotation.map(DeclaredRotation::from),
        close_after_seconds: account.close_after.map(|span| span.size().as_secs()),
        last_rotation: rotated,
        next_rotation,
        promised_until,
        holders,
        users: app.relay.users(account)?,
    })
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
    let account = |account| declared_account(&app, account);
    let profile = &declared.profile;
    Reply::json(&Document {
        relay: profile.name().to_owned(),
        from: declared.from.clone(),
        vhosts: profile.vhosts().iter().map(DeclaredVhost::from).collect(),
        accounts: profile.accounts().iter().map(account).collect::<Result<_>>()?,
        absent_users: profile.absent_users().to_vec(),
        foreign_vhosts: profile.foreign_vhosts().to_vec(),
        parts: profile.parts().iter().map(DeclaredPart::from).collect(),
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
#[serde(rename_all = "camelCase")]
struct ProfileText {
    /// The built-in profile, the file that it was read from, or the store.
    from: String,
    /// Whether the settings say it: nothing can be stored then.
    is_of_settings: bool,
    /// As it was written; not of a file, which can be read itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

async fn profile(app: App, _: Call, (): ()) -> Result<Reply> {
    let declared = app.relay.declared()?;
    let (from, text) = (declared.from.clone(), declared.text.clone());
    Reply::json(&ProfileText { from, is_of_settings: app.relay.is_of_settings(), text })
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

#[derive(Serialize, JsonSchema)]
struct Credentials<'a> {
    account: AccountName,
    /// The broker user.
    username: AccountName,
    password: &'a str,
    vhosts: Vec<Way<'a>>,
    /// When to ask again.
    expires: Timestamp,
}

/// How to reach a vhost.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Way<'a> {
    vhost: &'a VhostName,
    connection_string: &'a str,
}

async fn credentials(app: App, call: Call, account: AccountName) -> Result<Reply> {
    let lent = app.relay.lend(&call.caller, &account).await;
    let Login { account, username, password, vhosts, expires } =
        app.meters.lent(Lend::RelayAccount, lent)?.into_inner();
    let ways = vhosts.iter().map(|(vhost, string)| Way { vhost, connection_string: string.expose() });
    Reply::json(&Credentials { account, username, password: password.expose(), vhosts: ways.collect(), expires })
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OtherUsers {
    adopted: Vec<AdoptedUser>,
    /// Users for whom nobody answers here.
    others: Vec<AccountName>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AdoptedUser {
    user: AccountName,
    /// Who answers for it, for people.
    owner: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
    adopted: Timestamp,
    tags: Vec<String>,
    grants: Vec<DeclaredGrant>,
    /// `repair` or `report`.
    on_drift: &'static str,
}

impl From<(AccountName, Adopted, Terms)> for AdoptedUser {
    fn from((user, Adopted { owner, note, adopted }, terms): (AccountName, Adopted, Terms)) -> Self {
        let on_drift = if terms.on_drift == OnDrift::Repair { "repair" } else { "report" };
        let grants = terms.grants.into_iter().map(DeclaredGrant::from).collect();
        Self { user, owner, note, adopted, tags: terms.tags, grants, on_drift }
    }
}

impl From<accounts::Grant> for DeclaredGrant {
    fn from(accounts::Grant { vhost, access, topics }: accounts::Grant) -> Self {
        let topic = |accounts::TopicGrant { exchange, write, read }| DeclaredTopic { exchange, write, read };
        let Access { configure, write, read } = access;
        Self { vhost, configure, write, read, topics: topics.into_iter().map(topic).collect() }
    }
}

async fn users(app: App, _: Call, (): ()) -> Result<Reply> {
    let adopted = app.relay.adopted().await?.into_iter().map(AdoptedUser::from).collect();
    Reply::json(&OtherUsers { adopted, others: app.relay.strangers().await? })
}
