//! On which nodes of a cluster a queue and its copies are. How versions tell it, and how it is judged, was seen on clusters of
//! three nodes, each killed and frozen in turn (docs/brokers.md).

use super::cluster::Node;

/// Where a queue is, as the broker tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The queue.
    pub name: String,
    /// `classic`, `quorum` or `stream`.
    pub kind: Option<String>,
    /// `running` or, before 4.0, `live`; `down`; from 4.0 on `minority`. Before it a queue that lost its majority is `live`, too.
    pub state: Option<String>,
    /// The node that leads it, or has it alone.
    pub leader: Option<String>,
    /// Nodes that it has copies on, the leader among them. Of a mirror on a node that went nothing is told. Before 4.0 nothing
    /// is told of the copies of a stream.
    pub members: Vec<String>,
    /// Those that the broker reaches and that are in step.
    pub online: Vec<String>,
    /// Whether it is meant to have copies.
    pub is_replicated: bool,
}

/// What is wrong with where a queue is, the worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Astray {
    /// Nobody can use it: its node is away.
    Down,
    /// So many of all its copies can be reached, too few for it to take or give anything.
    NoMajority(usize, usize),
    /// None of its copies leads it.
    NoLeader,
    /// It is meant to have copies, and one is in step: when its node goes, messages do.
    OneCopy,
    /// Copies on these nodes cannot be reached, or are not in step.
    Missing(Vec<String>),
}

impl Place {
    /// What is wrong, if something is, where the cluster has these nodes: the broker goes on telling of copies on one that just
    /// went. A leader is elected within seconds, so what was found once may be over.
    pub fn judge(&self, nodes: &[Node]) -> Option<Astray> {
        let known = |node: &String| nodes.iter().find(|known| known.name == *node);
        let is_up = |node: &String| known(node).is_some_and(|node| node.is_running);
        let has_copies = self.is_replicated || self.members.len() > 1;
        let is_down = self.state.as_deref() == Some("down") || self.leader.as_ref().is_some_and(|node| !is_up(node));
        if !has_copies {
            return is_down.then_some(Astray::Down);
        }
        let online = self.members.iter().filter(|node| self.online.contains(node) && is_up(node)).count();
        let elects = matches!(self.kind.as_deref(), Some("quorum" | "stream"));
        if elects && (online * 2 <= self.members.len() || self.state.as_deref() == Some("minority")) {
            return Some(Astray::NoMajority(online, self.members.len()));
        }
        if self.leader.is_none() || is_down {
            return Some(if elects { Astray::NoLeader } else { Astray::Down });
        }
        if online < 2 {
            return (nodes.len() > 1).then_some(Astray::OneCopy);
        }
        // One that is drained gave its copies up on purpose.
        let is_drained = |node: &String| known(node).is_some_and(|node| node.is_running && node.is_drained);
        let missing = self.members.iter().filter(|node| !self.online.contains(node) || !is_up(node));
        let missing: Vec<String> = missing.filter(|node| !is_drained(node)).cloned().collect();
        (!missing.is_empty()).then_some(Astray::Missing(missing))
    }
}

impl Astray {
    /// Whether the queue is of no use now.
    pub fn is_out(&self) -> bool {
        matches!(self, Self::Down | Self::NoMajority(..) | Self::NoLeader)
    }
}

/// What is wrong, in words.
impl std::fmt::Display for Astray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Down => f.write_str("its node is down"),
            Self::NoMajority(online, all) => write!(f, "only {online} of its {all} copies can be reached"),
            Self::NoLeader => f.write_str("none of its copies leads it"),
            Self::OneCopy => f.write_str("it has one copy in step only"),
            Self::Missing(nodes) => write!(f, "no copy in step on {}", nodes.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three nodes, of which these run.
    fn cluster(running: &str) -> Vec<Node> {
        let node = |name: &str| Node {
            name: name.to_owned(),
            is_running: running.contains(name),
            is_drained: false,
            partitions: Vec::new(),
            version: None,
        };
        ["a", "b", "c"].map(node).to_vec()
    }

    fn nodes(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// As 3.10.8 and 4.3.6 tell of three nodes a, b and c, each killed and frozen in turn.
    #[test]
    fn a_queue_is_judged_by_what_the_broker_tells_and_by_the_nodes_that_run() {
        for (what, kind, state, leader, members, online, running, expected) in [
            ("well", "quorum", "running", "a", "a b c", "a b c", "a b c", ""),
            ("well", "stream", "running", "a", "a b c", "a b c", "a b c", ""),
            ("well", "classic", "running", "a", "a b c", "a b c", "a b c", ""),
            ("well", "classic", "running", "a", "a", "a", "a b c", ""),
            ("its node was killed", "classic", "down", "c", "c", "c", "a b", "its node is down"),
            ("no state is told for a moment", "classic", "", "c", "c", "c", "a b", "its node is down"),
            ("a follower was killed", "quorum", "running", "b", "b c a", "b a", "a b", "no copy in step on c"),
            ("and is told of still", "stream", "running", "b", "b c a", "b c a", "a b", "no copy in step on c"),
            ("a leader was killed", "stream", "down", "b", "a b c", "a c", "a c", "none of its copies leads it"),
            ("and another one leads", "quorum", "running", "c", "a b c", "a c", "a c", "no copy in step on b"),
            (
                "before 4.0 the loss is no state",
                "quorum",
                "live",
                "a",
                "a b c",
                "a",
                "a",
                "only 1 of its 3 copies can be reached",
            ),
            ("two were killed", "quorum", "minority", "c", "a b c", "a", "a", "only 1 of its 3 copies can be reached"),
            ("3.10 says so little", "quorum", "", "", "b c a", "a", "a", "only 1 of its 3 copies can be reached"),
            ("or too much", "stream", "running", "a", "b c a", "c a", "a", "only 1 of its 3 copies can be reached"),
            ("a mirror is not in step", "classic", "live", "a", "a c b", "a c", "a b c", "no copy in step on b"),
            ("none is", "classic", "live", "a", "a c b", "a", "a b c", "it has one copy in step only"),
            ("and the master is gone", "classic", "live", "c", "c a b", "c", "a b", "its node is down"),
        ] {
            let place = Place {
                name: "q".into(),
                kind: Some(kind.into()),
                state: Some(state.to_owned()).filter(|state| !state.is_empty()),
                leader: Some(leader.to_owned()).filter(|leader| !leader.is_empty()),
                members: nodes(members),
                online: nodes(online),
                is_replicated: members.len() > 1,
            };
            let found = place.judge(&cluster(running));
            assert_eq!(found.map(|it| it.to_string()).unwrap_or_default(), expected, "{kind}: {what}");
        }
    }

    #[test]
    fn a_mirrored_queue_with_one_copy_is_told_where_there_could_be_more() {
        let alone = Place {
            leader: Some("a".into()),
            members: nodes("a"),
            online: nodes("a"),
            is_replicated: true,
            ..Place::default()
        };
        assert_eq!(alone.judge(&cluster("a b c")), Some(Astray::OneCopy));
        assert_eq!(alone.judge(&cluster("a")[..1]), None, "a single node is meant so");
        assert!(!Astray::OneCopy.is_out() && Astray::NoLeader.is_out());
    }

    #[test]
    fn a_node_that_is_drained_lacks_no_copy() {
        let place = Place {
            kind: Some("quorum".into()),
            leader: Some("a".into()),
            members: nodes("a b c"),
            online: nodes("a b"),
            is_replicated: true,
            ..Place::default()
        };
        let mut nodes = cluster("a b c");
        assert_eq!(place.judge(&nodes), Some(Astray::Missing(vec!["c".into()])));
        nodes[2].is_drained = true;
        assert_eq!(place.judge(&nodes), None);
    }
}
