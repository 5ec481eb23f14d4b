//! Our own API: exchanges of namespaces as the broker has them now, and where they hand messages on to.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing, text};
use crate::base::Result;
use crate::domain::auth::scopes;
use crate::domain::exchanges::{BoundExchange, ExchangeBinding};
use crate::web::state::App;

/// Exchanges or bindings in one answer. The console has a filter for more.
const LIST_MAX: usize = 10_000;

static LIST: Endpoint = endpoint(
    "listExchanges",
    "/exchanges",
    scopes::EXCHANGE_LIST,
    "Lists the exchanges of namespaces, with how much is bound to each.",
)
.command("connection exchanges")
.answers::<Exchanges>();
static SHOW: Endpoint = endpoint(
    "exchange",
    "/exchanges/<exchange>",
    scopes::EXCHANGE_SHOW,
    "Shows an exchange with its bindings: where it hands messages on to.",
)
.command("connection bindings <exchange>")
.answers::<ExchangeBody>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&LIST, nothing, list).serve(&SHOW, text("exchange"), show)
}

#[derive(Serialize, JsonSchema)]
struct Exchange {
    exchange: String,
    namespace: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// How many there are.
    bindings: usize,
}

impl From<BoundExchange> for Exchange {
    fn from(BoundExchange { namespace, exchange, bindings }: BoundExchange) -> Self {
        Self {
            exchange: exchange.name,
            namespace: namespace.to_string(),
            kind: exchange.kind,
            bindings: bindings.len(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Exchanges {
    exchanges: Vec<Exchange>,
    /// How many there are, also of those that this list has no room for.
    count: usize,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    let all = app.exchanges.list_bound().await?;
    let count = all.len();
    Reply::json(&Exchanges { exchanges: all.into_iter().take(LIST_MAX).map(Exchange::from).collect(), count })
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Binding {
    destination: String,
    /// `queue` or `exchange`.
    destination_type: &'static str,
    /// Whose the destination is; not there when no namespace has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    routing_key: String,
}

impl From<ExchangeBinding> for Binding {
    fn from(ExchangeBinding { destination, namespace, routing_key }: ExchangeBinding) -> Self {
        Self {
            destination_type: destination.kind(),
            destination: destination.name().to_owned(),
            namespace: namespace.map(|namespace| namespace.to_string()),
            routing_key,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct ExchangeBody {
    exchange: String,
    namespace: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    bindings: Vec<Binding>,
    /// How many there are, also of those that this list has no room for.
    count: usize,
}

impl From<BoundExchange> for ExchangeBody {
    fn from(BoundExchange { namespace, exchange, bindings }: BoundExchange) -> Self {
        Self {
            exchange: exchange.name,
            namespace: namespace.to_string(),
            kind: exchange.kind,
            count: bindings.len(),
            bindings: bindings.into_iter().take(LIST_MAX).map(Binding::from).collect(),
        }
    }
}

async fn show(app: App, _: Call, name: String) -> Result<Reply> {
    Reply::json(&ExchangeBody::from(app.exchanges.show(&name).await?))
}
