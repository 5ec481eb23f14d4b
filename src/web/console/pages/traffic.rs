//! Connections and exchanges of namespaces, as the broker tells them now.

use askama::Template;
use axum::response::Response;

use super::exchange;
use crate::base::Result;
use crate::base::text::url_encoded;
use crate::domain::traffic::{ExchangeNow, SeenConnection};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::state::App;

const CONNECTIONS: Table<SeenConnection> = Table {
    name: "connections",
    caption: "Connections of the users of namespaces",
    columns: &[
        Column { name: "connection", title: "Connection", cell: |seen| Cell::text(&seen.told.name) },
        Column {
            name: "namespace",
            title: "Namespace",
            cell: |seen| Cell::text(&seen.namespace).to(format!("/namespaces/{}", seen.namespace)),
        },
        Column { name: "user", title: "User", cell: |seen| Cell::text(&seen.told.user) },
        Column { name: "slot", title: "Slot", cell: |seen| Cell::number(u8::from(seen.slot)) },
        Column {
            name: "from",
            title: "From",
            cell: |seen| Cell::text(seen.told.peer_host.as_deref().unwrap_or_default()),
        },
        Column {
            name: "client",
            title: "Client",
            cell: |seen| Cell::text(seen.told.client_name.as_deref().unwrap_or_default()),
        },
        Column { name: "since", title: "Since", cell: |seen| Cell::time(seen.told.connected_at) },
        Column {
            name: "close",
            title: "Close",
            cell: |seen| Cell::text("close").to(format!("/connections/{}/close", url_encoded(&seen.told.name))),
        },
    ],
    sort: "since",
    select: None,
    empty: (
        "Nobody is connected as a user of a namespace. A connection may be some seconds old before the broker tells of it.",
        "keylender connection list",
    ),
};

const EXCHANGES: Table<ExchangeNow> = Table {
    name: "exchanges",
    caption: "Exchanges of namespaces",
    columns: &[
        Column {
            name: "exchange",
            title: "Exchange",
            cell: |seen| Cell::text(&seen.told.name).to(exchange::home(&seen.told.name)),
        },
        Column {
            name: "namespace",
            title: "Namespace",
            cell: |seen| Cell::text(&seen.namespace).to(format!("/namespaces/{}", seen.namespace)),
        },
        Column {
            name: "type",
            title: "Type",
            cell: |seen| Cell::text(seen.told.kind.as_deref().unwrap_or("not told")),
        },
        Column { name: "bindings", title: "Bindings", cell: |seen| Cell::number(seen.bindings.len()) },
    ],
    sort: "exchange",
    select: None,
    empty: (
        "No namespace has an exchange. Services declare them below `exchange/<namespace>/`.",
        "keylender connection exchanges",
    ),
};

#[derive(Template)]
#[template(path = "console/traffic.html")]
struct List {
    frame: Frame,
    table: View,
    equivalents: Equivalents,
}

pub async fn connections(app: App, session: Session) -> Result<Response> {
    match CONNECTIONS.show(&session, app.traffic.connections().await?).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&List {
            frame: Frame::of(&app, &session, "Connections").await,
            table,
            equivalents: Equivalents::of(&session, "GET", "/connections", None, &["connection", "list"]),
        })),
    }
}

pub async fn exchanges(app: App, session: Session) -> Result<Response> {
    match EXCHANGES.show(&session, app.traffic.exchanges_now().await?).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&List {
            frame: Frame::of(&app, &session, "Exchanges").await,
            table,
            equivalents: Equivalents::of(&session, "GET", "/exchanges", None, &["connection", "exchanges"]),
        })),
    }
}
