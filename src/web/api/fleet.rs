//! Our own API: the agents of a fleet, those that wait to be let in, and what is decided about them.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::relay_reach::{Name, QUERY};
use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, endpoint, nothing};
use crate::base::{AccountName, HostName, Queueloc, Result, Timestamp, VhostName};
use crate::domain::actions::fleet as actions;
use crate::domain::agents::{
    About, AgentLine, AgentRule, AgentRuled, AgentView, Decision, EnrolmentView, GoneAgent, Looked, PendingAgent,
    Proposal, Standing,
};
use crate::domain::auth::scopes;
use crate::domain::relay::{Asked, Reaches};
use crate::web::state::App;

static LIST: Endpoint = Endpoint {
    query: &[
        QueryParameter {
            name: "state",
            pattern: "online, idle, offline, destroyed, upgraded, unheard or revoked",
            matches: |text| standing(text).is_some(),
        },
        QueryParameter { name: "match", pattern: "/^.*$/", matches: |_| true },
    ],
    ..endpoint("listAgents", "/agents", scopes::AGENT_READ, "Lists the agents that were heard or enrolled.")
        .command("agent list")
        .answers::<List>()
};
static SHOW: Endpoint = endpoint(
    "agent",
    "/agents/known/<queueloc>",
    scopes::AGENT_READ,
    "Shows an agent: what it says of itself, its processes, what happened to it, and its account.",
)
.command("agent show <queueloc>")
.answers::<One>();
static PENDING: Endpoint =
    endpoint("listPendingAgents", "/agents/pending", scopes::AGENT_READ, "Lists the agents that wait to be let in.")
        .command("agent pending")
        .answers::<Waiting>();
static RULES: Endpoint =
    endpoint("listAgentRules", "/agents/rules", scopes::AGENT_READ, "Lists the rules about agents that knock.")
        .command("agent rules")
        .answers::<Rules>();
static GONE: Endpoint = endpoint(
    "listGoneAgents",
    "/agents/gone",
    scopes::AGENT_READ,
    "Lists the agents that are gone: silent for long, and not in DNS any more.",
)
.command("agent gone")
.answers::<Gone>();
static REACH: Endpoint = Endpoint {
    query: QUERY,
    ..endpoint(
        "agentReach",
        "/agents/hosts/<host>/reach",
        scopes::AGENT_READ,
        "Says what the account of a host's agent may do with each queue and exchange, by the broker's own rules.",
    )
    .command("agent reach <host>")
    .answers::<Reach>()
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, nothing, list)
        .serve(&SHOW, queueloc, show)
        .serve(&PENDING, nothing, pending)
        .serve(&RULES, nothing, rules)
        .serve(&GONE, nothing, gone)
        .serve(&REACH, host, reach)
        .act(&actions::APPROVE)
        .act(&actions::REFUSE)
        .act(&actions::SET_RULE)
        .act(&actions::REMOVE_RULE)
        .act(&actions::ENROL)
        .act(&actions::REVOKE)
        .act(&actions::FORGET)
        .act(&actions::REMOVE_GONE)
        .act(&actions::OVERWRITE)
}

fn standing(text: &str) -> Option<Standing> {
    Standing::ALL.into_iter().find(|standing| standing.as_str() == text)
}

fn queueloc(_: &App, params: &Params) -> Result<Queueloc> {
    Queueloc::parse(params.get("queueloc").map_or("", String::as_str))
}

fn host(_: &App, params: &Params) -> Result<HostName> {
    HostName::parse(params.get("host").map_or("", String::as_str))
}

#[derive(Serialize, JsonSchema)]
struct List {
    agents: Vec<Line>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Line {
    queueloc: Queueloc,
    /// The host that was enrolled for it, or that DNS confirms.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<HostName>,
    state: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_heard: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_heard: Option<Timestamp>,
    /// Processes that share its queue.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<i64>,
    /// What it calls its host.
    name: String,
    version: String,
    os: String,
    ident: String,
    proxied: bool,
    /// Whether it has an account.
    enrolled: bool,
    /// Whether its host is late to enrol again.
    overdue: bool,
}

impl From<AgentLine> for Line {
    fn from(line: AgentLine) -> Self {
        let AgentLine { queueloc, host, standing, first, last, duplicates, name, version, os, ident, .. } = line;
        Self {
            queueloc,
            host,
            state: standing,
            first_heard: first,
            last_heard: last,
            duplicates,
            name,
            version,
            os,
            ident,
            proxied: line.is_proxied,
            enrolled: line.is_enrolled,
            overdue: line.is_overdue,
        }
    }
}

async fn list(app: App, call: Call, (): ()) -> Result<Reply> {
    let (wanted, text) = (call.query("state").and_then(standing), call.query("match").unwrap_or_default());
    let fits = |line: &AgentLine| {
        let has = |part: &str| part.contains(text);
        wanted.is_none_or(|wanted| wanted == line.standing)
            && (has(line.queueloc.as_str())
                || has(&line.name)
                || has(&line.version)
                || has(&line.ident)
                || line.host.as_ref().is_some_and(|host| has(host.as_str())))
    };
    let agents = app.agents.list().await?.iter().filter(|line| fits(line)).cloned().map(Line::from).collect();
    Reply::json(&List { agents })
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct One {
    #[serde(flatten)]
    line: Line,
    /// What it says of itself, which may be anything, and what happened to it.
    about: About,
    /// Its processes, the one heard last at the end.
    processes: Vec<ProcessBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account>,
    /// The line of the whitelist that lets it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    admitted_by: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProcessBody {
    pid: i64,
    state: Standing,
    /// Since when it says that it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Timestamp>,
    first_heard: Timestamp,
    last_heard: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Account {
    account: AccountName,
    /// Whether others have the same.
    shared: bool,
    vhost: VhostName,
    since: Timestamp,
    /// When it got its present password.
    rotated: Timestamp,
    /// When its host should enrol again.
    expires: Timestamp,
    /// Whether its host was known by a token, and not by DNS.
    by_token: bool,
    /// From where it asked last.
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_by: Option<String>,
    /// When it was last seen connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    connected: Option<Timestamp>,
}

impl From<EnrolmentView> for Account {
    fn from(view: EnrolmentView) -> Self {
        let EnrolmentView { account, is_shared, vhost, since, rotated, until, by_token, address, revoked, connected } =
            view;
        let (revoked, revoked_by) = revoked.map_or((None, None), |(at, by, _)| (Some(at), Some(by)));
        let connected = connected.map(|connected| connected.last);
        let (shared, expires) = (is_shared, until);
        Self { account, shared, vhost, since, rotated, expires, by_token, address, revoked, revoked_by, connected }
    }
}

async fn show(app: App, _: Call, queueloc: Queueloc) -> Result<Reply> {
    let AgentView { line, about, processes, enrolment, admitted_by } = app.agents.show(&queueloc).await?;
    let processes = processes.into_iter().map(|(process, state)| ProcessBody {
        pid: process.pid,
        state: state.into(),
        started: process.started_at,
        first_heard: process.first_heard_at,
        last_heard: process.heard_at,
    });
    let (line, processes) = (line.into(), processes.collect());
    Reply::json(&One { line, about, processes, account: enrolment.map(Account::from), admitted_by })
}

#[derive(Serialize, JsonSchema)]
struct Waiting {
    /// The one that knocked last first.
    pending: Vec<PendingBody>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PendingBody {
    queueloc: Queueloc,
    /// What it calls its host.
    name: String,
    version: String,
    os: String,
    /// Addresses that it says it has.
    addresses: Vec<IpAddr>,
    /// Where it asked from, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<IpAddr>,
    first: Timestamp,
    last: Timestamp,
    /// How often it knocked.
    count: u64,
    /// The host that DNS confirms.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<HostName>,
    /// What DNS says, in a sentence; nothing while it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    /// Who decided that it stays out, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_because: Option<String>,
}

impl From<PendingAgent> for PendingBody {
    fn from(pending: PendingAgent) -> Self {
        let PendingAgent { queueloc, name, version, os, addresses, from, first, last, count, looked, refused } =
            pending;
        let (host, verdict) = looked.map_or((None, None), |Looked { host, verdict, .. }| (host, Some(verdict)));
        let (refused_by, refused_because) =
            refused.map_or((None, None), |Decision { by, reason, .. }| (Some(by), Some(reason)));
        Self {
            queueloc,
            name,
            version,
            os,
            addresses,
            from,
            first,
            last,
            count,
            host,
            verdict,
            refused_by,
            refused_because,
        }
    }
}

async fn pending(app: App, _: Call, (): ()) -> Result<Reply> {
    let pending = app.agents.pending().await?.into_iter().map(PendingBody::from).collect();
    Reply::json(&Waiting { pending })
}

#[derive(Serialize, JsonSchema)]
struct Rules {
    /// As they are asked.
    rules: Vec<Rule>,
}

#[derive(Serialize, JsonSchema)]
struct Rule {
    rule: String,
    since: Timestamp,
    by: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

impl From<(AgentRule, AgentRuled)> for Rule {
    fn from((rule, AgentRuled { since, by, reason, until }): (AgentRule, AgentRuled)) -> Self {
        Self { rule: rule.to_string(), since, by, reason, until }
    }
}

async fn rules(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&Rules { rules: app.agents.rules().await?.into_iter().map(Rule::from).collect() })
}

#[derive(Serialize, JsonSchema)]
struct Gone {
    agents: Vec<GoneBody>,
    /// Why they cannot be removed in one go.
    #[serde(skip_serializing_if = "Option::is_none")]
    brake: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct GoneBody {
    host: HostName,
    #[serde(rename = "lastHeard", skip_serializing_if = "Option::is_none")]
    last: Option<Timestamp>,
    why: String,
}

async fn gone(app: App, _: Call, (): ()) -> Result<Reply> {
    let Proposal { agents, brake } = app.agents.gone().await?;
    let agents = agents.into_iter().map(|GoneAgent { host, last, why }| GoneBody { host, last, why }).collect();
    Reply::json(&Gone { agents, brake })
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Reach {
    host: HostName,
    names: Vec<Name>,
    /// How many more there are.
    left_out: usize,
}

async fn reach(app: App, call: Call, host: HostName) -> Result<Reply> {
    let text = |name| call.query(name).map(str::to_owned);
    let asked = Asked { queue: text("queue"), exchange: text("exchange"), key: text("key") };
    let Reaches { names, left_out } = app.agents.reach(&host, &asked).await?;
    Reply::json(&Reach { host, names: names.into_iter().map(Name::from).collect(), left_out })
}
