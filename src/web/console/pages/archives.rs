//! Archives of queues: which there are, what is in one, and bringing it back.

use std::num::NonZeroU32;

use askama::Template;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::base::text::url_encoded;
use crate::base::{ArchiveName, Error, Result};
use crate::domain::actions::Because;
use crate::domain::actions::archives::{REPLAY, TAKE, Told, Way};
use crate::domain::archives::{Archive, Archived, Body};
use crate::domain::auth::scopes::{self, RequiredScope};
use crate::web::api::Lines;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::state::App;

/// Messages that a page of an archive shows: enough to know it by.
const SHOWN: usize = 20;

const ARCHIVES: Table<Archive> = Table {
    name: "archives",
    caption: "Archives of queues",
    columns: &[
        Column { name: "name", title: "Archive", cell: |archive| Cell::text(&archive.name).to(path_to(&archive.name)) },
        Column {
            name: "queue",
            title: "Queue",
            cell: |archive| Cell::text(&archive.queue).to(format!("/queues/{}", url_encoded(&archive.queue))),
        },
        Column {
            name: "state",
            title: "State",
            cell: |archive| {
                let State { tone, word } = state(archive);
                Cell::state(tone, word)
            },
        },
        Column { name: "taken", title: "Taken", cell: |archive| Cell::time(archive.taken) },
        Column { name: "messages", title: "Messages", cell: |archive| Cell::number(archive.messages) },
        Column { name: "bytes", title: "Bytes of its file", cell: |archive| Cell::number(archive.file_bytes) },
        Column { name: "why", title: "Why", cell: |archive| Cell::text(&archive.why) },
    ],
    sort: "-name",
    select: None,
    empty: (
        "There is no archive. The messages of a queue are taken into one from the page of the queue, or by",
        "keylender queue archive take queue/taskcluster-builds/jobs --reason 'poisoned, and wanted later'",
    ),
};

#[derive(Template)]
#[template(path = "console/archives.html")]
struct List {
    frame: Frame,
    table: View,
    equivalents: Equivalents,
}

#[derive(Template)]
#[template(path = "console/archive.html")]
struct Page {
    frame: Frame,
    path: String,
    state: State,
    queue: Untrusted<'static>,
    queue_path: String,
    namespace: String,
    why: Untrusted<'static>,
    problem: Option<Untrusted<'static>>,
    taken: TimeTag,
    finished: Option<TimeTag>,
    facts: Vec<(&'static str, String)>,
    head: String,
    /// None for who may not read them, or while there are none.
    shown: Option<Vec<Row>>,
    next: Option<String>,
    to: String,
    may_replay: bool,
    may_export: bool,
    may_delete: bool,
    equivalents: Equivalents,
}

/// A message as the page shows it. All of it was written by others.
struct Row {
    number: u64,
    exchange: Untrusted<'static>,
    routing_key: Untrusted<'static>,
    properties: Untrusted<'static>,
    bytes: u64,
    body: Untrusted<'static>,
    is_text: bool,
}

impl From<Archived> for Row {
    fn from(message: Archived) -> Self {
        let (body, is_text) = match message.body {
            Body::Body(text) => (text, true),
            Body::BodyBase64(text) => (text, false),
        };
        Self {
            number: message.number,
            exchange: Untrusted::of(message.exchange),
            routing_key: Untrusted::of(message.routing_key),
            properties: Untrusted::of(message.properties.to_string()),
            bytes: message.bytes,
            body: Untrusted::of(body),
            is_text,
        }
    }
}

fn path_to(name: &ArchiveName) -> String {
    format!("/archives/{name}")
}

fn state(archive: &Archive) -> State {
    let (tone, word) = match (archive.finished, &archive.problem) {
        (None, _) => (Tone::Quiet, "not finished"),
        (Some(_), Some(_)) => (Tone::Warning, "not all"),
        (Some(_), None) => (Tone::Well, "whole"),
    };
    State { tone, word: word.into() }
}

fn parse_name(session: &Session) -> Result<ArchiveName> {
    ArchiveName::parse(session.param("archive")).map_err(|_| Error::not_found("There is no archive of this name."))
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    match ARCHIVES.show(&session, app.archives.list().await?).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&List {
            frame: Frame::of(&app, &session, "Archives").await,
            table,
            equivalents: Equivalents::of(&session, "GET", "/archives", None, &["queue", "archive", "list"]),
        })),
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let name = parse_name(&session)?;
    let archive = app.archives.show(&name).await?;
    let may = |scope: RequiredScope| archive.finished.is_some() && session.may(scope.on(&name));
    let from = session.query("from").and_then(|from| from.parse().ok()).unwrap_or(0);
    let shown = if may(scopes::ARCHIVE_READ) && archive.messages > 0 {
        Some(app.archives.messages(&session.caller, &name, from, SHOWN).await?.into_inner())
    } else {
        None
    };
    let end = shown.as_ref().and_then(|shown| shown.last()).map_or(from, |last| last.number + 1);
    let (path, time) = (path_to(&name), |at| TimeTag { at, now: session.now });
    Ok(page(&Page {
        frame: Frame::of(&app, &session, name.to_string()).await,
        state: state(&archive),
        queue: Untrusted::of(archive.queue.clone()),
        queue_path: format!("/queues/{}", url_encoded(&archive.queue)),
        namespace: archive.namespace.to_string(),
        why: Untrusted::of(archive.why.clone()),
        problem: archive.problem.clone().map(Untrusted::of),
        taken: time(archive.taken),
        finished: archive.finished.map(time),
        facts: vec![
            ("Messages", archive.messages.to_string()),
            ("Bytes of their bodies", archive.payload_bytes.to_string()),
            ("Bytes of its file", archive.file_bytes.to_string()),
            ("Left in the queue", archive.arrived.to_string()),
            ("Type of the queue", archive.kind.clone()),
        ],
        head: archive.head.clone(),
        shown: shown.map(|shown| shown.into_iter().map(Row::from).collect()),
        next: (end > from && end < archive.messages).then(|| format!("{}{path}?from={end}", session.root)),
        to: archive.queue.clone(),
        may_replay: may(scopes::ARCHIVE_REPLAY),
        may_export: may(scopes::ARCHIVE_EXPORT),
        may_delete: may(scopes::ARCHIVE_DELETE),
        equivalents: Equivalents::of(&session, "GET", &path, None, &["queue", "archive", "show", name.as_str()]),
        path,
    }))
}

pub async fn plan_take(app: App, session: Session) -> Result<Response> {
    let queue = session.param("queue").to_owned();
    let path = format!("/queues/{}", url_encoded(&queue));
    let asked = Asked::of(&queue, format!("{path}/archive"), path);
    act::ask(&app, &session, &TAKE, queue.clone(), Because::default(), asked).await
}

/// Takes the messages of a queue out, and goes on to the archive that has them.
pub async fn take(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    let queue = session.param("queue").to_owned();
    let taken: Told = act::run(&app, &session, &form, &TAKE, queue, Because::default()).await?;
    plan::done(&session, &format!("/archives/{}", taken.archive))
}

/// Where the messages go to, as the form of the page has it. What is left empty is not said.
#[derive(Deserialize)]
pub struct Wanted {
    to: String,
    rate: String,
}

impl Wanted {
    fn way(&self) -> Result<Way> {
        let rate = match self.rate.trim() {
            "" => None,
            text => {
                let expected = |_| Error::invalid("a number of messages in a second was expected, at least 1");
                Some(text.parse::<NonZeroU32>().map_err(expected)?)
            }
        };
        Ok(Way::new(Some(self.to.trim().to_owned()).filter(|to| !to.is_empty()), rate))
    }
}

pub async fn plan_replay(app: App, session: Session) -> Result<Response> {
    let (name, text) = (parse_name(&session)?, |name| session.query(name).unwrap_or_default().to_owned());
    let wanted = Wanted { to: text("to"), rate: text("rate") };
    let way = wanted.way()?;
    let mut asked = Asked::of(name.as_str(), format!("{}/replay", path_to(&name)), path_to(&name));
    let (to, rate) = (way.to.clone(), way.per_second.map(|rate| rate.to_string()));
    if let Some(to) = &to {
        asked.words.extend(["--to", to]);
    }
    if let Some(rate) = &rate {
        asked.words.extend(["--per-second", rate]);
    }
    asked.fields = vec![("to", wanted.to), ("rate", wanted.rate)];
    act::ask(&app, &session, &REPLAY, name.clone(), way, asked).await
}

pub async fn replay(app: App, session: Session, form: CheckedForm<Wanted>) -> Result<Response> {
    let name = parse_name(&session)?;
    act::run(&app, &session, &form, &REPLAY, name.clone(), form.input.way()?).await?;
    plan::done(&session, &path_to(&name))
}

/// All messages as lines of JSON. The entry that says who has them is durable before the first one leaves.
pub async fn export(app: App, session: Session, _: CheckedForm<Nothing>) -> Result<Response> {
    let name = parse_name(&session)?;
    let lines = Lines::of(app.archives.export(&session.caller, &name).await?.into_inner());
    let named = [(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.jsonl\""))];
    Ok((named, lines.response()).into_response())
}
