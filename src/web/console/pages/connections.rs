//! Connections of namespaces, as the broker has them now.

use askama::Template;
use axum::response::Response;

use crate::base::Result;
use crate::base::text::url_encoded;
use crate::domain::connections::NamespaceConnection;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::state::App;

const CONNECTIONS: Table<NamespaceConnection> = Table {
    name: "connections",
    caption: "Connections of the users of namespaces",
    columns: &[
        Column { name: "connection", title: "Connection", cell: |ours| Cell::text(&ours.connection.name) },
        Column {
            name: "namespace",
            title: "Namespace",
            cell: |ours| Cell::text(&ours.namespace).to(format!("/namespaces/{}", ours.namespace)),
        },
        Column { name: "user", title: "User", cell: |ours| Cell::text(&ours.connection.user) },
        Column { name: "slot", title: "Slot", cell: |ours| Cell::number(u8::from(ours.slot)) },
        Column {
            name: "from",
            title: "From",
            cell: |ours| Cell::text(ours.connection.peer_host.as_deref().unwrap_or_default()),
        },
        Column {
            name: "client",
            title: "Client",
            cell: |ours| Cell::text(ours.connection.client_name.as_deref().unwrap_or_default()),
        },
        Column { name: "since", title: "Since", cell: |ours| Cell::time(ours.connection.connected_at) },
        Column {
            name: "close",
            title: "Close",
            cell: |ours| Cell::text("close").to(format!("/connections/{}/close", url_encoded(&ours.connection.name))),
        },
    ],
    sort: "since",
    select: None,
    empty: (
        "Nobody is connected as a user of a namespace. A connection may be some seconds old before the broker tells of it.",
        "keylender connection list",
    ),
};

#[derive(Template)]
#[template(path = "console/list.html")]
struct List {
    frame: Frame,
    table: View,
    equivalents: Equivalents,
}

pub async fn list(app: App, session: Session) -> Result<Response> {
    match CONNECTIONS.show(&session, app.connections.list().await?).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&List {
            frame: Frame::of(&app, &session, "Connections").await,
            table,
            equivalents: Equivalents::of(&session, "GET", "/connections", None, &["connection", "list"]),
        })),
    }
}
