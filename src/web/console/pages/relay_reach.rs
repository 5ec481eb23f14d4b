//! What an account of the relay can reach; also the table of that for other accounts.

use askama::Template;
use axum::response::Response;

use super::relay::path_to;
use crate::base::{AccountName, Error, Result};
use crate::domain::relay::{Asked, NAMES_MAX, Reached, Reaches};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::Untrusted;
use crate::web::state::App;

const NAMES: Table<Reached> = Table {
    name: "reach",
    caption: "What it may do",
    columns: &[
        Column {
            name: "name",
            title: "Name",
            cell: |it| Cell::text(if it.name.is_empty() { "(default exchange)" } else { &it.name }),
        },
        Column { name: "kind", title: "Kind", cell: |it| Cell::text(if it.is_queue { "queue" } else { "exchange" }) },
        Column { name: "vhost", title: "Vhost", cell: |it| Cell::text(&it.vhost) },
        Column { name: "exists", title: "There", cell: |it| Cell::text(if it.exists { "yes" } else { "no" }) },
        Column {
            name: "may",
            title: "May",
            cell: |it| Cell::text(it.may.iter().map(|operation| it.words(*operation)).collect::<Vec<_>>().join(", ")),
        },
        Column {
            name: "unsure",
            title: "Nobody can tell",
            cell: |it| {
                let unsure = it.doubtful.iter();
                let unsure = unsure.map(|(operation, doubt)| format!("{}: it {doubt}", it.words(*operation)));
                Cell::text(unsure.collect::<Vec<_>>().join(", "))
            },
        },
    ],
    sort: "name",
    select: None,
    empty: ("It may enter no vhost, or there is nothing in it.", "keylender relay reach"),
};

#[derive(Template)]
#[template(path = "console/relay_reach.html")]
struct Page {
    frame: Frame,
    /// Paths and names of the pages above it.
    trail: Vec<(String, Untrusted<'static>)>,
    path: String,
    limits: Vec<Untrusted<'static>>,
    names_max: usize,
    left_out: usize,
    /// What was asked for.
    asked: [(&'static str, &'static str, String); 3],
    table: View,
    equivalents: Equivalents,
}

/// Whose account it is.
pub(super) struct Whose<'w> {
    pub title: &'static str,
    /// Paths and names of the pages above it.
    pub trail: Vec<(String, String)>,
    /// Where it is told, here and by the API.
    pub path: String,
    /// The words of the command.
    pub words: [&'w str; 3],
    /// What the table does not say.
    pub limits: Vec<String>,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let account = AccountName::parse(session.param("account"))
        .map_err(|_| Error::not_found("the relay declares no account of this name"))?;
    let asked = asked(&session);
    let reaches = app.relay.reach(&account, &asked).await?;
    let home = path_to(account.as_str());
    let whose = Whose {
        title: "What an account can reach",
        path: format!("{home}/reach"),
        trail: vec![("/relay".to_owned(), "Relay".to_owned()), (home, account.to_string())],
        words: ["relay", "reach", account.as_str()],
        limits: Vec::new(),
    };
    shown(&app, &session, whose, asked, reaches).await
}

/// The names that the address asks for.
pub(super) fn asked(session: &Session) -> Asked {
    let text = |name| session.query(name).map(str::to_owned);
    Asked { queue: text("queue"), exchange: text("exchange"), key: text("key") }
}

/// The page with the table.
pub(super) async fn shown(
    app: &App,
    session: &Session,
    whose: Whose<'_>,
    asked: Asked,
    Reaches { names, left_out }: Reaches,
) -> Result<Response> {
    let Whose { title, trail, path, words, limits } = whose;
    match NAMES.show(session, names).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Page {
            frame: Frame::of(app, session, title).await,
            trail: trail.into_iter().map(|(path, name)| (path, Untrusted::of(name))).collect(),
            limits: limits.into_iter().map(Untrusted::of).collect(),
            names_max: NAMES_MAX,
            left_out,
            asked: [
                ("queue", "Queue", asked.queue.unwrap_or_default()),
                ("exchange", "Exchange", asked.exchange.unwrap_or_default()),
                ("key", "Routing key", asked.key.unwrap_or_default()),
            ],
            table,
            equivalents: Equivalents::of(session, "GET", &path, None, &words),
            path,
        })),
    }
}
