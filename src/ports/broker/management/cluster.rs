//! The broker as a whole over the management API.

use async_trait::async_trait;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::ManagementBroker;
use super::call::{Call, segment};
use super::wire::{self, lenient};
use crate::base::{Result, VhostName};
use crate::ports::broker::cluster::{Alarm, Cluster, Node, Overview};
use crate::ports::broker::metrics::Calls;
use crate::ports::broker::versions;

#[async_trait]
impl Cluster for ManagementBroker {
    async fn overview(&self) -> Result<Overview> {
        let answer = self.http.send(Call::get("overview?columns=rabbitmq_version,cluster_name,erlang_version")).await?;
        Ok(Overview { time: answer.time, ..wire::parse_one::<OverviewRow, _>(&answer)? })
    }

    fn counts(&self) -> &Calls {
        &self.http.calls
    }

    async fn vhost_exists(&self, vhost: &VhostName) -> Result<bool> {
        let path = format!("vhosts/{}?columns=name", segment(vhost.as_str())?);
        Ok(self.http.one::<Value, Value>(path).await?.is_some())
    }

    async fn alarms(&self) -> Result<Vec<Alarm>> {
        let answer = self.http.send(Call::health_check("health/checks/alarms")).await?;
        if let Some(alarms) = versions::alarms_of_health_check(answer.status, &answer.body) {
            return Ok(alarms);
        }
        let nodes = self.http.list::<Value, Value>("nodes?columns=name,mem_alarm,disk_free_alarm").await?;
        Ok(versions::alarms_of_nodes(&nodes))
    }

    async fn reads_pattern(&self, pattern: &str) -> Result<bool> {
        // A filter that fits every name, if it can be read: a broker refuses it otherwise, and 4.3.6 finds nothing by it.
        // There are always exchanges, and only of something it looks at the filter at all.
        let filter = segment(&format!("|{pattern}"))?;
        let path = format!("exchanges?page=1&page_size=1&columns=name&use_regex=true&name={filter}");
        let answer = self.http.send(Call::get(path)).await?;
        if answer.status == StatusCode::BAD_REQUEST {
            return Ok(false);
        }
        let Found { filtered_count, total_count } = wire::parse_one(&answer)?;
        Ok(filtered_count == total_count)
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        self.http.list::<NodeRow, _>("nodes?columns=name,running,being_drained,partitions,applications").await
    }
}

/// How many there are, and how many of them fit the filter.
#[derive(Deserialize)]
struct Found {
    filtered_count: u64,
    total_count: u64,
}

#[derive(Deserialize)]
pub(super) struct OverviewRow {
    rabbitmq_version: String,
    #[serde(default, deserialize_with = "lenient")]
    cluster_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    erlang_version: Option<String>,
}

impl From<OverviewRow> for Overview {
    fn from(row: OverviewRow) -> Self {
        let erlang = row.erlang_version.and_then(|version| version.split('.').next()?.parse().ok());
        Self { version: row.rabbitmq_version, erlang, cluster_name: row.cluster_name.unwrap_or_default(), time: None }
    }
}

#[derive(Deserialize)]
pub(super) struct NodeRow {
    name: String,
    #[serde(default, deserialize_with = "lenient")]
    running: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    being_drained: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    partitions: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    applications: Option<Vec<ApplicationRow>>,
}

/// A part of the broker that runs on a node.
#[derive(Deserialize)]
struct ApplicationRow {
    name: String,
    version: String,
}

impl From<NodeRow> for Node {
    fn from(row: NodeRow) -> Self {
        // A broker that does not say has no trouble to tell of.
        let (is_running, partitions) = (row.running.unwrap_or(true), row.partitions.unwrap_or_default());
        let broker = row.applications.into_iter().flatten().find(|application| application.name == "rabbit");
        Self {
            name: row.name,
            is_running,
            is_drained: row.being_drained.unwrap_or(false),
            partitions,
            version: broker.map(|broker| broker.version),
        }
    }
}
