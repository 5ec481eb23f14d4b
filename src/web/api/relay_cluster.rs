//! Our own API: the cluster that the relay is on.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing};
use crate::base::{Result, VhostName};
use crate::domain::auth::scopes;
use crate::domain::relay::{Placed, Trouble};
use crate::ports::broker::{Alarm, Node};
use crate::web::state::App;

static CLUSTER: Endpoint = endpoint(
    "relayCluster",
    "/relay/cluster",
    scopes::RELAY_READ,
    "Says how the nodes of the broker are, and on which of them the queues of the relay have copies.",
)
.command("relay cluster")
.answers::<Cluster>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&CLUSTER, nothing, cluster)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    nodes: Vec<NodeBody>,
    /// At most 1,000, those with trouble first.
    queues: Vec<QueueBody>,
    /// How many more there are.
    left_out: usize,
    /// What is wrong, in words, the worst first.
    troubles: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct NodeBody {
    node: String,
    running: bool,
    /// Emptied for maintenance; only RabbitMQ 4.0 and later say so.
    drained: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Nodes that it does not see.
    partitions: Vec<String>,
    /// What it is short of, so that the broker blocks publishers.
    alarms: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct QueueBody {
    vhost: VhostName,
    queue: String,
    /// `classic`, `quorum` or `stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    /// The node that leads it, or has it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
    /// Nodes that it has copies on.
    members: Vec<String>,
    /// Those that can be reached and are in step.
    online: Vec<String>,
    /// What is wrong with that.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

impl From<Placed> for QueueBody {
    fn from(Placed { vhost, place, astray }: Placed) -> Self {
        Self {
            vhost,
            queue: place.name,
            r#type: place.kind,
            leader: place.leader,
            members: place.members,
            online: place.online,
            trouble: astray.map(|astray| astray.to_string()),
        }
    }
}

async fn cluster(app: App, _: Call, (): ()) -> Result<Reply> {
    let found = app.relay.cluster().await?;
    let troubles = found.troubles().into_iter().map(|Trouble { text, .. }| text).collect();
    let nodes = found.nodes.into_iter().map(|Node { name, is_running, is_drained, partitions, version }| {
        let alarms = found.alarms.iter().filter(|alarm| alarm.node == name);
        let alarms = alarms.map(|Alarm { resource, .. }| resource.clone()).collect();
        NodeBody { node: name, running: is_running, drained: is_drained, version, partitions, alarms }
    });
    let nodes = nodes.collect();
    let (queues, left_out) = (found.queues.into_iter().map(QueueBody::from).collect(), found.left_out);
    Reply::json(&Cluster { nodes, queues, left_out, troubles })
}
