//! The whitelist of agents: its lines, which of them admits an agent, and the forms that change it.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::Result;
use crate::base::text::url_encoded;
use crate::domain::actions::agents::{ADMIT, Lines, STRIKE};
use crate::domain::agents::ListFile;
use crate::domain::auth::scopes;
use crate::domain::relay::WhitelistLine;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{ACT, Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::Untrusted;
use crate::web::state::App;

const PATH: &str = "/agents/whitelist";

/// A line, and whether whoever looks may remove it.
struct Row {
    line: WhitelistLine,
    may_change: bool,
}

const LINES: Table<Row> = Table {
    name: "whitelist",
    caption: "Lines",
    columns: &[
        Column { name: "line", title: "Line", cell: |it| Cell::text(&it.line.line) },
        Column {
            name: "kind",
            title: "Kind",
            cell: |it| Cell::text(if it.line.is_pattern { "pattern" } else { "name" }),
        },
        Column { name: "since", title: "Since", cell: |it| Cell::time(Some(it.line.since)) },
        Column { name: "by", title: "Added by", cell: |it| Cell::text(&it.line.by) },
        Column {
            name: ACT,
            title: "Change",
            cell: |it| {
                if it.may_change {
                    Cell::text("Remove").to(format!("{PATH}/remove?line={}", url_encoded(&it.line.line)))
                } else {
                    Cell::text("")
                }
            },
        },
    ],
    sort: "kind",
    select: None,
    empty: ("Nobody is admitted: the list is empty.", "keylender agent whitelist add"),
};

#[derive(Template)]
#[template(path = "console/whitelist.html")]
struct Page {
    frame: Frame,
    /// Whose agent is asked for, and the line that admits it.
    queueloc: String,
    admitted: Option<Option<Untrusted<'static>>>,
    warnings: Vec<Untrusted<'static>>,
    /// The scheduler's file on this host, while the profile names one.
    file: Option<FileState>,
    may_change: bool,
    table: View,
    equivalents: Equivalents,
}

/// How the scheduler's file on this host stands.
struct FileState {
    path: Untrusted<'static>,
    /// How it stands, in words that follow its path.
    words: &'static str,
    is_trouble: bool,
    /// Why it cannot be read.
    why: Option<Untrusted<'static>>,
    /// Whether somebody else wrote it.
    is_edited: bool,
}

impl FileState {
    fn of(path: String, state: ListFile) -> Option<Self> {
        let (is_edited, words) = match &state {
            ListFile::None => return None,
            ListFile::Same => (false, "has just these lines"),
            ListFile::Behind => (false, "is behind, and is written at the next pass of the loop agents"),
            ListFile::Edited => (true, "was edited by hand, and is left as it is"),
            ListFile::Unreadable(_) => (false, "cannot be read"),
        };
        let why = if let ListFile::Unreadable(why) = state { Some(Untrusted::of(why)) } else { None };
        Some(Self { path: Untrusted::of(path), words, is_trouble: is_edited || why.is_some(), why, is_edited })
    }
}

/// What the form says.
#[derive(Deserialize)]
pub struct Input {
    line: String,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let (whitelist, lines) = app.relay.whitelist().await?;
    let queueloc = session.query("queueloc").unwrap_or_default().to_owned();
    let admitted =
        (!queueloc.is_empty()).then(|| whitelist.admits(&queueloc).map(|line| Untrusted::of(line.text.clone())));
    let may_change = session.may(scopes::AGENT_WHITELIST);
    let (file, state) = app.agents.list_file().await?;
    let rows = lines.into_iter().map(|line| Row { line, may_change }).collect();
    match LINES.show(&session, rows).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Page {
            frame: Frame::of(&app, &session, "Whitelist of agents").await,
            queueloc,
            admitted,
            warnings: whitelist.warnings().iter().map(|warning| Untrusted::of(warning.to_string())).collect(),
            file: file.and_then(|path| FileState::of(path, state)),
            may_change,
            table,
            equivalents: Equivalents::of(&session, "GET", PATH, None, &["agent", "whitelist", "show"]),
        })),
    }
}

pub async fn ask_add(app: App, session: Session) -> Result<Response> {
    let line = session.query("line").unwrap_or_default().to_owned();
    act::ask(&app, &session, &ADMIT, (), lines(&line), asked(&line, "add")).await
}

pub async fn add(app: App, session: Session, form: CheckedForm<Input>) -> Result<Response> {
    act::run(&app, &session, &form, &ADMIT, (), lines(&form.input.line)).await?;
    plan::done(&session, PATH)
}

pub async fn ask_remove(app: App, session: Session) -> Result<Response> {
    let line = session.query("line").unwrap_or_default().to_owned();
    act::ask(&app, &session, &STRIKE, (), lines(&line), asked(&line, "remove")).await
}

pub async fn remove(app: App, session: Session, form: CheckedForm<Input>) -> Result<Response> {
    act::run(&app, &session, &form, &STRIKE, (), lines(&form.input.line)).await?;
    plan::done(&session, PATH)
}

fn lines(line: &str) -> Lines {
    Lines::of(vec![line.to_owned()])
}

fn asked<'a>(line: &'a str, what: &str) -> Asked<'a> {
    Asked {
        words: vec![line],
        fields: vec![("line", line.to_owned())],
        ..Asked::of("", format!("{PATH}/{what}"), PATH.to_owned())
    }
}
