//! What namespaces and their queues carry, as the last look of the monitor had it: for people, never for a verdict.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;

use super::{Monitor, Prefixes, SeenQueue};
use crate::base::{NamespaceName, Result};
use crate::domain::namespaces::Slot;
use crate::ports::broker::{Connection, Queue};

/// Queues that are asked one by one for their consumers: more are quicker by one list, which is worth its cost to the
/// broker only then (rabbitmq.md 3).
const SINGLY_MAX: usize = 100;
/// Questions side by side: the broker gains nothing beyond eight (rabbitmq.md 3).
const ASKERS: usize = 8;
/// How long a person waits for what is nice to have. The list of 11,000 takes a broker 1.1 s.
const PATIENCE: Duration = Duration::from_secs(3);

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

    /// Asks the broker for the consumers of these. Without an answer soon they stay unknown.
    pub async fn note_consumers(&self, queues: &mut [SeenQueue]) {
        let asked = async {
            match queues.len() {
                0..=SINGLY_MAX => self.consumers_of(queues).await,
                _ => self.all_consumers().await,
            }
        };
        let Ok(Ok(told)) = tokio::time::timeout(PATIENCE, asked).await else { return };
        for queue in queues {
            queue.consumers = told.get(&queue.name).copied();
        }
    }

    async fn consumers_of(&self, queues: &[SeenQueue]) -> Result<HashMap<String, u64>> {
        let (bus, vhost) = (self.bus.get()?, self.namespaces.vhost());
        let names: Vec<String> = queues.iter().map(|queue| queue.name.clone()).collect();
        let mut answers = futures_util::stream::iter(names)
            .map(|name| async move { bus.queue(vhost, &name).await })
            .buffer_unordered(ASKERS);
        let mut told = HashMap::new();
        while let Some(answer) = answers.next().await {
            if let Some(queue) = answer? {
                told.extend(queue.consumers.map(|consumers| (queue.name, consumers)));
            }
        }
        Ok(told)
    }

    async fn all_consumers(&self) -> Result<HashMap<String, u64>> {
        let all = self.bus.get()?.queues_with_consumers(self.namespaces.vhost()).await?;
        Ok(all.into_iter().filter_map(|queue| Some((queue.name, queue.consumers?))).collect())
    }
}
