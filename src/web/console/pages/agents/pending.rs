//! Agents that wait to be let in: who they say they are, what DNS says, and where one decides about them.

use askama::Template;
use axum::response::Response;

use crate::base::Result;
use crate::base::text::url_encoded;
use crate::domain::agents::PendingAgent;
use crate::domain::auth::scopes;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{ACT, Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::Tone;
use crate::web::state::App;

const PATH: &str = "/agents/pending";

/// An agent that waits, and whether whoever looks may decide about it.
struct Row {
    agent: PendingAgent,
    may_decide: bool,
}

impl Row {
    /// The page that decides so.
    fn path_to(&self, what: &str) -> String {
        format!("{PATH}/{}/{what}", url_encoded(self.agent.queueloc.as_str()))
    }

    /// Where it asked from, where that is known; else where it says that it is.
    fn place(&self) -> String {
        match self.agent.from {
            Some(from) => from.to_string(),
            None => {
                let says: Vec<String> = self.agent.addresses.iter().map(ToString::to_string).collect();
                if says.is_empty() { String::new() } else { format!("says {}", says.join(", ")) }
            }
        }
    }
}

const WAITING: Table<Row> = Table {
    name: "pending-agents",
    caption: "Agents that wait",
    columns: &[
        Column { name: "queueloc", title: "Queue location", cell: |it| Cell::text(&it.agent.queueloc) },
        Column { name: "name", title: "Calls its host", cell: |it| Cell::text(&it.agent.name) },
        Column {
            name: "dns",
            title: "DNS says",
            cell: |it| match &it.agent.looked {
                Some(looked) => Cell::text(&looked.verdict),
                None => Cell::text("not asked yet"),
            },
        },
        Column { name: "from", title: "From", cell: |it| Cell::text(it.place()) },
        Column { name: "count", title: "Times", cell: |it| Cell::number(it.agent.count) },
        Column { name: "first", title: "First", cell: |it| Cell::time(it.agent.first) },
        Column { name: "last", title: "Last", cell: |it| Cell::time(it.agent.last) },
        Column { name: "version", title: "Version", cell: |it| Cell::text(&it.agent.version) },
        Column {
            name: "decision",
            title: "Decision",
            cell: |it| match &it.agent.refused {
                Some(refused) => Cell::text(format!("refused by {}: {}", refused.by, refused.reason)),
                None => Cell::state(Tone::Warning, "waits"),
            },
        },
        Column {
            name: ACT,
            title: "Let in",
            cell: |it| Cell::act("Approve", it.may_decide.then(|| it.path_to("approve"))),
        },
        Column {
            name: ACT,
            title: "Keep out",
            cell: |it| {
                let may_refuse = it.may_decide && it.agent.refused.is_none();
                Cell::act("Refuse", may_refuse.then(|| it.path_to("refuse")))
            },
        },
    ],
    sort: "-last",
    select: None,
    empty: ("Nobody waits: every agent that knocked lately is in the whitelist.", "keylender agent pending"),
};

#[derive(Template)]
#[template(path = "console/agents_pending.html")]
struct Page {
    frame: Frame,
    table: View,
    equivalents: Equivalents,
}

pub async fn pending(app: App, session: Session) -> Result<Response> {
    let may_decide = session.may(scopes::AGENT_ADMIT);
    let rows = app.agents.pending().await?.into_iter().map(|agent| Row { agent, may_decide }).collect();
    match WAITING.show(&session, rows).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Page {
            frame: Frame::of(&app, &session, "Pending agents").await,
            table,
            equivalents: Equivalents::of(&session, "GET", PATH, None, &["agent", "pending"]),
        })),
    }
}
