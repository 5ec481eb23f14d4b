//! Connections over the management API.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;

use super::call::{Call, segment};
use super::wire::lenient;
use super::{ManagementBroker, errors};
use crate::base::{AccountName, Error, Result};
use crate::ports::broker::connections::{Connection, Connections};
use crate::ports::broker::versions;

/// How often connections that are still there are closed once more, and when: statistics come within five seconds.
const LOOKS_MAX: usize = 20;
const LOOK_PAUSE: Duration = Duration::from_millis(500);

impl ManagementBroker {
    /// The connections of a user, by name only. Without statistics the broker lists what it has this moment.
    async fn connections_of(&self, user: &AccountName) -> Result<Vec<Connection>> {
        let path = "connections?disable_stats=true&columns=name,user";
        let mut all: Vec<Connection> = self.http.list::<ConnectionRow, _>(path).await?;
        all.retain(|connection| connection.user == user.as_str());
        Ok(all)
    }

    /// Closes the connections of a user one by one, for brokers that cannot at once. Such a broker (3.8.9) lists one at once and
    /// knows nothing of it under its name for some seconds: so it is asked until none is left of those that there were. Programs
    /// that came back meanwhile, with another password, are let be.
    async fn close_one_by_one(&self, user: &AccountName, reason: &str) -> Result<()> {
        let (mut failure, mut former) = (None, None);
        for _ in 0..LOOKS_MAX {
            let mut open = self.connections_of(user).await?;
            let former: &HashSet<String> =
                former.get_or_insert_with(|| open.iter().map(|connection| connection.name.clone()).collect());
            open.retain(|connection| former.contains(&connection.name));
            if open.is_empty() {
                return Ok(());
            }
            for connection in open {
                // One that cannot be closed keeps no other one open.
                failure = self.close_connection(&connection.name, reason).await.err().or(failure);
            }
            sleep(LOOK_PAUSE).await;
        }
        let left = || Error::unavailable("the broker does not close all connections of the user: try again");
        Err(failure.unwrap_or_else(left))
    }
}

#[async_trait]
impl Connections for ManagementBroker {
    async fn connections(&self) -> Result<Vec<Connection>> {
        let path = "connections?columns=name,user,vhost,node,connected_at,peer_host,client_properties.connection_name";
        self.http.list::<ConnectionRow, _>(path).await
    }

    async fn connection_count(&self, user: &AccountName) -> Result<usize> {
        Ok(self.connections_of(user).await?.len())
    }

    async fn close_connection(&self, name: &str, reason: &str) -> Result<bool> {
        self.http.delete(Call::delete(format!("connections/{}", segment(name)?)).because(reason)).await
    }

    async fn close_connections_of(&self, user: &AccountName, reason: &str) -> Result<()> {
        let call =
            Call::delete(format!("connections/username/{}", segment(user.as_str())?)).because(reason).if_offered();
        let answer = self.http.send(call).await?;
        match answer.status {
            status if versions::lacks_bulk_close(status) => self.close_one_by_one(user, reason).await,
            StatusCode::BAD_REQUEST => Err(errors::refused(&answer)),
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct ConnectionRow {
    name: String,
    #[serde(default, deserialize_with = "lenient")]
    user: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    vhost: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    node: Option<String>,
    #[serde(default)]
    connected_at: Value,
    #[serde(default)]
    client_properties: Value,
    #[serde(default, deserialize_with = "lenient")]
    peer_host: Option<String>,
}

impl From<ConnectionRow> for Connection {
    fn from(row: ConnectionRow) -> Self {
        Self {
            name: row.name,
            user: row.user.unwrap_or_default(),
            vhost: row.vhost,
            node: row.node,
            connected_at: versions::connected_at(Some(&row.connected_at)),
            client_name: row.client_properties.get("connection_name").and_then(Value::as_str).map(str::to_owned),
            peer_host: row.peer_host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::broker::management::wire::rows;

    #[test]
    fn a_connection_without_statistics_has_name_and_user_only() {
        let text = r#"[{"name":"127.0.0.1:1 -> 127.0.0.1:2","user":"u","vhost":"/","node":"r@h"},
            {"name":"c","user":"u","connected_at":1539604800054,"peer_host":"10.0.0.1",
             "client_properties":{"connection_name":"worker","capabilities":{}}}]"#;
        let (connections, _) = rows::<ConnectionRow, Connection>(text).unwrap();
        assert_eq!((connections[0].connected_at, &connections[0].client_name), (None, &None));
        assert_eq!(connections[1].client_name.as_deref(), Some("worker"));
        assert_eq!(connections[1].connected_at.unwrap().as_millis(), 1_539_604_800_054);
    }
}
