//! What namespaces and their queues carry, as the last look of the monitor had it: for people, never for a verdict.

use std::collections::HashMap;

use super::{Monitor, Prefixes};
use crate::base::NamespaceName;
use crate::domain::namespaces::Slot;
use crate::ports::broker::{Connection, Queue};

/// What a namespace has at the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub messages: u64,
    first: u32,
    second: u32,
}

impl Load {
    /// Connections of the user of a slot.
    pub fn connections(&self, slot: Slot) -> u32 {
        match slot {
            Slot::First => self.first,
            Slot::Second => self.second,
        }
    }
}

/// What one look saw. Namespaces without anything are not in it.
#[derive(Debug, Default)]
pub struct Loads {
    namespaces: HashMap<NamespaceName, Load>,
    /// Messages of queues that wait and that consumers have in hand.
    queues: HashMap<String, (Option<u64>, Option<u64>)>,
}

impl Loads {
    pub(super) fn of(prefixes: &Prefixes, queues: &[Queue], connections: &[Connection]) -> Self {
        let mut seen = Self::default();
        for queue in queues {
            let Some(managed) = prefixes.queue(&queue.name) else { continue };
            seen.queues.insert(queue.name.clone(), (queue.ready, queue.unacknowledged));
            if let Some(messages) = queue.messages.filter(|messages| *messages > 0) {
                let load = seen.namespaces.entry(managed.namespace().clone()).or_default();
                load.messages = load.messages.saturating_add(messages);
            }
        }
        for connection in connections.iter().filter_map(|connection| prefixes.connection(connection)) {
            let load = seen.namespaces.entry(connection.namespace().clone()).or_default();
            match connection.slot() {
                Slot::First => load.first = load.first.saturating_add(1),
                Slot::Second => load.second = load.second.saturating_add(1),
            }
        }
        seen
    }

    pub fn namespace(&self, name: &NamespaceName) -> Load {
        self.namespaces.get(name).copied().unwrap_or_default()
    }

    pub(super) fn parts(&self, queue: &str) -> (Option<u64>, Option<u64>) {
        self.queues.get(queue).copied().unwrap_or_default()
    }
}

impl Monitor {
    /// What the last look saw; none before the first one since the start.
    pub fn loads(&self) -> Option<std::sync::Arc<Loads>> {
        self.recent().loads.clone()
    }
}
