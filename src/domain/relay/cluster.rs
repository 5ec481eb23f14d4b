//! The cluster that the relay is on: nodes, what they complain of, and where the queues of its vhosts are.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::Relay;
use crate::base::text::pluralize;
use crate::base::{Kind, Result, VhostName};
use crate::ports::broker::{Alarm, Astray, Node, Place};

/// Queues that a sentence names.
const NAMED_MAX: usize = 5;

/// How the cluster is.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub nodes: Vec<Node>,
    /// Why it blocks publishers, if it does.
    pub alarms: Vec<Alarm>,
    pub queues: Vec<Placed>,
}

/// A queue of the relay, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub vhost: VhostName,
    pub place: Place,
    /// What is wrong with that.
    pub astray: Option<Astray>,
}

/// Something that is wrong with the cluster, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is about: `partition`, `publishers`, `queues`, `copies`, `nodes`.
    pub about: &'static str,
    /// Whether something does not work, or may not soon.
    pub is_out: bool,
    pub text: String,
}

/// What was found when it was looked last. A restart forgets it: the next look is a minute away.
#[derive(Debug, Default)]
pub(super) struct Looked(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    troubles: Arc<Vec<Trouble>>,
    /// Queues that were astray: those that still are at the next look are told of. A leader is elected within seconds.
    astray: BTreeSet<(VhostName, String)>,
}

impl Relay {
    /// Asks the broker how its cluster is, and where the queues of the declared vhosts are.
    ///
    /// # Errors
    /// `NotFound` when no relay is declared. Any error of the broker: nothing is said then.
    pub async fn cluster(&self) -> Result<Cluster> {
        let declared = self.declared()?;
        let (nodes, alarms) = tokio::try_join!(self.nodes(), async { self.cluster.get()?.alarms().await })?;
        let mut queues = Vec::new();
        for vhost in declared.profile.vhosts() {
            let places = match self.bus.get()?.places(&vhost.name).await {
                // It was not applied yet.
                Err(error) if error.kind() == Kind::NotFound => continue,
                places => places?,
            };
            queues.extend(places.into_iter().map(|place| {
                let astray = place.judge(&nodes);
                Placed { vhost: vhost.name.clone(), place, astray }
            }));
        }
        Ok(Cluster { nodes, alarms, queues })
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        self.cluster.get()?.nodes().await
    }

    /// Looks how the cluster is, for the alarms, and says what is wrong; empty for nothing. A single node is left alone: it
    /// answers, so it runs, and the list of its queues is dear.
    pub async fn look_at_cluster(&self) -> Result<String> {
        let mut cluster = match self.declared() {
            Ok(_) if self.nodes().await?.len() > 1 => self.cluster().await?,
            _ => Cluster::default(),
        };
        cluster.queues.retain(|placed| placed.astray.is_some());
        let astray = cluster.queues.iter().map(|placed| (placed.vhost.clone(), placed.place.name.clone())).collect();
        let mut looked = self.looked.0.lock().unwrap_or_else(PoisonError::into_inner);
        cluster
            .queues
            .retain(|Placed { vhost, place, .. }| looked.astray.contains(&(vhost.clone(), place.name.clone())));
        let troubles = cluster.troubles();
        let says: Vec<&str> = troubles.iter().map(|trouble| trouble.text.as_str()).collect();
        let says = says.join("; ");
        *looked = Found { troubles: Arc::new(troubles), astray };
        Ok(says)
    }

    /// What was wrong when it was looked last.
    pub fn troubles(&self) -> Arc<Vec<Trouble>> {
        Arc::clone(&self.looked.0.lock().unwrap_or_else(PoisonError::into_inner).troubles)
    }
}

impl Cluster {
    /// What is wrong, the worst first.
    pub fn troubles(&self) -> Vec<Trouble> {
        let trouble = |about, is_out, text| Trouble { about, is_out, text };
        let split: Vec<String> = self
            .nodes
            .iter()
            .filter(|node| !node.partitions.is_empty())
            .map(|node| format!("{} does not see {}", node.name, node.partitions.join(", ")))
            .collect();
        let stopped: Vec<&str> =
            self.nodes.iter().filter(|node| !node.is_running).map(|node| node.name.as_str()).collect();
        let blocked: Vec<String> =
            self.alarms.iter().map(|Alarm { node, resource }| format!("{resource} on {node}")).collect();
        let queues = |is_out: bool| {
            self.queues.iter().filter(move |placed| placed.astray.as_ref().is_some_and(|it| it.is_out() == is_out))
        };
        let mut troubles = Vec::new();
        if !split.is_empty() {
            let text = format!("nodes of the broker lost sight of each other: {}", split.join("; "));
            troubles.push(trouble("partition", true, text));
        }
        if !blocked.is_empty() {
            let text = format!("the broker blocks publishers, because it is short of {}", blocked.join(", "));
            troubles.push(trouble("publishers", true, text));
        }
        for (about, is_out, what) in [("queues", true, "cannot be used"), ("copies", false, "may be lost with a node")]
        {
            let count = queues(is_out).count();
            if count > 0 {
                let text = pluralize(count, "queue of the relay", "queues of the relay");
                troubles.push(trouble(about, is_out, format!("{text} {what}: {}", named(queues(is_out)))));
            }
        }
        if !stopped.is_empty() {
            troubles.push(trouble("nodes", false, format!("nodes of the broker do not run: {}", stopped.join(", "))));
        }
        troubles
    }
}

fn named<'a>(queues: impl Iterator<Item = &'a Placed>) -> String {
    let mut queues = queues.map(|Placed { vhost, place, astray }| {
        let what = astray.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{} in {vhost} ({what})", place.name)
    });
    let mut named: Vec<String> = queues.by_ref().take(NAMED_MAX).collect();
    let more = queues.count();
    named.extend((more > 0).then(|| format!("and {more} more")));
    named.join(", ")
}
