//! What runs by itself: how it went, what it would do now, and the hand on it.

use askama::Template;
use axum::response::Response;

use crate::base::{Error, Result};
use crate::domain::auth::scopes::{self, RequiredScope};
use crate::domain::loops::Status;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::state::App;

/// Lines of a plan that are shown; the command shows them all.
const LINES_MAX: usize = 100;

const LOOPS: Table<Status> = Table {
    name: "loops",
    caption: "What runs by itself",
    columns: &[
        Column { name: "name", title: "Loop", cell: |each| Cell::text(each.name).to(format!("/loops/{}", each.name)) },
        Column {
            name: "state",
            title: "State",
            cell: |each| {
                let State { tone, word } = state(each);
                Cell::state(tone, word)
            },
        },
        Column { name: "last", title: "Last run", cell: |each| Cell::time(each.last_run) },
        Column { name: "took", title: "Took, ms", cell: |each| Cell::number(each.last_took_ms) },
        Column { name: "next", title: "Next run", cell: |each| Cell::time((!each.paused).then_some(each.due)) },
        Column { name: "said", title: "What it said", cell: |each| Cell::text(said(each)) },
    ],
    sort: "",
    select: None,
    empty: ("There are no loops.", ""),
};

#[derive(Template)]
#[template(path = "console/list.html")]
struct List {
    frame: Frame,
    table: View,
    equivalents: Equivalents,
}

#[derive(Template)]
#[template(path = "console/loop.html")]
struct Page {
    frame: Frame,
    status: Status,
    state: State,
    last_run: Option<TimeTag>,
    last_success: Option<TimeTag>,
    due: TimeTag,
    report: Untrusted<'static>,
    error: Option<Untrusted<'static>>,
    brake: Option<Untrusted<'static>>,
    /// What a run would do, line by line; or why that is not known.
    plan: std::result::Result<Vec<Untrusted<'static>>, Untrusted<'static>>,
    may_run: bool,
    may_pause: bool,
    may_release: bool,
    equivalents: Equivalents,
}

pub(super) fn state(each: &Status) -> State {
    let (tone, word) = match each {
        Status { brake: Some(_), .. } => (Tone::Unwell, "the brake holds it"),
        Status { paused: true, .. } => (Tone::Warning, "paused"),
        Status { failures: 1.., .. } => (Tone::Unwell, "failing"),
        Status { last_run: None, .. } => (Tone::Quiet, "did not run yet"),
        _ => (Tone::Well, "well"),
    };
    State { tone, word: word.into() }
}

fn said(each: &Status) -> &str {
    match (&each.brake, each.last_error.is_empty()) {
        (Some(why), _) => why,
        (None, false) => &each.last_error,
        (None, true) => &each.last_report,
    }
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    match LOOPS.show(&session, app.loops.list()?).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => {
            let equivalents = Equivalents::of(&session, "GET", "/loops", None, &["loop", "list"]);
            Ok(page(&List { frame: Frame::of(&app, &session, "Loops").await, table, equivalents }))
        }
    }
}

fn find_status(app: &App, session: &Session) -> Result<Status> {
    let name = session.param("loop");
    let found = app.loops.list()?.into_iter().find(|each| each.name == name);
    found.ok_or_else(|| Error::not_found("There is no loop of this name."))
}

/// One loop, and what it would do now.
pub async fn show(app: App, session: Session) -> Result<Response> {
    let status = find_status(&app, &session)?;
    let name = status.name;
    let lines = |text: String| -> Vec<Untrusted<'static>> {
        text.lines().take(LINES_MAX).map(|line| Untrusted::of(line.to_owned())).collect()
    };
    let plan = app.loops.plan(name).await.map(lines).map_err(|error| Untrusted::of(error.message().to_owned()));
    let time = |at| TimeTag { at, now: session.now };
    let may = |scope: RequiredScope| session.may(scope.on(name));
    Ok(page(&Page {
        frame: Frame::of(&app, &session, format!("Loop {name}")).await,
        state: state(&status),
        last_run: status.last_run.map(time),
        last_success: status.last_success.map(time),
        due: time(status.due),
        report: Untrusted::of(status.last_report.clone()),
        error: (!status.last_error.is_empty()).then(|| Untrusted::of(status.last_error.clone())),
        brake: status.brake.clone().map(Untrusted::of),
        plan,
        may_run: may(scopes::LOOP_RUN),
        may_pause: may(scopes::LOOP_PAUSE),
        may_release: may(scopes::LOOP_RELEASE),
        equivalents: Equivalents::of(&session, "GET", &format!("/loops/{name}/plan"), None, &["loop", "plan", name]),
        status,
    }))
}
