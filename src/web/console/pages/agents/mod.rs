//! The agents of a fleet: how they are in numbers, how reading their heartbeats goes, and all of them in a table.

mod acts;
mod agent;
mod gone;
mod pending;
mod reach;
mod rules;

pub use acts::{ask_host, make_token, plan_revocation, plan_token, revoke};
pub use agent::show;
pub use gone::gone;
pub use pending::pending;
pub use reach::reach;
pub use rules::{add_rule, ask_rule, rules};

use std::sync::Arc;

use askama::Template;
use axum::response::Response;

use crate::base::text::url_encoded;
use crate::base::{Error, HostName, Queueloc, Result};
use crate::domain::agents::{AgentFigures, AgentLine, Reading, Standing};
use crate::domain::auth::scopes;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::state::App;

const PATH: &str = "/agents";
/// Versions that are told of; of more, the number. Agents may make up any number of them.
const VERSIONS_MAX: usize = 8;

const AGENTS: Table<AgentLine> = Table {
    name: "agents",
    caption: "Agents",
    columns: &[
        Column {
            name: "queueloc",
            title: "Queue location",
            cell: |it| Cell::text(&it.queueloc).to(path_to(&it.queueloc)),
        },
        Column {
            name: "host",
            title: "Host",
            cell: |it| Cell::text(it.host.as_ref().map(HostName::as_str).unwrap_or_default()),
        },
        Column { name: "state", title: "State", cell: |it| Cell::state(tone(it.standing), it.standing.as_str()) },
        Column { name: "last", title: "Last heard", cell: |it| Cell::time(it.last) },
        Column { name: "version", title: "Version", cell: |it| Cell::text(&it.version) },
        Column { name: "system", title: "System", cell: |it| Cell::text(&it.ident) },
        Column {
            name: "account",
            title: "Account",
            cell: |it| match (it.is_overdue, it.is_enrolled) {
                (true, _) => Cell::state(Tone::Warning, "late"),
                (false, true) => Cell::state(Tone::Well, "yes"),
                (false, false) => Cell::state(Tone::Quiet, "no"),
            },
        },
        Column { name: "proxy", title: "Proxy", cell: |it| Cell::text(if it.is_proxied { "yes" } else { "no" }) },
        Column { name: "duplicates", title: "Duplicates", cell: |it| Cell::text(pids(&it.duplicates)) },
    ],
    sort: "queueloc",
    select: None,
    empty: (
        "No agent was heard or enrolled so far. Those that knock and are in no list wait to be let in; a host enrols by:",
        "keylender agent enrol",
    ),
};

#[derive(Template)]
#[template(path = "console/agents.html")]
struct Page {
    frame: Frame,
    /// Nothing while no agents are declared.
    fleet: Option<Fleet>,
    equivalents: Equivalents,
}

struct Fleet {
    cards: Vec<Card>,
    reading: Read,
    versions: Vec<(Untrusted<'static>, usize)>,
    /// How many more versions there are.
    more_versions: usize,
    /// What became of heartbeats since the start, in words.
    fates: String,
    may_enrol: bool,
    table: View,
}

/// A figure, and what it leads to.
struct Card {
    name: &'static str,
    path: String,
    figure: usize,
    remark: &'static str,
}

/// How reading heartbeats goes.
struct Read {
    since: Option<TimeTag>,
    trouble: Option<Untrusted<'static>>,
    trouble_since: Option<TimeTag>,
    last: Option<TimeTag>,
    lag: Option<String>,
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    let fleet = match app.agents.agents() {
        Err(_) => None,
        Ok(_) => match AGENTS.show(&session, Arc::unwrap_or_clone(app.agents.list().await?)).await? {
            TableAnswer::Export(file) => return Ok(file),
            TableAnswer::View(table) => Some(fleet(&session, app.agents.figures().await?, table)),
        },
    };
    Ok(page(&Page {
        frame: Frame::of(&app, &session, "Agents").await,
        fleet,
        equivalents: Equivalents::of(&session, "GET", PATH, None, &["agent", "list"]),
    }))
}

fn fleet(session: &Session, figures: AgentFigures, table: View) -> Fleet {
    let cards = cards(&figures);
    let AgentFigures { versions, reading, fates, .. } = figures;
    let mut versions: Vec<(String, usize)> = versions.into_iter().collect();
    versions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more_versions = versions.len().saturating_sub(VERSIONS_MAX);
    let version = |text: String| Untrusted::of(if text.is_empty() { "none said".to_owned() } else { text });
    let fates = fates.into_iter().filter(|(_, count)| *count > 0);
    let fates: Vec<String> = fates.map(|(fate, count)| format!("{count} {}", fate.code().replace('-', " "))).collect();
    Fleet {
        cards,
        reading: read(session, reading),
        versions: versions.into_iter().take(VERSIONS_MAX).map(|(text, count)| (version(text), count)).collect(),
        more_versions,
        fates: fates.join(", "),
        may_enrol: session.may(scopes::AGENT_ENROL.for_all()),
        table,
    }
}

/// How many there are of each kind, those that are none left out.
fn cards(figures: &AgentFigures) -> Vec<Card> {
    let of = |(standing, figure): &(Standing, usize)| {
        let (name, remark) = in_words(*standing);
        Card { name, path: format!("{PATH}?q=state%3A{}", standing.as_str()), figure: *figure, remark }
    };
    let further = [
        ("Pending", "/pending", figures.pending, "wait to be let in, or were refused"),
        ("Late", "?q=account%3Alate", figures.overdue, "should have enrolled again"),
        ("Duplicates", "?sort=-duplicates", figures.duplicates, "have a queue that several processes share"),
    ];
    let further =
        further.map(|(name, path, figure, remark)| Card { name, path: format!("{PATH}{path}"), figure, remark });
    let all = figures.standings.iter().map(of).chain(further);
    all.filter(|card| card.figure > 0 || matches!(card.name, "Online" | "Pending")).collect()
}

fn in_words(standing: Standing) -> (&'static str, &'static str) {
    match standing {
        Standing::Online => ("Online", "heard lately"),
        Standing::Idle => ("Idle", "missed five heartbeats"),
        Standing::Offline => ("Offline", "given up"),
        Standing::Destroyed => ("Destroyed", "told to end, and not heard since"),
        Standing::Upgraded => ("Upgraded", "another one took the place"),
        Standing::Unheard => ("Unheard", "enrolled, and never heard"),
        Standing::Revoked => ("Revoked", "cut off"),
    }
}

fn read(session: &Session, reading: Reading) -> Read {
    let Reading { since, trouble, trouble_since, lag_ms, last } = reading;
    let time = |at| TimeTag { at, now: session.now };
    let lag = |ms: u64| if ms < 1000 { format!("{ms} ms") } else { format!("{} s", ms / 1000) };
    Read {
        since: since.map(time),
        trouble: trouble.map(Untrusted::of),
        trouble_since: trouble_since.map(time),
        last: last.map(time),
        lag: lag_ms.map(lag),
    }
}

fn tone(standing: Standing) -> Tone {
    match standing {
        Standing::Online => Tone::Well,
        Standing::Idle => Tone::Warning,
        Standing::Offline => Tone::Unwell,
        Standing::Destroyed | Standing::Upgraded | Standing::Unheard | Standing::Revoked => Tone::Quiet,
    }
}

fn state(standing: Standing) -> State {
    State { tone: tone(standing), word: standing.as_str().into() }
}

fn pids(pids: &[i64]) -> String {
    pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The page of an agent.
fn path_to(queueloc: &Queueloc) -> String {
    format!("{PATH}/known/{}", url_encoded(queueloc.as_str()))
}

/// What is about the account of a host's agent stands below this.
fn path_of_host(host: &HostName) -> String {
    format!("{PATH}/hosts/{}", url_encoded(host.as_str()))
}

fn host_of(session: &Session) -> Result<HostName> {
    HostName::parse(session.param("host")).map_err(|_| Error::not_found("There is no host of this name."))
}
