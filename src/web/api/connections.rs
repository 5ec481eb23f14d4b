//! Our own API: connections of namespaces as the broker has them now, and closing one by hand.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing};
use crate::base::{Result, Timestamp};
use crate::domain::actions::connections::CLOSE;
use crate::domain::auth::scopes;
use crate::domain::connections::NamespaceConnection;
use crate::web::state::App;

/// Connections in one answer. The console has a filter for more.
const LIST_MAX: usize = 10_000;

static LIST: Endpoint = endpoint(
    "listConnections",
    "/connections",
    scopes::CONNECTION_LIST,
    "Lists the connections of the users of namespaces.",
)
.command("connection list")
.answers::<Connections>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&LIST, nothing, list).act(&CLOSE)
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

impl From<NamespaceConnection> for Connection {
    fn from(NamespaceConnection { namespace, slot, connection }: NamespaceConnection) -> Self {
        Self {
            connection: connection.name,
            namespace: namespace.to_string(),
            user: connection.user,
            slot: slot.into(),
            peer_host: connection.peer_host,
            client_name: connection.client_name,
            connected_at: connection.connected_at,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Connections {
    connections: Vec<Connection>,
    /// How many there are, also of those that this list has no room for.
    count: usize,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    let all = app.connections.list().await?;
    let count = all.len();
    Reply::json(&Connections { connections: all.into_iter().take(LIST_MAX).map(Connection::from).collect(), count })
}
