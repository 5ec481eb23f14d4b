//! Our own API: the task proxy, its sessions and its upstreams.

use std::time::Duration;

use axum::routing::MethodFilter;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::proxy_shapes::{
    Calls, Explained, Explanation, Granted, Made, Opened, Session, Sessions, Upstream, Upstreams,
};
use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, detached, endpoint, nothing, read_input};
use crate::base::{Error, ProxySessionId, Result, Scope, Secret, Timestamp};
use crate::domain::actions::proxy::{END, STORE};
use crate::domain::auth::scopes;
use crate::domain::proxy::{Ask, Credentials, TaskRun};
use crate::web::proxy::{Begun, Listening, Where, begin};
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
static HEAR: Endpoint = endpoint(
    "hearProxySession",
    "/proxy/sessions/<session>/alive",
    scopes::PROXY_OPEN,
    "Says that the worker of a session lives, which lasts by that. Only who opened it may.",
)
.posted()
.answers::<Session>();
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
        .serve(&HEAR, session, hear)
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
    listen: Listen,
    /// When it ends at the latest; otherwise at the deadline of the task, or after a day.
    #[serde(default)]
    ends: Option<Timestamp>,
    /// How long it lasts at the most, instead.
    #[serde(default)]
    lasts_seconds: Option<u32>,
    /// It ends when its worker did not say for so long that it lives (`hearProxySession`): 10 to 3600.
    #[serde(default)]
    heard_within_seconds: Option<u32>,
    /// Whether `PUT /credentials` at its listener replaces the credentials of the task, as at taskcluster-proxy.
    #[serde(default)]
    takes_credentials: bool,
}

/// Where a session is to be asked, and by whom.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listen {
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
pub(super) struct GivenCredentials {
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

async fn open(app: App, call: Call, (): ()) -> Result<Reply> {
    let asked: Opening = read_input(&call.payload)?;
    let networks = asked.listen.networks.iter().map(|text| network(text)).collect::<Result<_>>()?;
    let Listen { on, users, .. } = asked.listen;
    let takes_credentials = asked.takes_credentials;
    let at = if on == Kind::Socket { Where::Socket } else { Where::Port };
    let listening = Listening { at, users, networks, takes_credentials };
    if asked.scopes.is_some() && (asked.task_id.is_some() || asked.run_id.is_some()) {
        return Err(Error::invalid("a session is for a task with its run, or for scopes, and not for both"));
    }
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
        heard_within: asked.heard_within_seconds.map(|seconds| Duration::from_secs(seconds.into())),
        ..Ask::default()
    };
    let (of, caller) = (app.clone(), call.caller.clone());
    let Begun { live, environment } =
        detached(&app.tasks, async move { begin(&of, &caller, listening, ask).await }).await?;
    Reply::json(&Opened {
        session: live.id.clone(),
        address: live.session.address.clone(),
        ends: live.session.ends,
        root_url: live.opened.iter().find_map(|opened| opened.deployment.as_ref().map(ToString::to_string)),
        environment,
        not_held: live.not_held.clone(),
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
    let (proxy, caller, of) = (app.proxy.clone(), call.caller.clone(), id.clone());
    detached(&app.tasks, async move { proxy.refresh(&caller, &of, fresh.into()).await }).await?;
    Reply::json(&Session::from(app.proxy.session(&id)?))
}

async fn close(app: App, call: Call, id: ProxySessionId) -> Result<Reply> {
    let (proxy, caller, of) = (app.proxy.clone(), call.caller.clone(), id.clone());
    detached(&app.tasks, async move { proxy.close(&caller, &of).await }).await?;
    Reply::json(&Session::from(app.proxy.session(&id)?))
}

async fn hear(app: App, call: Call, id: ProxySessionId) -> Result<Reply> {
    app.proxy.hear(&call.caller, &id)?;
    Reply::json(&Session::from(app.proxy.session(&id)?))
}

async fn explain(app: App, call: Call, (): ()) -> Result<Reply> {
    let text = call.query("scopes").unwrap_or_default();
    let scopes = text.split_ascii_whitespace().map(Scope::parse).collect::<Result<Vec<_>>>()?;
    Reply::json(&Explained { upstreams: app.proxy.explain(&scopes).into_iter().map(Explanation::from).collect() })
}

async fn upstreams(app: App, _: Call, (): ()) -> Result<Reply> {
    let from = if app.proxy.is_of_settings() { "settings" } else { "store" };
    Reply::json(&Upstreams { from, upstreams: app.proxy.declared().iter().map(Upstream::from).collect() })
}
