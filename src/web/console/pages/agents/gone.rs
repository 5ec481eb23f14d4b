//! Agents that are gone, whose accounts could go.

use askama::Template;
use axum::response::Response;

use super::path_of_host;
use crate::base::Result;
use crate::domain::agents::{GoneAgent, Proposal};
use crate::domain::auth::scopes;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{ACT, Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::Untrusted;
use crate::web::state::App;

const PATH: &str = "/agents/gone";

/// An agent that is gone, and whether whoever looks may cut it off.
struct Row {
    agent: GoneAgent,
    may_revoke: bool,
}

const GONE: Table<Row> = Table {
    name: "gone-agents",
    caption: "Agents that are gone",
    columns: &[
        Column { name: "host", title: "Host", cell: |it| Cell::text(&it.agent.host) },
        Column { name: "last", title: "Last heard", cell: |it| Cell::time(it.agent.last) },
        Column { name: "why", title: "Why", cell: |it| Cell::text(&it.agent.why) },
        Column {
            name: ACT,
            title: "Only this one",
            cell: |it| {
                let path = || format!("{}/revoke?queue=delete", path_of_host(&it.agent.host));
                Cell::act("Revoke", it.may_revoke.then(path))
            },
        },
    ],
    sort: "host",
    select: None,
    empty: (
        "No agent is gone: each that was enrolled was heard lately, or DNS knows its host.",
        "keylender agent gone",
    ),
};

#[derive(Template)]
#[template(path = "console/agents_gone.html")]
struct Page {
    frame: Frame,
    brake: Option<Untrusted<'static>>,
    may_remove: bool,
    table: View,
    equivalents: Equivalents,
}

pub async fn gone(app: App, session: Session) -> Result<Response> {
    let Proposal { agents, brake } = app.agents.gone().await?;
    let may_remove = !agents.is_empty() && brake.is_none() && session.may(scopes::AGENT_REVOKE.for_all());
    let may_revoke = |agent: &GoneAgent| session.may(scopes::AGENT_REVOKE.on(agent.host.as_str()));
    let rows = agents.into_iter().map(|agent| Row { may_revoke: may_revoke(&agent), agent }).collect();
    match GONE.show(&session, rows).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Page {
            frame: Frame::of(&app, &session, "Agents that are gone").await,
            brake: brake.map(Untrusted::of),
            may_remove,
            table,
            equivalents: Equivalents::of(&session, "GET", PATH, None, &["agent", "gone"]),
        })),
    }
}
