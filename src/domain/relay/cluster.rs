//! The cluster that the relay is on: nodes, what they complain of, and where the queues of its vhosts are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Relay;
use crate::base::text::pluralize;
use crate::base::{Error, Kind, Result, Timestamp, VhostName};
use crate::ports::broker::{Alarm, Astray, Node, Place};

/// Queues that are told of: those that are astray are among them, unless nearly all are.
pub const QUEUES_MAX: usize = 1000;
/// For the lists of queues of all vhosts. What does not come by then is not told: the loop has other things to do.
const QUEUES_DEADLINE: Duration = Duration::from_secs(10);
/// Two looks that agree are at least so far apart.
const LOOKS_APART_MIN: Duration = Duration::from_secs(30);
/// Queues that a sentence names.
const NAMED_MAX: usize = 5;

/// How the cluster is.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub nodes: Vec<Node>,
    /// Why it blocks publishers, if it does.
    pub alarms: Vec<Alarm>,
    /// At most [`QUEUES_MAX`], those that are astray first.
    pub queues: Vec<Placed>,
    /// How many more there are.
    pub left_out: usize,
    /// Vhosts of whose queues the broker did not tell.
    pub untold: Vec<VhostName>,
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
    /// What it is about: one of [`Trouble::ABOUT`].
    pub about: &'static str,
    /// Whether something does not work, or may not soon.
    pub is_out: bool,
    pub text: String,
}

impl Trouble {
    /// All that one can be about.
    pub const ABOUT: [&str; 6] = ["copies", "nodes", "partition", "publishers", "queues", "untold"];
}

/// What was found when it was looked last. A restart forgets it: the next look is a minute away.
#[derive(Debug, Default)]
pub(super) struct Looked(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    at: Option<Timestamp>,
    troubles: Arc<Vec<Trouble>>,
    /// Queues that were astray, and whether they were of no use. Those that still are at the next look are told of: a leader
    /// is elected within seconds.
    astray: BTreeMap<(VhostName, String), bool>,
}

impl Relay {
    /// Asks the broker how its cluster is, and where the queues of the declared vhosts are.
    ///
    /// # Errors
    /// `NotFound` when no relay is declared. Any error of the broker about its nodes; what it does not say of the queues of a
    /// vhost is said by `untold`.
    pub async fn cluster(&self) -> Result<Cluster> {
        let declared = self.declared()?;
        let cluster = self.cluster.get()?;
        let (nodes, alarms) = tokio::try_join!(cluster.nodes(), cluster.alarms())?;
        let mut found = Cluster { nodes, alarms, ..Cluster::default() };
        let (bus, by) = (self.bus.get()?, Instant::now() + QUEUES_DEADLINE);
        let late = |_| Err(Error::unavailable("the broker takes too long to list queues"));
        for vhost in declared.profile.vhosts() {
            match timeout_at(by, bus.places(&vhost.name)).await.unwrap_or_else(late) {
                Ok(places) => found.queues.extend(places.into_iter().map(|place| {
                    let astray = place.judge(&found.nodes);
                    Placed { vhost: vhost.name.clone(), place, astray }
                })),
                // It was not applied yet.
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => {
                    tracing::warn!("could not list the queues of {}: {}", vhost.name, error.chain());
                    found.untold.push(vhost.name.clone());
                }
            }
        }
        found
            .queues
            .sort_by_key(|placed| (placed.astray.is_none(), !placed.astray.as_ref().is_some_and(Astray::is_out)));
        found.left_out = found.queues.len().saturating_sub(QUEUES_MAX);
        found.queues.truncate(QUEUES_MAX);
        Ok(found)
    }

    /// Looks how the cluster is, for the alarms, and says what is wrong; empty for nothing. A single node is left alone: it
    /// answers, so it runs.
    ///
    /// # Errors
    /// `Unavailable` when the broker does not say how its nodes are.
    pub async fn look_at_cluster(&self) -> Result<String> {
        let cluster = match self.declared() {
            Ok(_) if self.cluster.get()?.nodes().await?.len() > 1 => self.cluster().await?,
            _ => Cluster::default(),
        };
        Ok(self.looked.note(cluster, self.store.clock().now()))
    }

    /// What was wrong when it was looked last.
    pub fn troubles(&self) -> Arc<Vec<Trouble>> {
        Arc::clone(&self.looked.0.lock().unwrap_or_else(PoisonError::into_inner).troubles)
    }
}

impl Looked {
    /// Takes note of a look, and says what is wrong with what was astray at the one before, too.
    fn note(&self, mut cluster: Cluster, at: Timestamp) -> String {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A pass that failed is repeated within seconds: that is no second look.
        if last.at.is_some_and(|before| before.is_within(LOOKS_APART_MIN, at)) {
            return says(&last.troubles);
        }
        cluster.queues.retain(|placed| placed.astray.is_some());
        let key = |placed: &Placed| (placed.vhost.clone(), placed.place.name.clone());
        let is_out = |placed: &Placed| placed.astray.as_ref().is_some_and(Astray::is_out);
        let astray = cluster.queues.iter().map(|placed| (key(placed), is_out(placed))).collect();
        let was = |placed: &Placed| last.astray.get(&key(placed)).copied();
        cluster.queues.retain(|placed| was(placed).is_some_and(|was_out| was_out || !is_out(placed)));
        *last = Found { at: Some(at), troubles: Arc::new(cluster.troubles()), astray };
        says(&last.troubles)
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
        if !self.untold.is_empty() {
            let vhosts = self.untold.iter().map(VhostName::as_str).collect::<Vec<_>>().join(", ");
            troubles.push(trouble("untold", false, format!("the broker does not list the queues of {vhosts}")));
        }
        if !stopped.is_empty() {
            troubles.push(trouble("nodes", false, format!("nodes of the broker do not run: {}", stopped.join(", "))));
        }
        troubles
    }
}

fn says(troubles: &[Trouble]) -> String {
    troubles.iter().map(|trouble| trouble.text.as_str()).collect::<Vec<_>>().join("; ")
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
