//! The task proxy: what its sessions can reach, and all of them in a table.

mod explain;
mod session;
mod upstreams;

pub use explain::explain;
pub use session::show;
pub use upstreams::{show as upstreams, store as store_upstreams};

use askama::Template;
use axum::response::Response;

use crate::base::text::url_encoded;
use crate::base::{ProxySessionId, Result};
use crate::domain::auth::scopes;
use crate::domain::proxy::{Open, Session as Stored, TaskRun, View as SessionView, missing};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, Tone, Untrusted};
use crate::web::state::App;

const PATH: &str = "/proxy";
const UPSTREAMS: &str = "/proxy/upstreams";

/// How a session stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is asked.
    Open,
    /// Nobody ended it, and the process that answered for it is gone.
    Left,
    Ended,
}

impl Standing {
    fn of(app: &App, view: &SessionView) -> Self {
        match &view.session.ended {
            Some(_) => Self::Ended,
            None if app.proxy.of(&view.id).is_ok() => Self::Open,
            None => Self::Left,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Left => "left over",
            Self::Ended => "ended",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Open => Tone::Well,
            Self::Left => Tone::Warning,
            Self::Ended => Tone::Quiet,
        }
    }

    fn state(self) -> State {
        State { tone: self.tone(), word: self.word().into() }
    }
}

struct Row {
    view: SessionView,
    standing: Standing,
}

const SESSIONS: Table<Row> = Table {
    name: "proxy-sessions",
    caption: "Sessions",
    columns: &[
        Column { name: "session", title: "Session", cell: |it| Cell::text(&it.view.id).to(path_to(&it.view.id)) },
        Column { name: "state", title: "State", cell: |it| Cell::state(it.standing.tone(), it.standing.word()) },
        Column { name: "for", title: "For", cell: |it| Cell::text(whose(&it.view.session)) },
        Column { name: "opener", title: "Opened by", cell: |it| Cell::text(&it.view.session.opener) },
        Column {
            name: "upstreams",
            title: "Upstreams",
            cell: |it| {
                let names = it.view.session.upstreams.iter().map(|grant| grant.upstream.as_str());
                Cell::text(names.collect::<Vec<_>>().join(", "))
            },
        },
        Column { name: "since", title: "Since", cell: |it| Cell::time(it.view.session.opened) },
        Column {
            name: "ends",
            title: "Ends",
            cell: |it| {
                let Stored { ends, ended, .. } = &it.view.session;
                Cell::time(ended.as_ref().map_or(*ends, |ended| ended.at))
            },
        },
        Column { name: "calls", title: "Calls", cell: |it| Cell::number(it.view.calls) },
        Column { name: "tokens", title: "Tokens", cell: |it| Cell::number(it.view.tokens.len()) },
    ],
    sort: "-since",
    select: None,
    empty: (
        "No session was opened so far. A worker opens one for each task that asks for it:",
        "keylender proxy session open --task fN1SbArXTPSVFNUvaOlinQ --run 0 --user 1000",
    ),
};

#[derive(Template)]
#[template(path = "console/proxy.html")]
struct Page {
    frame: Frame,
    cards: Vec<Card>,
    upstreams: Vec<UpstreamRow>,
    is_of_settings: bool,
    /// Whether the reader may say what upstreams there are.
    may_store: bool,
    table: View,
    equivalents: Equivalents,
}

/// A figure, and what it leads to.
struct Card {
    name: &'static str,
    path: String,
    figure: usize,
    remark: &'static str,
}

/// An upstream as readers may see it: nothing of what lets the proxy in.
struct UpstreamRow {
    name: Untrusted<'static>,
    kind: &'static str,
    in_words: &'static str,
    /// Where a task asks, and what that leads to.
    paths: Vec<(Untrusted<'static>, Untrusted<'static>)>,
    methods: String,
    needs: Untrusted<'static>,
}

impl From<&Open> for UpstreamRow {
    fn from(Open { declared, .. }: &Open) -> Self {
        let methods = declared.upstream.methods.join(", ");
        Self {
            name: Untrusted::of(declared.upstream.name.clone()),
            kind: declared.kind(),
            in_words: in_words(declared.kind()),
            paths: declared.leads().into_iter().map(|(path, to)| (Untrusted::of(path), Untrusted::of(to))).collect(),
            methods: if methods.is_empty() { "any".to_owned() } else { methods },
            needs: Untrusted::of(missing(&declared.rule)),
        }
    }
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    let views = app.proxy.sessions().await?;
    let rows: Vec<Row> = views.into_iter().map(|view| Row { standing: Standing::of(&app, &view), view }).collect();
    let cards = cards(&rows);
    match SESSIONS.show(&session, rows).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Page {
            frame: Frame::of(&app, &session, "Task proxy").await,
            cards,
            upstreams: upstream_rows(&app),
            is_of_settings: app.proxy.is_of_settings(),
            may_store: session.may(scopes::PROXY_UPSTREAMS),
            table,
            equivalents: Equivalents::of(&session, "GET", "/proxy/sessions", None, &["proxy", "session", "list"]),
        })),
    }
}

/// How many there are of each kind, those that are none left out.
fn cards(rows: &[Row]) -> Vec<Card> {
    let count = |standing| rows.iter().filter(|row| row.standing == standing).count();
    let of = |(name, standing, remark): (&'static str, Standing, &'static str)| Card {
        name,
        path: format!("{PATH}?q=state%3A{}", standing.word().split(' ').next().unwrap_or_default()),
        figure: count(standing),
        remark,
    };
    let all = [
        ("Open", Standing::Open, "can be asked now"),
        ("Left over", Standing::Left, "of a process that is gone"),
        ("Ended", Standing::Ended, "kept for a month"),
    ];
    let tokens = rows.iter().map(|row| row.view.tokens.len()).sum();
    let tokens = Card {
        name: "Tokens",
        path: format!("{PATH}?sort=-tokens"),
        figure: tokens,
        remark: "were minted and work now",
    };
    let is_shown = |card: &Card| card.figure > 0 || card.name == "Open";
    all.map(of).into_iter().chain([tokens]).filter(is_shown).collect()
}

fn upstream_rows(app: &App) -> Vec<UpstreamRow> {
    app.proxy.declared().iter().map(UpstreamRow::from).collect()
}

/// What lets the proxy in, for people.
fn in_words(kind: &str) -> &'static str {
    match kind {
        "hawk" => "signed with credentials of the task",
        "bearer" => "a token that stays",
        "basic" => "a name and a password",
        "minted" => "tokens that are minted for a session",
        "oauth2" => "tokens by OAuth 2",
        "certificate" => "a certificate of the proxy",
        "relay-account" => "the login of an account of the relay",
        "namespace" => "a namespace that is lent to the session",
        _ => "",
    }
}

/// What a session is for: a service, a run of a task, or scopes.
fn whose(session: &Stored) -> String {
    let of_service = session.service.as_ref().map(|service| format!("service {}", service.name));
    match (of_service, &session.task) {
        (Some(service), Some(TaskRun { task_id, run_id })) => format!("{service} of the task {task_id}, run {run_id}"),
        (Some(service), None) => service,
        (None, Some(TaskRun { task_id, run_id })) => format!("task {task_id}, run {run_id}"),
        (None, None) => session.scopes.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" "),
    }
}

fn path_to(id: &ProxySessionId) -> String {
    format!("{PATH}/sessions/{}", url_encoded(id.as_str()))
}
