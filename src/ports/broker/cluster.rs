//! The broker as a whole: its version, its nodes, its alarms, its vhosts.

use async_trait::async_trait;

use super::metrics::Calls;
use crate::base::{Result, Timestamp, VhostName};

/// The version and name of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// RabbitMQ's version, such as `3.10.8`.
    pub version: String,
    /// The Erlang that it runs on, such as 25, if it says.
    pub erlang: Option<u32>,
    /// The cluster's name. Not an identity: it defaults to a host name (rabbitmq.md 2.7).
    pub cluster_name: String,
    /// What time it is there, in whole seconds, if it says.
    pub time: Option<Timestamp>,
}

/// A node of the broker's cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Its name, such as `rabbit@a`.
    pub name: String,
    /// Whether it runs.
    pub is_running: bool,
    /// Whether it was emptied for maintenance; only 4.0 and later say so.
    pub is_drained: bool,
    /// Nodes that it lost sight of; both sides may have gone on alone.
    pub partitions: Vec<String>,
    /// Its RabbitMQ, where the broker tells.
    pub version: Option<String>,
}

/// A reason for which the broker blocks publishers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    /// The node in trouble.
    pub node: String,
    /// What is short: `memory`, `disk`, ….
    pub resource: String,
}

/// How the broker is. Only questions.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// How our calls went so far.
    fn counts(&self) -> &Calls;

    /// What broker this is. The cheapest question that proves address, login and rights.
    async fn overview(&self) -> Result<Overview>;

    /// Whether there is such a vhost.
    async fn vhost_exists(&self, vhost: &VhostName) -> Result<bool>;

    /// The alarms in force; empty when all is well.
    async fn alarms(&self) -> Result<Vec<Alarm>>;

    /// Whether it can read this regular expression. What it can depends on its version: from Erlang 28 on they are PCRE2.
    async fn reads_pattern(&self, pattern: &str) -> Result<bool>;

    /// The nodes of its cluster.
    async fn nodes(&self) -> Result<Vec<Node>>;
}
