//! The cluster that the relay is on: its nodes, and where the queues of the relay are.

use askama::Template;
use axum::response::Response;

use crate::base::Result;
use crate::base::text::capitalized;
use crate::domain::relay::Placed;
use crate::ports::broker::Node;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{State, Tone, Untrusted};
use crate::web::state::App;

const QUEUES: Table<Placed> = Table {
    name: "queues",
    caption: "Queues of the relay",
    columns: &[
        Column { name: "queue", title: "Queue", cell: |it| Cell::text(&it.place.name) },
        Column { name: "vhost", title: "Vhost", cell: |it| Cell::text(&it.vhost) },
        Column {
            name: "state",
            title: "State",
            cell: |it| match &it.astray {
                Some(astray) if astray.is_out() => Cell::state(Tone::Unwell, "cannot be used"),
                Some(_) => Cell::state(Tone::Warning, "lacks a copy"),
                None => Cell::state(Tone::Well, "well"),
            },
        },
        Column {
            name: "trouble",
            title: "Because",
            cell: |it| Cell::text(it.astray.as_ref().map(ToString::to_string).unwrap_or_default()),
        },
        Column { name: "type", title: "Type", cell: |it| Cell::text(it.place.kind.as_deref().unwrap_or_default()) },
        Column {
            name: "leader",
            title: "Leader",
            cell: |it| Cell::text(it.place.leader.as_deref().unwrap_or_default()),
        },
        Column { name: "members", title: "Copies on", cell: |it| Cell::text(it.place.members.join(", ")) },
        Column { name: "online", title: "In step on", cell: |it| Cell::text(it.place.online.join(", ")) },
    ],
    sort: "queue",
    select: None,
    empty: ("The vhosts of the relay have no queue.", "keylender relay cluster"),
};

#[derive(Template)]
#[template(path = "console/relay_cluster.html")]
struct Page {
    frame: Frame,
    troubles: Vec<Untrusted<'static>>,
    nodes: Vec<NodeRow>,
    table: View,
    equivalents: Equivalents,
}

struct NodeRow {
    name: Untrusted<'static>,
    state: State,
    version: Untrusted<'static>,
}

impl From<Node> for NodeRow {
    fn from(node: Node) -> Self {
        let (tone, word) = match &node {
            Node { is_running: false, .. } => (Tone::Warning, "does not run"),
            Node { partitions, .. } if !partitions.is_empty() => (Tone::Unwell, "does not see all others"),
            Node { is_drained: true, .. } => (Tone::Quiet, "drained"),
            _ => (Tone::Well, "runs"),
        };
        Self {
            name: Untrusted::of(node.name),
            state: State { tone, word: word.into() },
            version: Untrusted::of(node.version.unwrap_or_else(|| "not told".to_owned())),
        }
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let cluster = app.relay.cluster().await?;
    let troubles = cluster.troubles().into_iter().map(|trouble| Untrusted::of(capitalized(&trouble.text))).collect();
    match QUEUES.show(&session, cluster.queues).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Page {
            frame: Frame::of(&app, &session, "Cluster of the relay").await,
            troubles,
            nodes: cluster.nodes.into_iter().map(NodeRow::from).collect(),
            table,
            equivalents: Equivalents::of(&session, "GET", "/relay/cluster", None, &["relay", "cluster"]),
        })),
    }
}
