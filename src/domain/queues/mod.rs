//! A queue of a namespace as the broker has it now, and purging and deleting one by hand.

mod consumers;

use std::future::Future;

use super::by_hand::{self, no_such};
use crate::base::audit::{Action, Note};
use crate::base::{NamespaceName, Result};
use crate::domain::auth::Caller;
use crate::domain::monitor::{Monitor, SeenQueue};
use crate::domain::namespaces::Namespaces;
use crate::ports::broker::{Bus, Handle, Queue};
use crate::store::Store;

/// A queue of a namespace.
#[derive(Clone, Debug)]
pub struct NamespaceQueue {
    pub namespace: NamespaceName,
    /// As the broker has it now.
    pub queue: Queue,
    /// As the last pass of the monitor saw it, with its forecast; none before the first pass that counted it.
    pub seen: Option<SeenQueue>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Queues {
    store: Store,
    bus: Handle<dyn Bus>,
    namespaces: Namespaces,
    /// Knows what is ours, and saw the queues before.
    monitor: Monitor,
}

impl Queues {
    pub fn new(store: Store, bus: Handle<dyn Bus>, namespaces: Namespaces, monitor: Monitor) -> Self {
        Self { store, bus, namespaces, monitor }
    }

    /// A queue of a namespace. `NotFound` when there is none of this name.
    pub async fn show(&self, name: &str) -> Result<NamespaceQueue> {
        let managed = self.monitor.prefixes().queue(name).ok_or_else(|| no_such("a queue"))?;
        let queue = self.bus.get()?.queue(self.namespaces.vhost(), name).await?.ok_or_else(|| no_such("a queue"))?;
        let wanted = name.to_owned();
        let mut seen = self.monitor.seen(move |known| known == wanted).await?;
        self.monitor.note_forecasts(&mut seen);
        Ok(NamespaceQueue { namespace: managed.namespace().clone(), queue, seen: seen.pop() })
    }

    /// Throws away the messages of a queue that wait. `NotFound` when no namespace has it.
    pub async fn purge(&self, caller: &Caller, name: &str) -> Result<()> {
        let purge = self.bus.get()?.purge_queue(self.namespaces.vhost(), name);
        self.destroy(caller, name, Action::QueuePurge, purge).await
    }

    /// Deletes a queue with its messages. `NotFound` when no namespace has it, `Conflict` when it belongs to a connection.
    pub async fn delete(&self, caller: &Caller, name: &str) -> Result<()> {
        let delete = self.bus.get()?.delete_queue(self.namespaces.vhost(), name);
        self.destroy(caller, name, Action::QueueDelete, delete).await
    }

    async fn destroy(
        &self,
        caller: &Caller,
        name: &str,
        action: Action,
        request: impl Future<Output = Result<bool>>,
    ) -> Result<()> {
        caller.reason()?;
        let found = self.show(name).await?;
        let note = |action| note_about(caller, action, &found);
        by_hand::destroy(&self.store, "a queue", [Action::QueueCondemn, action], note, request).await
    }
}

fn note_about(caller: &Caller, action: Action, NamespaceQueue { namespace, queue, .. }: &NamespaceQueue) -> Note {
    let note = caller.note(action, &queue.name).with("namespace", namespace.as_str());
    match queue.messages {
        Some(messages) => note.with("messages", messages),
        None => note,
    }
}
