//! Connections of the broker's clients.

use async_trait::async_trait;

use crate::base::{AccountName, Result, Timestamp};

/// A connection as the broker tells it. A new one may be missing from the list for five seconds (rabbitmq.md 2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// The broker's name for it, such as `10.1.2.3:40000 -> 10.1.2.4:5672`.
    pub name: String,
    /// Who logged in.
    pub user: String,
    /// Where to.
    pub vhost: Option<String>,
    /// The broker's node that holds it.
    pub node: Option<String>,
    /// Since when; not told by a broker that collects no statistics.
    pub connected_at: Option<Timestamp>,
    /// The name the client gave itself.
    pub client_name: Option<String>,
    /// The address it comes from.
    pub peer_host: Option<String>,
}

/// The connections of all clients.
#[async_trait]
pub trait Connections: Send + Sync {
    /// All connections of all users.
    async fn connections(&self) -> Result<Vec<Connection>>;

    /// How many connections a user has, those too new to be in [`Self::connections`] among them.
    async fn connection_count(&self, user: &AccountName) -> Result<usize>;

    /// Closes one connection; its client reads the reason, in ASCII: other letters are escaped. False when there was none.
    async fn close_connection(&self, name: &str, reason: &str) -> Result<bool>;

    /// Closes every connection of a user, also those too new to be listed. No such user is no error.
    async fn close_connections_of(&self, user: &AccountName, reason: &str) -> Result<()>;
}
