//! Backups: which there are, whether they are whole, and taking one out of the house.

use askama::Template;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::io::AsyncReadExt;

use crate::base::{Error, Result};
use crate::domain::actions::backups::TAKE;
use crate::domain::auth::scopes;
use crate::domain::backups::Fate;
use crate::store::Listed;
use crate::web::console::kit::act;
use crate::web::console::kit::form::{CheckedForm, Nothing};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents, Plan, Weight};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::state::App;

/// Bytes of a file that are read at once.
const CHUNK: usize = 64 << 10;

type Backup = (Listed, Fate);

const BACKUPS: Table<Backup> = Table {
    name: "backups",
    caption: "Backups",
    columns: &[
        Column {
            name: "name",
            title: "Name",
            cell: |(listed, _)| Cell::text(&listed.name).to(format!("/backups/{}", listed.name)),
        },
        Column {
            name: "state",
            title: "State",
            cell: |backup| {
                let State { tone, word } = state(backup);
                Cell::state(tone, word)
            },
        },
        Column {
            name: "made",
            title: "Made",
            cell: |(listed, _)| Cell::time(listed.label.as_ref().map(|label| label.made)),
        },
        Column { name: "bytes", title: "Bytes", cell: |(listed, _)| Cell::number(listed.len) },
        Column {
            name: "entry",
            title: "Last entry",
            cell: |(listed, _)| Cell::number(listed.label.as_ref().map_or(0, |label| label.last_entry)),
        },
        Column { name: "verified", title: "Verified", cell: |(_, fate)| Cell::time(fate.verified) },
        Column { name: "drilled", title: "Tried", cell: |(_, fate)| Cell::time(fate.drilled) },
    ],
    sort: "-name",
    select: None,
    empty: ("There is no backup so far. The loop `backup` takes them; take the first one now:", "keylender backup now"),
};

#[derive(Template)]
#[template(path = "console/backups.html")]
struct List {
    frame: Frame,
    table: View,
    every: String,
    may_take: bool,
    equivalents: Equivalents,
}

#[derive(Template)]
#[template(path = "console/backup.html")]
struct Page {
    frame: Frame,
    name: String,
    state: State,
    problem: Option<Untrusted<'static>>,
    bytes: u64,
    made: Option<TimeTag>,
    last_entry: u64,
    head: String,
    key_id: String,
    verified: Option<TimeTag>,
    drilled: Option<TimeTag>,
    may_verify: bool,
    may_download: bool,
    equivalents: Equivalents,
}

fn state((listed, fate): &Backup) -> State {
    let (tone, word) = match (problem(listed, fate), fate.drilled, fate.verified) {
        (Some(_), ..) => (Tone::Unwell, "damaged"),
        (None, Some(_), _) => (Tone::Well, "tried"),
        (None, None, Some(_)) => (Tone::Well, "whole"),
        (None, None, None) => (Tone::Quiet, "not verified"),
    };
    State { tone, word: word.into() }
}

fn problem(listed: &Listed, fate: &Fate) -> Option<String> {
    fate.problem.clone().or_else(|| listed.label.is_none().then(|| "its label cannot be read".to_owned()))
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    match BACKUPS.show(&session, app.backups.list().await?).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&List {
            frame: Frame::of(&app, &session, "Backups").await,
            table,
            every: crate::web::console::kit::text::span(app.backups.period()),
            may_take: session.may(scopes::BACKUP_TAKE),
            equivalents: Equivalents::of(&session, "POST", "/backups", None, &["backup", "now"]),
        })),
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let (listed, fate) = find(&app, &session).await?;
    let name = listed.name.clone();
    let time = |at| TimeTag { at, now: session.now };
    let label = listed.label.as_ref();
    Ok(page(&Page {
        frame: Frame::of(&app, &session, name.clone()).await,
        problem: problem(&listed, &fate).map(Untrusted::of),
        bytes: listed.len,
        made: label.map(|label| time(label.made)),
        last_entry: label.map_or(0, |label| label.last_entry),
        head: label.map(|label| label.head.clone()).unwrap_or_default(),
        key_id: label.map(|label| label.key_id.clone()).unwrap_or_default(),
        verified: fate.verified.map(time),
        drilled: fate.drilled.map(time),
        may_verify: session.may(scopes::BACKUP_VERIFY),
        may_download: session.may(scopes::BACKUP_DOWNLOAD),
        equivalents: Equivalents::of(
            &session,
            "POST",
            &format!("/backups/{name}/verify"),
            None,
            &["backup", "verify", &name],
        ),
        state: state(&(listed, fate)),
        name,
    }))
}

async fn find(app: &App, session: &Session) -> Result<Backup> {
    let name = session.param("backup");
    let found = app.backups.list().await?.into_iter().find(|(listed, _)| listed.name == name);
    found.ok_or_else(|| Error::not_found("There is no backup of this name."))
}

pub async fn take(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    act::run(&app, &session, &form, &TAKE, (), ()).await?;
    plan::done(&session, "/backups")
}

/// Reads a backup to its end.
pub async fn verify(app: App, session: Session, _: CheckedForm<Nothing>) -> Result<Response> {
    let (name, _) = app.backups.verify(&session.caller, Some(session.param("backup").to_owned())).await?;
    plan::done(&session, &format!("/backups/{name}"))
}

pub async fn plan_download(app: App, session: Session) -> Result<Response> {
    let (listed, _) = find(&app, &session).await?;
    let name = listed.name;
    let plan = Plan {
        title: format!("Download {name}"),
        effects: vec![
            format!("You get a file of {} bytes. It is sealed: without the key it opens nothing.", listed.len),
            "With the key it is the whole store. Keep file and key apart.".to_owned(),
            "On the host it lies in the directory of the setting BACKUP_DIR.".to_owned(),
        ],
        weight: Weight::Reasoned,
        action: format!("/backups/{name}/download"),
        fields: Vec::new(),
        button: "Download",
        back: format!("/backups/{name}"),
        equivalents: Equivalents::none(),
    };
    plan::ask(&app, &session, plan).await
}

/// The sealed file, piece by piece. Its audit entry is durable before the first one leaves.
pub async fn download(app: App, session: Session, form: CheckedForm<Nothing>) -> Result<Response> {
    let name = session.param("backup").to_owned();
    let (file, len) = app.backups.hand_out(&form.with_reason(&session)?, name.clone()).await?.into_inner();
    let pieces = stream::try_unfold(tokio::fs::File::from_std(file), |mut file| async move {
        let mut piece = vec![0; CHUNK];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, len.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
