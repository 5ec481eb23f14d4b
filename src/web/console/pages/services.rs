//! Services beside tasks: the sets that run and ran, what was decided on each image, and what that was given.

use std::collections::BTreeSet;

use askama::Template;
use axum::response::Response;

use crate::base::text::url_encoded;
use crate::base::{Error, Result, ServiceSetId, Timestamp};
use crate::domain::auth::scopes;
use crate::domain::proxy::{Service, TaskRun, View as SessionView};
use crate::domain::services::SetView;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::state::App;

/// A set, and whether it is asked.
struct Row {
    set: SetView,
    state: (Tone, &'static str),
}

impl Row {
    fn new(open: &BTreeSet<ServiceSetId>, set: SetView) -> Self {
        let state = match (set.is_over(), open.contains(&set.set)) {
            (true, _) => (Tone::Quiet, "ended"),
            (false, false) => (Tone::Warning, "left over"),
            (false, true) => (Tone::Well, "open"),
        };
        Self { set, state }
    }
}

const SETS: Table<Row> = Table {
    name: "services",
    caption: "Services beside tasks",
    columns: &[
        Column { name: "set", title: "Set", cell: |it| Cell::text(&it.set.set).to(path_to(&it.set.set)) },
        Column { name: "state", title: "State", cell: |it| Cell::state(it.state.0, it.state.1) },
        Column { name: "for", title: "For", cell: |it| Cell::text(whose(it.set.task())) },
        Column {
            name: "workers",
            title: "Workers",
            cell: |it| Cell::text(it.set.worker_type().map(ToString::to_string).unwrap_or_default()),
        },
        Column { name: "opener", title: "Opened by", cell: |it| Cell::text(it.set.opener()) },
        Column { name: "services", title: "Services", cell: |it| Cell::text(names(&it.set)) },
        Column { name: "since", title: "Since", cell: |it| it.set.opened().map_or_else(|| Cell::text(""), Cell::time) },
        Column { name: "ends", title: "Ends", cell: |it| it.set.ends().map_or_else(|| Cell::text(""), Cell::time) },
        Column { name: "calls", title: "Calls", cell: |it| Cell::number(it.set.calls()) },
    ],
    sort: "-since",
    select: None,
    empty: (
        "No task had services so far. A worker opens them for a task whose payload names some:",
        "keylender services run payload.json --provisioner aws --worker-type gecko -- make test",
    ),
};

#[derive(Template)]
#[template(path = "console/list.html")]
struct Sets {
    frame: Frame,
    table: View,
    equivalents: Equivalents,
}

#[derive(Template)]
#[template(path = "console/services_set.html")]
struct Page {
    frame: Frame,
    state: State,
    /// Whether nothing answers for it, though nobody ended it.
    is_left: bool,
    facts: Vec<(&'static str, Untrusted<'static>)>,
    times: Vec<(&'static str, TimeTag)>,
    /// Where it is stopped, for who may.
    stop: Option<String>,
    services: Vec<ServiceRow>,
    audit: Option<String>,
    equivalents: Equivalents,
}

/// A service, with what was decided on its image.
struct ServiceRow {
    name: Untrusted<'static>,
    image: Untrusted<'static>,
    /// By which it was delegated to.
    identity: Option<String>,
    decision: Untrusted<'static>,
    scopes: Vec<Untrusted<'static>>,
    not_held: Vec<Untrusted<'static>>,
    /// What it reaches, if anything but its task.
    upstreams: Option<Untrusted<'static>>,
    calls: u64,
    session: String,
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    let open = app.services.open_sets();
    let rows = app.services.sets().await?.into_iter().map(|set| Row::new(&open, set)).collect();
    match SETS.show(&session, rows).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Sets {
            frame: Frame::of(&app, &session, "Services").await,
            table,
            equivalents: Equivalents::of(&session, "GET", "/services", None, &["services", "list"]),
        })),
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let unknown = || Error::not_found("There is no set of services of this name.");
    let id = ServiceSetId::parse(session.param("set")).map_err(|_| unknown())?;
    let Row { set, state: (tone, word) } = Row::new(&app.services.open_sets(), app.services.set(&id).await?);
    let path = path_to(&id);
    let time = |at: Timestamp| TimeTag { at, now: session.now };
    let end = if set.is_over() { "Ended" } else { "Ends at the latest" };
    let times = [("Opened", set.opened()), (end, set.ends())];
    let may_stop = word == "open" && session.may(scopes::SERVICES_STOP.on(id.as_str()));
    Ok(page(&Page {
        frame: Frame::of(&app, &session, "Services of a task").await,
        state: State { tone, word: word.into() },
        is_left: word == "left over",
        facts: facts(&set),
        times: times.into_iter().filter_map(|(what, at)| Some((what, time(at?)))).collect(),
        stop: may_stop.then(|| format!("{path}/stop")),
        services: set.services.iter().filter_map(row).collect(),
        audit: session.may(scopes::AUDIT_READ).then(|| format!("/audit?object={}", url_encoded(id.as_str()))),
        equivalents: Equivalents::of(&session, "GET", &path, None, &["services", "show", id.as_str()]),
    }))
}

fn facts(set: &SetView) -> Vec<(&'static str, Untrusted<'static>)> {
    let all = [
        ("Set", set.set.to_string()),
        ("For", whose(set.task())),
        ("Workers", set.worker_type().map(ToString::to_string).unwrap_or_default()),
        ("Opened by", set.opener().to_owned()),
        ("Why it ended", set.cause().unwrap_or_default().to_owned()),
    ];
    let said = all.into_iter().filter(|(_, text)| !text.is_empty());
    said.map(|(what, text)| (what, Untrusted::of(text))).collect()
}

fn row(SessionView { id, session, calls, .. }: &SessionView) -> Option<ServiceRow> {
    let service: &Service = session.service.as_ref()?;
    let upstreams: Vec<_> = session.upstreams.iter().map(|grant| grant.upstream.as_str()).collect();
    let texts =
        |scopes: &[crate::base::Scope]| scopes.iter().map(|scope| Untrusted::of(scope.to_string())).collect::<Vec<_>>();
    Some(ServiceRow {
        name: Untrusted::of(service.name.clone()),
        image: Untrusted::of(service.image.clone()),
        identity: service.image_id.as_ref().map(ToString::to_string),
        decision: Untrusted::of(service.decision.clone()),
        scopes: texts(&service.held),
        not_held: texts(&service.not_held),
        upstreams: (!upstreams.is_empty()).then(|| Untrusted::of(upstreams.join(", "))),
        calls: *calls,
        session: format!("/proxy/sessions/{}", url_encoded(id.as_str())),
    })
}

fn whose(task: Option<&TaskRun>) -> String {
    task.map(|TaskRun { task_id, run_id }| format!("task {task_id}, run {run_id}")).unwrap_or_default()
}

fn names(set: &SetView) -> String {
    let services = set.services.iter().filter_map(|view| view.session.service.as_ref());
    services.map(|service| service.name.as_str()).collect::<Vec<_>>().join(", ")
}

pub(in crate::web::console) fn path_to(set: &ServiceSetId) -> String {
    format!("/services/{}", url_encoded(set.as_str()))
}
