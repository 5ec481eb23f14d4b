//! Our own API: connections, exchanges and queues of namespaces as the broker tells them now, and ending them by hand.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Params, Reply, Routes, endpoint, nothing};
use crate::base::{Result, Timestamp};
use crate::domain::actions::{connections, queues};
use crate::domain::auth::scopes;
use crate::domain::traffic::{ExchangeNow, QueueNow, SeenBinding, SeenConnection};
use crate::web::state::App;

/// Connections, exchanges or bindings in one answer. The console has a filter for more.
const LIST_MAX: usize = 10_000;

static CONNECTIONS: Endpoint = endpoint(
    "listConnections",
    "/connections",
    scopes::CONNECTION_LIST,
    "Lists the connections of the users of namespaces.",
)
.command("connection list")
.answers::<Connections>();
static EXCHANGES: Endpoint = endpoint(
    "listExchanges",
    "/exchanges",
    scopes::EXCHANGE_LIST,
    "Lists the exchanges of namespaces, with how much is bound to each.",
)
.command("connection exchanges")
.answers::<Exchanges>();
static EXCHANGE: Endpoint = endpoint(
    "exchange",
    "/exchanges/<exchange>",
    scopes::EXCHANGE_SHOW,
    "Shows an exchange with its bindings: where it hands messages on to.",
)
.command("connection bindings <exchange>")
.answers::<BoundExchange>();
static QUEUE: Endpoint = endpoint(
    "queue",
    "/queues/<queue>",
    scopes::QUEUE_SHOW,
    "Shows a queue as the broker has it now, with its last counts.",
)
.command("queue show <queue>")
.answers::<Queue>();

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&CONNECTIONS, nothing, list_connections)
        .act(&connections::CLOSE)
        .serve(&EXCHANGES, nothing, exchanges)
        .serve(&EXCHANGE, |_, params| named(params, "exchange"), exchange)
        .serve(&QUEUE, |_, params| named(params, "queue"), queue)
        .act(&queues::PURGE)
        .act(&queues::DELETE)
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn named(params: &Params, name: &str) -> Result<String> {
    Ok(params.get(name).cloned().unwrap_or_default())
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Connection {
    connection: String,
    namespace: String,
    user: String,
    /// With the password of which slot of the namespace.
    slot: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_at: Option<Timestamp>,
}

impl From<SeenConnection> for Connection {
    fn from(SeenConnection { namespace, slot, told }: SeenConnection) -> Self {
        Self {
            connection: told.name,
            namespace: namespace.to_string(),
            user: told.user,
            slot: slot.into(),
            peer_host: told.peer_host,
            client_name: told.client_name,
            connected_at: told.connected_at,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Connections {
    connections: Vec<Connection>,
    /// How many there are, also of those that this list has no room for.
    count: usize,
}

async fn list_connections(app: App, _: Call, (): ()) -> Result<Reply> {
    let all = app.traffic.connections().await?;
    let count = all.len();
    Reply::json(&Connections { connections: all.into_iter().take(LIST_MAX).map(Connection::from).collect(), count })
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

impl From<ExchangeNow> for Exchange {
    fn from(ExchangeNow { namespace, told, bindings }: ExchangeNow) -> Self {
        Self { exchange: told.name, namespace: namespace.to_string(), kind: told.kind, bindings: bindings.len() }
    }
}

#[derive(Serialize, JsonSchema)]
struct Exchanges {
    exchanges: Vec<Exchange>,
    /// How many there are, also of those that this list has no room for.
    count: usize,
}

async fn exchanges(app: App, _: Call, (): ()) -> Result<Reply> {
    let all = app.traffic.exchanges_now().await?;
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

impl From<SeenBinding> for Binding {
    fn from(SeenBinding { destination, namespace, routing_key }: SeenBinding) -> Self {
        Self {
            destination_type: destination.kind(),
            destination: destination.name().to_owned(),
            namespace: namespace.map(|namespace| namespace.to_string()),
            routing_key,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct BoundExchange {
    exchange: String,
    namespace: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    bindings: Vec<Binding>,
    /// How many there are, also of those that this list has no room for.
    count: usize,
}

impl From<ExchangeNow> for BoundExchange {
    fn from(ExchangeNow { namespace, told, bindings }: ExchangeNow) -> Self {
        Self {
            exchange: told.name,
            namespace: namespace.to_string(),
            kind: told.kind,
            count: bindings.len(),
            bindings: bindings.into_iter().take(LIST_MAX).map(Binding::from).collect(),
        }
    }
}

async fn exchange(app: App, _: Call, name: String) -> Result<Reply> {
    Reply::json(&BoundExchange::from(app.traffic.exchange(&name).await?))
}

#[derive(Serialize, JsonSchema)]
struct Count {
    at: Timestamp,
    messages: u64,
}

#[derive(Serialize, JsonSchema)]
struct Queue {
    queue: String,
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
    /// Messages that wait for a consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<u64>,
    /// Messages that a consumer has in hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    unacknowledged: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumers: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// What the monitor counted last.
    counts: Vec<Count>,
}

impl From<QueueNow> for Queue {
    fn from(QueueNow { namespace, told, seen }: QueueNow) -> Self {
        let counts = seen.map(|seen| seen.counts).unwrap_or_default();
        Self {
            queue: told.name,
            namespace: namespace.to_string(),
            messages: told.messages,
            ready: told.ready,
            unacknowledged: told.unacknowledged,
            bytes: told.bytes,
            consumers: told.consumers,
            state: told.state,
            kind: told.kind,
            counts: counts.into_iter().map(|(at, messages)| Count { at, messages }).collect(),
        }
    }
}

async fn queue(app: App, _: Call, name: String) -> Result<Reply> {
    Reply::json(&Queue::from(app.traffic.queue(&name).await?))
}
