//! Our own API: the task proxy, its sessions and its upstreams.

use std::time::Duration;

use axum::routing::MethodFilter;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, detached, endpoint, nothing, read_input};
use crate::base::{Error, ProxySessionId, Result, Scope, Secret, Timestamp};
use crate::domain::actions::proxy::{END, STORE};
use crate::domain::auth::scopes;
use crate::domain::proxy::{Ask, CallRecord, Credentials, Open, Origin, TaskRun, View, Worth};
use crate::web::proxy::{Begun, Listening, begin};
use crate::web::state::App;

static OPEN: Endpoint = Endpoint {
    hides_input: true,
    ..endpoint(
        "openProxySession",
        "/proxy/sessions",
        scopes::PROXY_OPEN,
        "Opens a session of the task proxy: a listener of its own, at which a task reaches what its scopes are worth.",
    )
    .posted()
    .takes::<Opening>()
    .answers::<Opened>()
};
static LIST: Endpoint = endpoint(
    "proxySessions",
    "/proxy/sessions",
    scopes::PROXY_READ,
    "Lists sessions of the task proxy, the youngest first.",
)
.command("proxy session list")
.answers::<Sessions>();
static SHOW: Endpoint =
    endpoint("proxySession", "/proxy/sessions/<session>", scopes::PROXY_READ, "Shows a session of the task proxy.")
        .command("proxy session show <session>")
        .answers::<Session>();
static CALLS: Endpoint = endpoint(
    "proxyCalls",
    "/proxy/sessions/<session>/calls",
    scopes::PROXY_READ,
    "Lists the calls of a session of the task proxy that are over, in their order; at most a thousand.",
)
.command("proxy session calls <session>")
.answers::<Calls>();
static REFRESH: Endpoint = Endpoint {
    method: MethodFilter::PUT,
    hides_input: true,
    ..endpoint(
        "refreshProxySession",
        "/proxy/sessions/<session>/credentials",
        scopes::PROXY_OPEN,
        "Gives a session of the task proxy fresh credentials of its task. Only who opened it may.",
    )
    .takes::<GivenCredentials>()
    .answers::<Session>()
};
static CLOSE: Endpoint = Endpoint {
    method: MethodFilter::DELETE,
    ..endpoint(
        "closeProxySession",
        "/proxy/sessions/<session>",
        scopes::PROXY_OPEN,
        "Ends a session of the task proxy. Only who opened it may; others end it by `endProxySession`.",
    )
    .answers::<Session>()
};
static EXPLAIN: Endpoint = Endpoint {
    query: &[QueryParameter { name: "scopes", pattern: "/./", matches: |text| !text.is_empty() }],
    ..endpoint(
        "explainProxy",
        "/proxy/explain",
        scopes::PROXY_READ,
        "Says what a task with these scopes, separated by blanks, could do at each upstream, and why.",
    )
    .command("proxy explain <scope>")
    .answers::<Explained>()
};
static UPSTREAMS: Endpoint = endpoint(
    "proxyUpstreams",
    "/proxy/upstreams",
    scopes::PROXY_READ,
    "Shows what sessions of the task proxy can reach.",
)
.command("proxy upstreams")
.answers::<Upstreams>();

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&OPEN, nothing, open)
        .serve(&LIST, nothing, list)
        .serve(&SHOW, session, show)
        .serve(&CALLS, session, calls)
        .serve(&REFRESH, session, refresh)
        .serve(&CLOSE, session, close)
        .serve(&EXPLAIN, nothing, explain)
        .serve(&UPSTREAMS, nothing, upstreams)
        .act(&END)
        .act(&STORE)
}

fn session(_: &App, params: &Params) -> Result<ProxySessionId> {
    ProxySessionId::parse(params.get("session").map_or("", String::as_str))
}

/// What a worker asks for: a session for a run of a task, or for scopes that it holds itself.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Opening {
    /// The task, whose scopes the queue of the deployment tells.
    #[serde(default)]
    task_id: Option<String>,
    #[serde(default)]
    run_id: Option<u32>,
    /// Instead of a task. The caller must hold each that counts.
    #[serde(default)]
    scopes: Option<Vec<Scope>>,
    /// Only these upstreams. Otherwise all from which anything is granted.
    #[serde(default)]
    upstreams: Vec<String>,
    /// Credentials of the task, for upstreams that are signed for.
    #[serde(default)]
    credentials: Option<GivenCredentials>,
    listen: Where,
    /// When it ends at the latest; otherwise at the deadline of the task, or after a day.
    #[serde(default)]
    ends: Option<Timestamp>,
    /// How long it lasts at the most, instead.
    #[serde(default)]
    lasts_seconds: Option<u32>,
}

/// Where a session is to be asked, and by whom.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Where {
    on: Kind,
    /// Numbers of users of this host who may ask, besides root.
    #[serde(default)]
    users: Vec<u32>,
    /// Networks from which others may, such as that of a bridge to containers.
    #[serde(default)]
    networks: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Kind {
    /// A socket in the file system.
    Socket,
    /// A free port.
    Port,
}

/// Credentials of Taskcluster, as a worker has them of the queue.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GivenCredentials {
    client_id: String,
    access_token: String,
    /// The JSON text of the certificate of temporary ones.
    #[serde(default)]
    certificate: Option<String>,
}

impl From<GivenCredentials> for Credentials {
    fn from(GivenCredentials { client_id, access_token, certificate }: GivenCredentials) -> Self {
        Self { client_id, access_token: Secret::new(access_token), certificate }
    }
}

/// A session that was opened, with what its worker gives to the task.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Opened {
    session: ProxySessionId,
    /// A URL, or the path of a socket.
    address: String,
    ends: Timestamp,
    /// For the environment of the task.
    environment: std::collections::BTreeMap<String, String>,
    upstreams: Vec<Granted>,
}

/// What a session may do at an upstream.
#[derive(Serialize, JsonSchema)]
struct Granted {
    upstream: String,
    permissions: Vec<String>,
    /// By which these permissions are known in records.
    set: String,
}

#[derive(Serialize, JsonSchema)]
struct Sessions {
    sessions: Vec<Session>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Session {
    session: ProxySessionId,
    opener: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<u32>,
    scopes: Vec<Scope>,
    upstreams: Vec<Granted>,
    address: String,
    /// Who may ask, in words.
    peers: String,
    opened: Timestamp,
    ends: Timestamp,
    /// When it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
    /// Who ended it, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    calls: u64,
    /// Tokens that work now.
    tokens: Vec<Alive>,
}

#[derive(Serialize, JsonSchema)]
struct Alive {
    upstream: String,
    ends: Timestamp,
}

impl From<View> for Session {
    fn from(View { id, session, calls, tokens }: View) -> Self {
        let (task_id, run_id) = session.task.map(|task| (task.task_id, task.run_id)).unzip();
        let (ended, by) = session.ended.map(|ended| (ended.at, (ended.by, ended.cause))).unzip();
        let (ended_by, cause) = by.unzip();
        let grants = session.upstreams.into_iter();
        Self {
            session: id,
            opener: session.opener,
            task_id,
            run_id,
            scopes: session.scopes,
            upstreams: grants.map(Granted::from).collect(),
            address: session.address,
            peers: session.peers,
            opened: session.opened,
            ends: session.ends,
            ended,
            ended_by,
            cause,
            calls,
            tokens: tokens.into_iter().map(|(upstream, ends)| Alive { upstream, ends }).collect(),
        }
    }
}

impl From<crate::domain::proxy::Grant> for Granted {
    fn from(crate::domain::proxy::Grant { upstream, permissions, set }: crate::domain::proxy::Grant) -> Self {
        Self { upstream, permissions, set }
    }
}

/// Calls that are over.
#[derive(Serialize, JsonSchema)]
pub struct Calls {
    /// In their order.
    pub calls: Vec<Made>,
}

/// A call that is over.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    ended: Timestamp,
    peer: String,
    upstream: String,
    method: String,
    /// Without its query.
    url: String,
    /// A hash of the query, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// What the task got.
    status: u16,
    /// Why it was not the upstream's.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    sent_bytes: u64,
    received_bytes: u64,
    took_ms: u64,
    is_broken: bool,
}

impl From<CallRecord> for Made {
    fn from(call: CallRecord) -> Self {
        let CallRecord { ended, peer, upstream, method, url, query, status, cause, settled } = call;
        let (sent_bytes, received_bytes) = (settled.sent_bytes, settled.received_bytes);
        let (took_ms, is_broken) = (settled.took_ms, settled.is_broken);
        Self {
            ended,
            peer,
            upstream,
            method,
            url,
            query,
            status,
            cause,
            sent_bytes,
            received_bytes,
            took_ms,
            is_broken,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Explained {
    upstreams: Vec<Explanation>,
}

#[derive(Serialize, JsonSchema)]
struct Explanation {
    upstream: String,
    /// What lets the proxy in.
    kind: &'static str,
    permissions: Vec<String>,
    reasons: Vec<String>,
    /// What would help, when nothing is granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

impl From<Worth> for Explanation {
    fn from(Worth { upstream, kind, permissions, reasons, missing }: Worth) -> Self {
        Self { upstream, kind, permissions, reasons, missing }
    }
}

#[derive(Serialize, JsonSchema)]
struct Upstreams {
    /// `settings` or `store`.
    from: &'static str,
    upstreams: Vec<Upstream>,
}

#[derive(Serialize, JsonSchema)]
struct Upstream {
    upstream: String,
    /// What lets the proxy in.
    kind: &'static str,
    /// Where it is reached, and what that leads to.
    paths: Vec<Leads>,
    /// None is any.
    methods: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Leads {
    path: String,
    to: String,
}

impl From<&Open> for Upstream {
    fn from(Open { declared, .. }: &Open) -> Self {
        let mounts = declared.upstream.mounts.iter();
        let mounted = mounts.map(|mount| Leads { path: format!("/{}", mount.segment), to: mount.base.to_string() });
        let deployment = declared.deployment.iter().map(|base| Leads { path: "/api".into(), to: base.to_string() });
        Self {
            upstream: declared.upstream.name.clone(),
            kind: declared.kind(),
            paths: mounted.chain(deployment).collect(),
            methods: declared.upstream.methods.clone(),
        }
    }
}

async fn open(app: App, call: Call, (): ()) -> Result<Reply> {
    let asked: Opening = read_input(&call.payload)?;
    let networks = asked.listen.networks.iter().map(|text| network(text)).collect::<Result<_>>()?;
    let listening = Listening { is_socket: asked.listen.on == Kind::Socket, users: asked.listen.users, networks };
    let task = match (asked.task_id, asked.run_id) {
        (Some(task_id), Some(run_id)) => Some(TaskRun { task_id, run_id }),
        (None, None) => None,
        _ => return Err(Error::invalid("a task has a taskId and a runId")),
    };
    let lasts = asked.lasts_seconds.map(|seconds| app.clock.now().plus(Duration::from_secs(seconds.into())));
    let ask = Ask {
        task,
        scopes: asked.scopes,
        upstreams: asked.upstreams,
        credentials: asked.credentials.map(Credentials::from),
        ends: asked.ends.or(lasts),
        ..Ask::default()
    };
    let (of, caller) = (app.clone(), call.caller.clone());
    let Begun { live, environment } =
        detached(&app.tasks, async move { begin(&of, &caller, listening, ask).await }).await?;
    Reply::json(&Opened {
        session: live.id.clone(),
        address: live.session.address.clone(),
        ends: live.session.ends,
        environment,
        upstreams: live.session.upstreams.iter().cloned().map(Granted::from).collect(),
    })
}

fn network(text: &str) -> Result<IpNet> {
    text.parse().map_err(|_| Error::invalid(format!("{text:?} is no network; one is like 172.17.0.0/16")))
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    let sessions = app.proxy.sessions().await?;
    Reply::json(&Sessions { sessions: sessions.into_iter().map(Session::from).collect() })
}

async fn show(app: App, _: Call, id: ProxySessionId) -> Result<Reply> {
    Reply::json(&Session::from(app.proxy.session(&id)?))
}

async fn calls(app: App, _: Call, id: ProxySessionId) -> Result<Reply> {
    app.proxy.session(&id)?;
    let calls = app.proxy.calls(&id).await?;
    Reply::json(&Calls { calls: calls.into_iter().map(Made::from).collect() })
}

async fn refresh(app: App, call: Call, id: ProxySessionId) -> Result<Reply> {
    let fresh: GivenCredentials = read_input(&call.payload)?;
    app.proxy.refresh(&call.caller, &id, fresh.into()).await?;
    Reply::json(&Session::from(app.proxy.session(&id)?))
}

async fn close(app: App, call: Call, id: ProxySessionId) -> Result<Reply> {
    let (proxy, caller, of) = (app.proxy.clone(), call.caller.clone(), id.clone());
    detached(&app.tasks, async move { proxy.close(&caller, &of).await }).await?;
    Reply::json(&Session::from(app.proxy.session(&id)?))
}

async fn explain(app: App, call: Call, (): ()) -> Result<Reply> {
    let text = call.query("scopes").unwrap_or_default();
    let scopes = text.split_ascii_whitespace().map(Scope::parse).collect::<Result<Vec<_>>>()?;
    Reply::json(&Explained { upstreams: app.proxy.explain(&scopes).into_iter().map(Explanation::from).collect() })
}

async fn upstreams(app: App, _: Call, (): ()) -> Result<Reply> {
    let from = match app.proxy.origin() {
        Origin::Settings => "settings",
        Origin::Store => "store",
    };
    Reply::json(&Upstreams { from, upstreams: app.proxy.declared().iter().map(Upstream::from).collect() })
}
