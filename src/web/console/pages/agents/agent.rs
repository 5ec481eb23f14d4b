//! One agent: what it says of itself, its processes, its account, what happened to it, and what can be done with it.

use askama::Template;
use axum::response::Response;

use super::{path_of_host, path_to, pids, state};
use crate::base::text::url_encoded;
use crate::base::{Error, HostName, Queueloc, Result, Timestamp};
use crate::domain::agents::{About, AgentLine, AgentView, EnrolmentView, Event, Tag, newest_first};
use crate::domain::auth::scopes;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::{State, TimeTag, Untrusted};
use crate::web::state::App;

type Facts = Vec<(&'static str, Untrusted<'static>)>;
type Times = Vec<(&'static str, TimeTag)>;

#[derive(Template)]
#[template(path = "console/agent.html")]
struct Page {
    frame: Frame,
    queueloc: Untrusted<'static>,
    host: Option<Untrusted<'static>>,
    state: State,
    times: Times,
    /// The line of the whitelist that lets it in.
    admitted_by: Option<Untrusted<'static>>,
    /// Label and path of what the reader may do.
    buttons: Vec<(&'static str, String)>,
    /// Processes that share its queue; mostly empty.
    duplicates: String,
    /// What it says of itself.
    said: Facts,
    processes: Vec<ProcessRow>,
    account: Option<Account>,
    events: Vec<EventRow>,
    audit: Option<String>,
    equivalents: Equivalents,
}

struct ProcessRow {
    pid: i64,
    state: State,
    started: Option<TimeTag>,
    first: TimeTag,
    last: TimeTag,
}

/// The account of its host.
struct Account {
    facts: Facts,
    times: Times,
    /// When it was cut off, by whom, and whether all of that is done.
    revoked: Option<(TimeTag, Untrusted<'static>, bool)>,
    /// Where it is told what it reaches, while it may log in.
    reach: Option<String>,
}

struct EventRow {
    at: TimeTag,
    kind: &'static str,
    what: Untrusted<'static>,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let unknown = || Error::not_found("There is no agent of this name.");
    let queueloc = Queueloc::parse(session.param("queueloc")).map_err(|_| unknown())?;
    let AgentView { line, about, processes, enrolment, admitted_by } = app.agents.show(&queueloc).await?;
    let time = |at: Timestamp| TimeTag { at, now: session.now };
    let AgentLine { host, first, last, duplicates, standing, .. } = line;
    let process = |(process, state): (_, _)| process_row(&time, process, state);
    let title = host.as_ref().map_or_else(|| "Agent".to_owned(), |host| format!("Agent of {host}"));
    let may_audit = host.as_ref().filter(|_| session.may(scopes::AUDIT_READ));
    Ok(page(&Page {
        frame: Frame::of(&app, &session, title).await,
        host: host.as_ref().map(|host| Untrusted::of(host.to_string())),
        state: state(standing),
        times: [("First heard", first), ("Last heard", last)]
            .into_iter()
            .filter_map(|(what, at)| Some((what, time(at?))))
            .collect(),
        admitted_by: admitted_by.map(Untrusted::of),
        buttons: host.as_ref().map(|host| buttons(&session, host, enrolment.as_ref())).unwrap_or_default(),
        duplicates: pids(&duplicates),
        said: said(&about),
        processes: processes.into_iter().map(process).collect(),
        audit: may_audit.map(|host| format!("/audit?object={}", url_encoded(host.as_str()))),
        account: enrolment.map(|enrolment| account(&time, host.as_ref(), enrolment)),
        events: newest_first(&about.events).into_iter().map(|event| event_row(&time, event)).collect(),
        equivalents: Equivalents::of(&session, "GET", &path_to(&queueloc), None, &["agent", "show", queueloc.as_str()]),
        queueloc: Untrusted::of(queueloc.to_string()),
    }))
}

fn process_row(
    time: &impl Fn(Timestamp) -> TimeTag,
    process: crate::proto::heartbeat::Process,
    is: crate::proto::heartbeat::State,
) -> ProcessRow {
    ProcessRow {
        pid: process.pid,
        state: state(is.into()),
        started: process.started_at.map(time),
        first: time(process.first_heard_at),
        last: time(process.heard_at),
    }
}

fn event_row(time: &impl Fn(Timestamp) -> TimeTag, Event { at, kind, what }: Event) -> EventRow {
    EventRow { at: time(at), kind: kind.as_str(), what: Untrusted::of(what) }
}

/// What an agent says of itself, as far as it says anything.
fn said(about: &About) -> Facts {
    let tag = |Tag { name, value }: &Tag| if name.is_empty() { value.clone() } else { format!("{name}={value}") };
    let proxy = if about.proxy.is_empty() { "one that it does not name" } else { about.proxy.as_str() };
    let all = [
        ("Calls its host", about.name.clone()),
        ("Version", about.version.clone()),
        ("Mode", about.mode.clone()),
        ("System", about.ident.clone()),
        ("Kind of system", about.os.clone()),
        ("Architecture", about.arch.clone()),
        ("Services by", about.init.clone()),
        ("Addresses", about.addresses.join(", ")),
        ("Public address", about.public_ip.clone()),
        ("Proxy", if about.is_proxied { proxy.to_owned() } else { String::new() }),
        ("Modules", about.modules.join(", ")),
        ("Tags", about.tags.iter().map(tag).collect::<Vec<_>>().join(", ")),
        ("Loader", about.loader_name.clone()),
        ("Instance", about.instance_id.clone()),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).map(|(what, text)| (what, Untrusted::of(text))).collect()
}

fn account(
    time: &impl Fn(Timestamp) -> TimeTag,
    host: Option<&HostName>,
    EnrolmentView { account, is_shared, vhost, since, rotated, until, by_token, address, revoked, connected }: EnrolmentView,
) -> Account {
    let whose = if is_shared { "shared with other agents" } else { "its own" };
    let by = if by_token { "a token" } else { "its name in DNS" };
    let facts = [
        ("Account", account.to_string()),
        ("Whose", whose.to_owned()),
        ("Vhost", vhost.to_string()),
        ("Its host was known by", by.to_owned()),
        ("Asked from", address.to_string()),
        ("Connected from", connected.as_ref().and_then(|it| it.from.clone()).unwrap_or_default()),
    ];
    let facts = facts.into_iter().filter(|(_, text)| !text.is_empty());
    let is_revoked = revoked.is_some();
    let mut times = vec![("Enrolled", time(since)), ("Password since", time(rotated))];
    times.extend((!is_revoked).then(|| ("To enrol again by", time(until))));
    times.extend(connected.map(|connected| ("Last seen connected", time(connected.last))));
    Account {
        facts: facts.map(|(what, text)| (what, Untrusted::of(text))).collect(),
        times,
        revoked: revoked.map(|(at, by, is_done)| (time(at), Untrusted::of(by), is_done)),
        reach: host.filter(|_| !is_revoked).map(|host| format!("{}/reach", path_of_host(host))),
    }
}

/// What may be done with the agent of a host.
fn buttons(session: &Session, host: &HostName, enrolment: Option<&EnrolmentView>) -> Vec<(&'static str, String)> {
    let path = path_of_host(host);
    let revoked = enrolment.map(|enrolment| enrolment.revoked.as_ref().map(|(_, _, is_done)| *is_done));
    let mut buttons = Vec::new();
    if session.may(scopes::AGENT_REVOKE.on(host.as_str())) {
        match revoked {
            Some(None) => buttons.extend([
                ("Revoke", format!("{path}/revoke")),
                ("Revoke, and empty its queue", format!("{path}/revoke?queue=purge")),
                ("Revoke, and delete its queue", format!("{path}/revoke?queue=delete")),
            ]),
            // Before it is done it cannot be forgotten.
            Some(Some(true)) => buttons.push(("Forget", format!("{path}/forget"))),
            Some(Some(false)) | None => {}
        }
    }
    if session.may(scopes::AGENT_ENROL.on(host.as_str())) {
        buttons.push(("Enrolment token", format!("{path}/token")));
    }
    buttons
}
