//! Connections of the model.

use async_trait::async_trait;

use super::MemoryBroker;
use crate::base::{AccountName, Result};
use crate::ports::broker::connections::{Connection, Connections};
use crate::ports::broker::names::require_reachable;
use crate::ports::broker::versions::readable_reason;

#[async_trait]
impl Connections for MemoryBroker {
    async fn connections(&self) -> Result<Vec<Connection>> {
        self.request("GET connections".to_owned(), |state| {
            let connected_at = |told: &Connection| told.connected_at.filter(|_| !state.keeps_no_statistics);
            let told = |told: &Connection| Connection { connected_at: connected_at(told), ..told.clone() };
            Ok(state.connections.values().map(told).collect())
        })
    }

    async fn connection_count(&self, user: &AccountName) -> Result<usize> {
        self.request(format!("GET connections of {user}"), |state| {
            Ok(state.connections.values().filter(|connection| connection.user == user.as_str()).count())
        })
    }

    async fn close_connection(&self, name: &str, reason: &str) -> Result<bool> {
        require_reachable(name)?;
        self.request(format!("DELETE connection {name}"), |state| {
            Ok(state.close(&readable_reason(reason), |c| c.name == name) > 0)
        })
    }

    async fn close_connections_of(&self, user: &AccountName, reason: &str) -> Result<()> {
        self.request(format!("DELETE connections of {user}"), |state| {
            state.close(&readable_reason(reason), |connection| connection.user == user.as_str());
            Ok(())
        })
    }
}
