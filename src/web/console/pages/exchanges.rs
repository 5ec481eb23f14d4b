//! Exchanges of namespaces, as the broker has them now.

use askama::Template;
use axum::response::Response;

use super::exchange;
use crate::base::Result;
use crate::domain::exchanges::BoundExchange;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::state::App;

const EXCHANGES: Table<BoundExchange> = Table {
    name: "exchanges",
    caption: "Exchanges of namespaces",
    columns: &[
        Column {
            name: "exchange",
            title: "Exchange",
            cell: |ours| Cell::text(&ours.exchange.name).to(exchange::path_to(&ours.exchange.name)),
        },
        Column {
            name: "namespace",
            title: "Namespace",
            cell: |ours| Cell::text(&ours.namespace).to(format!("/namespaces/{}", ours.namespace)),
        },
        Column {
            name: "type",
            title: "Type",
            cell: |ours| Cell::text(ours.exchange.kind.as_deref().unwrap_or("not told")),
        },
        Column { name: "bindings", title: "Bindings", cell: |ours| Cell::number(ours.bindings.len()) },
    ],
    sort: "exchange",
    select: None,
    empty: (
        "No namespace has an exchange. Services declare them below `exchange/<namespace>/`.",
        "keylender connection exchanges",
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
    match EXCHANGES.show(&session, app.exchanges.list_bound().await?).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&List {
            frame: Frame::of(&app, &session, "Exchanges").await,
            table,
            equivalents: Equivalents::of(&session, "GET", "/exchanges", None, &["connection", "exchanges"]),
        })),
    }
}
