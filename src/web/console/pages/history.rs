//! Who had what, at a moment or over time, as the audit log tells it.

use askama::Template;
use axum::response::Response;

use super::audit;
use crate::base::text::url_encoded;
use crate::base::{Result, Timestamp};
use crate::domain::history::{self, End, History, Holding, Wanted};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{TimeTag, Tone};
use crate::web::state::App;

const HELD: Table<Holding> = Table {
    name: "held",
    caption: "Who had what",
    columns: &[
        Column {
            name: "object",
            title: "What",
            cell: |held| Cell::text(&held.object).to(format!("/held?object={}", url_encoded(&held.object))),
        },
        Column { name: "kind", title: "HoldingKind", cell: kind },
        Column { name: "part", title: "Credential", cell: |held| Cell::text(&held.part) },
        Column {
            name: "holder",
            title: "Holder",
            cell: |held| Cell::text(&held.holder).to(format!("/held?holder={}", url_encoded(&held.holder))),
        },
        Column { name: "from", title: "Address", cell: |held| Cell::text(held.from.clone().unwrap_or_default()) },
        Column { name: "since", title: "Since", cell: |held| Cell::time(held.since) },
        Column { name: "until", title: "Until", cell: |held| Cell::time(held.until.map(|(until, _)| until)) },
        Column { name: "ended", title: "End", cell: end },
    ],
    sort: "-since",
    select: None,
    empty: ("Nothing was held then, as far as the audit log says.", ""),
};

#[derive(Template)]
#[template(path = "console/history.html")]
struct Page {
    frame: Frame,
    time: String,
    object: String,
    holder: String,
    table: Option<View>,
    more: bool,
    begins: Option<TimeTag>,
    unreadable: u64,
    equivalents: Equivalents,
}

fn kind(held: &Holding) -> Cell {
    Cell::text(held.kind.as_str())
}

fn end(held: &Holding) -> Cell {
    match held.until.map(|(_, why)| why) {
        None => Cell::state(Tone::Well, "held"),
        Some(End::Replaced) => Cell::state(Tone::Quiet, "replaced"),
        Some(End::Removed) => Cell::state(Tone::Quiet, "removed"),
        Some(End::Over) => Cell::state(Tone::Quiet, "over"),
    }
}

/// At a moment, or of a thing or a holder over time; by default, now.
pub async fn list(app: App, session: Session) -> Result<Response> {
    let text = |name| session.query(name).map(str::to_owned);
    let (object, holder, time) = (text("object"), text("holder"), audit::time_of(&session, "time")?);
    let is_over_time = time.is_none() && (object.is_some() || holder.is_some());
    let at = if is_over_time { None } else { Some(time.unwrap_or(session.now)) };
    let wanted = Wanted { object: object.clone(), holder: holder.clone(), since: at, until: at };
    let History { holdings, more, begins, unreadable } = history::of(&app.store, wanted).await?;
    let table = match HELD.show(&session, holdings).await? {
        TableAnswer::Export(file) => return Ok(file),
        TableAnswer::View(table) => table,
    };
    let asked = at.unwrap_or(Timestamp::MIN);
    Ok(page(&Page {
        frame: Frame::of(&app, &session, "Who had what").await,
        time: session.query("time").unwrap_or_default().to_owned(),
        object: object.unwrap_or_default(),
        holder: holder.unwrap_or_default(),
        table: Some(table),
        more,
        begins: begins.filter(|begins| begins.time > asked).map(|begins| TimeTag { at: begins.time, now: session.now }),
        unreadable,
        equivalents: Equivalents::of(
            &session,
            "GET",
            &format!("/audit/at?time={}", at.unwrap_or(session.now)),
            None,
            &["audit", "at", &at.unwrap_or(session.now).to_string()],
        ),
    }))
}
