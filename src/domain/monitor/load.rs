//! What namespaces and their queues carry, as the last look of the monitor had it: for people, never for a verdict.

use std::collections::HashMap;

use super::{Monitor, Prefixes};
use crate::base::NamespaceName;
use crate::domain::namespaces::Slot;
use crate::ports::broker::{Connection, Queue, Stream};

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

/// What one look saw of a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    /// Messages that wait.
    pub ready: Option<u64>,
    /// Messages that consumers have in hand.
    pub unacknowledged: Option<u64>,
    stream: Option<Stream>,
}

/// What one look saw. Namespaces without anything are not in it.
#[derive(Debug, Default)]
pub struct Loads {
    namespaces: HashMap<NamespaceName, Load>,
    queues: HashMap<String, Parts>,
}

impl Loads {
    pub(super) fn of(prefixes: &Prefixes, queues: &[Queue], connections: &[Connection]) -> Self {
        let mut seen = Self::default();
        for queue in queues {
            let Some(managed) = prefixes.queue(&queue.name) else { continue };
            let parts = Parts { ready: queue.ready, unacknowledged: queue.unacknowledged, stream: queue.stream() };
            seen.queues.insert(queue.name.clone(), parts);
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

    pub(super) fn parts(&self, queue: &str) -> Parts {
        self.queues.get(queue).copied().unwrap_or_default()
    }

    /// What matters of it if it is a stream.
    pub(super) fn stream(&self, queue: &str) -> Option<Stream> {
        self.parts(queue).stream
    }
}

impl Monitor {
    /// What the last look saw; none before the first one since the start.
    pub fn loads(&self) -> Option<std::sync::Arc<Loads>> {
        self.recent().loads.clone()
    }
}
