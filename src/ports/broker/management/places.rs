//! Where queues are, as versions tell it.

use serde::Deserialize;

use super::wire::lenient;
use crate::ports::broker::places::Place;

/// A queue with its nodes. Quorum queues and streams have members, mirrored ones slaves beside their node.
#[derive(Deserialize)]
pub(super) struct PlaceRow {
    name: String,
    #[serde(default, deserialize_with = "lenient", rename = "type")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    state: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    node: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    leader: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    members: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    online: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    slave_nodes: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    synchronised_slave_nodes: Option<Vec<String>>,
}

impl From<PlaceRow> for Place {
    fn from(row: PlaceRow) -> Self {
        let PlaceRow { name, kind, state, node, leader, members, online, slave_nodes, synchronised_slave_nodes } = row;
        // Before 4.0 a quorum queue has no node here, and a stream no leader.
        let leader = leader.or(node).filter(|node| !node.is_empty());
        let is_replicated = members.is_some() || slave_nodes.is_some();
        let with_leader =
            |others: Option<Vec<String>>| leader.iter().cloned().chain(others.unwrap_or_default()).collect();
        let (members, online) = match members {
            Some(members) => (members, online.unwrap_or_default()),
            None if kind.as_deref() == Some("stream") => Default::default(),
            None => (with_leader(slave_nodes), with_leader(synchronised_slave_nodes)),
        };
        Self { name, kind, state, leader, members, online, is_replicated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of lists without counts, of clusters of three nodes.
    #[test]
    fn each_version_tells_the_leader_and_the_copies_in_its_own_words() {
        for (version, row, expected) in [
            (
                "3.10.8",
                r#"{"exclusive":false,"name":"m","node":"n2","policy":"ha","slave_nodes":["n3","n1"],"state":"live",
                    "synchronised_slave_nodes":["n3"],"type":"classic"}"#,
                "n2 leads, on n2 n3 n1, in step on n2 n3",
            ),
            (
                "3.8.9",
                r#"{"exclusive":false,"leader":"n2","members":["n2","n3","n1"],"name":"q","online":["n2","n1"],
                    "state":"live","type":"quorum"}"#,
                "n2 leads, on n2 n3 n1, in step on n2 n1",
            ),
            (
                "3.10.8, two nodes killed",
                r#"{"exclusive":false,"leader":null,"members":["n2","n3","n1"],"name":"q","online":["n1"],
                    "state":"live","type":"quorum"}"#,
                "nobody leads, on n2 n3 n1, in step on n1",
            ),
            (
                "3.10.8",
                r#"{"exclusive":false,"name":"s","node":"n2","state":"live","type":"stream"}"#,
                "n2 leads, alone or not told",
            ),
            (
                "4.0.5",
                r#"{"exclusive":false,"leader":"n2","members":["n1","n2"],"name":"q","node":"n2","online":["n1"],
                    "state":"minority","type":"quorum"}"#,
                "n2 leads, on n1 n2, in step on n1",
            ),
            (
                "4.3.6",
                r#"{"effective_policy_definition":{},"exclusive":false,"name":"c3","node":"n3","policy":null,
                    "state":"down","type":"classic"}"#,
                "n3 leads, alone or not told",
            ),
        ] {
            let place = Place::from(serde_json::from_str::<PlaceRow>(row).unwrap());
            let leader = place.leader.as_deref().unwrap_or("nobody");
            let copies = if place.is_replicated {
                format!("on {}, in step on {}", place.members.join(" "), place.online.join(" "))
            } else {
                "alone or not told".to_owned()
            };
            assert_eq!(format!("{leader} leads, {copies}"), expected, "{version}");
        }
    }
}
