//! One exchange, as the broker has it now, and where it hands messages on to.

use askama::Template;
use axum::response::Response;

use crate::base::Result;
use crate::base::text::url_encoded;
use crate::domain::exchanges::{BoundExchange, ExchangeBinding};
use crate::ports::broker::Destination;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::Untrusted;
use crate::web::state::App;

const BINDINGS: Table<ExchangeBinding> = Table {
    name: "bindings",
    caption: "What is bound to it",
    columns: &[
        Column { name: "to", title: "To", cell: destination },
        Column { name: "kind", title: "Kind", cell: |seen| Cell::text(seen.destination.kind()) },
        Column { name: "namespace", title: "Namespace", cell: owner },
        Column { name: "key", title: "Routing key", cell: |seen| Cell::text(&seen.routing_key) },
    ],
    sort: "to",
    select: None,
    empty: ("Nothing is bound to it: what is published to it is thrown away, unless it has an alternate exchange.", ""),
};

#[derive(Template)]
#[template(path = "console/exchange.html")]
struct Page {
    frame: Frame,
    name: Untrusted<'static>,
    namespace: String,
    kind: Untrusted<'static>,
    bindings: usize,
    table: View,
    equivalents: Equivalents,
}

/// The page of an exchange.
pub(super) fn path_to(name: &str) -> String {
    format!("/exchanges/{}", url_encoded(name))
}

/// Only what a namespace has is shown on a page of its own.
fn destination(seen: &ExchangeBinding) -> Cell {
    let cell = Cell::text(seen.destination.name());
    match (&seen.namespace, &seen.destination) {
        (None, _) => cell,
        (Some(_), Destination::Queue(name)) => cell.to(format!("/queues/{}", url_encoded(name))),
        (Some(_), Destination::Exchange(name)) => cell.to(path_to(name)),
    }
}

fn owner(seen: &ExchangeBinding) -> Cell {
    match &seen.namespace {
        Some(namespace) => Cell::text(namespace).to(format!("/namespaces/{namespace}")),
        None => Cell::text("none"),
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let BoundExchange { namespace, exchange, bindings } = app.exchanges.show(session.param("exchange")).await?;
    let count = bindings.len();
    match BINDINGS.show(&session, bindings).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Page {
            frame: Frame::of(&app, &session, "Exchange").await,
            namespace: namespace.to_string(),
            kind: Untrusted::of(exchange.kind.unwrap_or_else(|| "not told".to_owned())),
            bindings: count,
            table,
            equivalents: Equivalents::of(
                &session,
                "GET",
                &path_to(&exchange.name),
                None,
                &["connection", "bindings", &exchange.name],
            ),
            name: Untrusted::of(exchange.name),
        })),
    }
}
