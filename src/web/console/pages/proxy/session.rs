//! A session of the task proxy: whose it is, what it may do and until when, how it ended, and its calls.

use askama::Template;
use axum::response::Response;

use super::{Standing, path_to, whose};
use crate::base::text::url_encoded;
use crate::base::{Error, NamespaceName, ProxySessionId, Result, Timestamp};
use crate::domain::auth::scopes;
use crate::domain::proxy::{CALLS_MAX, CallRecord, Grant, Session as Stored, View as SessionView};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::scope_list;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, TimeTag, Untrusted};
use crate::web::console::pages::services;
use crate::web::state::App;

/// Longest list of scopes that a link asks about: servers on the way take no address that is much longer.
const LINKED_LEN_MAX: usize = 2000;

const CALLS: Table<CallRecord> = Table {
    name: "proxy-calls",
    caption: "Its calls",
    columns: &[
        Column { name: "time", title: "Over at", cell: |it| Cell::time(it.ended) },
        Column { name: "peer", title: "Asked by", cell: |it| Cell::text(&it.peer) },
        Column { name: "upstream", title: "Upstream", cell: |it| Cell::text(&it.upstream) },
        Column { name: "method", title: "Method", cell: |it| Cell::text(&it.method) },
        Column { name: "url", title: "URL", cell: |it| Cell::text(url(it)) },
        Column { name: "status", title: "Status", cell: |it| Cell::count((it.status != 0).then_some(it.status)) },
        Column { name: "cause", title: "Cause", cell: |it| Cell::text(cause(it)) },
        Column { name: "sent", title: "Bytes sent", cell: |it| Cell::number(it.settled.sent_bytes) },
        Column { name: "received", title: "Bytes received", cell: |it| Cell::number(it.settled.received_bytes) },
        Column { name: "took", title: "Took ms", cell: |it| Cell::number(it.settled.took_ms) },
    ],
    sort: "time",
    select: None,
    empty: ("No call of it is over so far.", ""),
};

#[derive(Template)]
#[template(path = "console/proxy_session.html")]
struct Page {
    frame: Frame,
    id: Untrusted<'static>,
    state: State,
    /// Whether it may do that now, or could.
    caption: &'static str,
    /// Whether nothing answers for it, though nobody ended it.
    is_left: bool,
    /// The services that it is one of: what they are called, and where they are.
    service: Option<(Untrusted<'static>, String)>,
    facts: Vec<(&'static str, Untrusted<'static>)>,
    times: Vec<(&'static str, TimeTag)>,
    /// Where it is ended, for who may.
    end: Option<String>,
    scopes: Vec<Untrusted<'static>>,
    /// Where it is told what these scopes are worth now.
    explain: Option<String>,
    grants: Vec<GrantRow>,
    /// Calls that are not listed.
    unlisted: u64,
    table: View,
    audit: Option<String>,
    equivalents: Equivalents,
}

/// What it may do at an upstream.
struct GrantRow {
    upstream: Untrusted<'static>,
    permissions: Vec<Untrusted<'static>>,
    set: String,
    /// Until when its token works, if it has one.
    token: Option<TimeTag>,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let unknown = || Error::not_found("There is no session of this name.");
    let id = ProxySessionId::parse(session.param("session")).map_err(|_| unknown())?;
    let view = app.proxy.session(&id)?;
    let calls = app.proxy.calls(&id).await?;
    let unlisted = if calls.len() < CALLS_MAX { 0 } else { view.calls.saturating_sub(CALLS_MAX as u64) };
    match CALLS.show(&session, calls).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&shown(&app, &session, view, unlisted, table).await)),
    }
}

async fn shown(app: &App, session: &Session, view: SessionView, unlisted: u64, table: View) -> Page {
    let time = |at: Timestamp| TimeTag { at, now: session.now };
    let standing = Standing::of(app, &view);
    let SessionView { id, session: stored, calls, tokens, namespaces } = view;
    let may_end = standing == Standing::Open && session.may(scopes::PROXY_END.on(id.as_str()));
    let path = path_to(&id);
    let token = |upstream: &str| tokens.iter().find(|(name, _)| name == upstream).map(|(_, ends)| time(*ends));
    let grant = |Grant { upstream, permissions, set }: &Grant| GrantRow {
        token: token(upstream),
        upstream: Untrusted::of(upstream.clone()),
        permissions: permissions.iter().map(|text| Untrusted::of(text.clone())).collect(),
        set: set.clone(),
    };
    // Of a service, what its role stands for: the one scope of it is worth nothing where roles are not expanded.
    let judged_by = stored.service.as_ref().map_or(&stored.scopes, |service| &service.held);
    let scopes = url_encoded(&scope_list::line(judged_by));
    let end = match &stored.ended {
        None => ("Ends at the latest", time(stored.ends)),
        Some(ended) => ("Ended", time(ended.at)),
    };
    Page {
        frame: Frame::of(app, session, "Session of the task proxy").await,
        state: standing.state(),
        caption: if standing == Standing::Open { "What it may do" } else { "What it could do" },
        is_left: standing == Standing::Left,
        service: stored.service.as_ref().map(|of| (Untrusted::of(of.name.clone()), services::path_to(&of.set))),
        facts: facts(&stored, calls, &namespaces),
        times: vec![("Opened", time(stored.opened)), end],
        end: may_end.then(|| format!("{path}/end")),
        explain: (scopes.len() <= LINKED_LEN_MAX).then(|| format!("/proxy/explain?scopes={scopes}")),
        scopes: judged_by.iter().map(|scope| Untrusted::of(scope.to_string())).collect(),
        grants: stored.upstreams.iter().map(grant).collect(),
        unlisted,
        table,
        audit: session.may(scopes::AUDIT_READ).then(|| format!("/audit?object={}", url_encoded(id.as_str()))),
        equivalents: Equivalents::of(session, "GET", &path, None, &["proxy", "session", "show", id.as_str()]),
        id: Untrusted::of(id.to_string()),
    }
}

fn facts(session: &Stored, calls: u64, namespaces: &[NamespaceName]) -> Vec<(&'static str, Untrusted<'static>)> {
    let whose = if session.task.is_some() { whose(session) } else { "the scopes below".to_owned() };
    let all = [
        ("For", whose),
        ("Opened by", session.opener.clone()),
        ("Asked at", session.address.clone()),
        ("Who may ask", session.peers.clone()),
        ("Calls", calls.to_string()),
    ];
    let ended = session.ended.iter();
    let ended = ended.flat_map(|it| [("Ended by", it.by.clone()), ("Why it ended", it.cause.clone())]);
    let lent = namespaces.iter().map(|name| ("Namespace lent to it", name.to_string()));
    all.into_iter().chain(lent).chain(ended).map(|(what, text)| (what, Untrusted::of(text))).collect()
}

/// The URL, with the hash of its query where that was.
fn url(call: &CallRecord) -> String {
    call.query.as_ref().map_or_else(|| call.url.clone(), |hash| format!("{}?{hash}", call.url))
}

/// Why the answer was not the upstream's, and whether it was whole.
fn cause(call: &CallRecord) -> String {
    let broken = call.settled.is_broken.then_some("it broke off");
    call.cause.as_deref().into_iter().chain(broken).collect::<Vec<_>>().join("; ")
}
