//! The model as a whole.

use async_trait::async_trait;

use super::{MemoryBroker, NODE};
use crate::base::{Result, VhostName};
use crate::ports::broker::cluster::{Alarm, Cluster, Node, Overview};
use crate::ports::broker::metrics::Calls;
use crate::ports::broker::versions::Version;

#[async_trait]
impl Cluster for MemoryBroker {
    async fn overview(&self) -> Result<Overview> {
        self.request("GET overview".to_owned(), |state| {
            let (version, cluster_name) = (state.version.to_string(), "memory".to_owned());
            Ok(Overview { version, erlang: Some(erlang(state.version)), cluster_name, time: state.time })
        })
    }

    fn counts(&self) -> &Calls {
        &self.calls
    }

    async fn vhost_exists(&self, vhost: &VhostName) -> Result<bool> {
        self.request(format!("GET vhost {vhost}"), |state| Ok(state.vhosts.contains(vhost.as_str())))
    }

    async fn alarms(&self) -> Result<Vec<Alarm>> {
        self.request("GET alarms".to_owned(), |state| Ok(state.alarms.clone()))
    }

    async fn reads_pattern(&self, pattern: &str) -> Result<bool> {
        self.request("GET exchanges by pattern".to_owned(), |state| Ok(state.reads(pattern)))
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        self.request("GET nodes".to_owned(), |state| {
            let node = |name: &str, is_running, partitions: &[String]| Node {
                name: name.to_owned(),
                is_running,
                is_drained: false,
                partitions: partitions.to_vec(),
                version: Some(state.version.to_string()).filter(|_| is_running),
            };
            let further = state.further_nodes.iter().map(|(name, is_running)| node(name, *is_running, &[]));
            Ok([node(NODE, true, &state.partitions)].into_iter().chain(further).collect())
        })
    }
}

/// The Erlang that Debian has beside this version (docs/brokers.md).
fn erlang(version: Version) -> u32 {
    match (version.major, version.minor) {
        series if series < (3, 10) => 23,
        series if series < (4, 0) => 25,
        series if series < (4, 2) => 27,
        _ => 29,
    }
}
