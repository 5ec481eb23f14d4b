//! Connections of users of namespaces as the broker has them now, and closing one by hand.

use super::by_hand;
use crate::base::audit::Action;
use crate::base::{NamespaceName, Result};
use crate::domain::auth::Caller;
use crate::domain::monitor::Monitor;
use crate::domain::namespaces::Slot;
use crate::ports::broker::{Bus, Connection, Handle};
use crate::store::Store;

/// A connection of a user of a namespace.
#[derive(Clone, Debug)]
pub struct NamespaceConnection {
    pub namespace: NamespaceName,
    /// With the password of which slot.
    pub slot: Slot,
    /// As the broker has it.
    pub connection: Connection,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    store: Store,
    bus: Handle<dyn Bus>,
    /// Knows what is ours.
    monitor: Monitor,
}

impl Connections {
    pub fn new(store: Store, bus: Handle<dyn Bus>, monitor: Monitor) -> Self {
        Self { store, bus, monitor }
    }

    /// The connections of the users of all namespaces. New ones may be missing for some seconds (rabbitmq.md 2.4).
    pub async fn list(&self) -> Result<Vec<NamespaceConnection>> {
        let all = self.bus.get()?.connections().await?;
        let ours = all.into_iter().filter_map(|connection| {
            let managed = self.monitor.prefixes().connection(&connection)?;
            let (namespace, slot) = (managed.namespace().clone(), managed.slot());
            Some(NamespaceConnection { namespace, slot, connection })
        });
        Ok(ours.collect())
    }

    /// Closes a connection; its client reads the reason. `NotFound` when none of ours has the name.
    pub async fn close(&self, caller: &Caller, name: &str) -> Result<()> {
        let reason = caller.reason()?;
        let found = self.list().await?.into_iter().find(|ours| ours.connection.name == name);
        let NamespaceConnection { namespace, connection, .. } =
            found.ok_or_else(|| by_hand::no_such("a connection"))?;
        let note = |action| {
            let note = caller.note(action, name);
            note.with("user", connection.user.as_str()).with("namespace", namespace.as_str())
        };
        let bus = self.bus.get()?;
        let close = bus.close_connection(name, reason.as_str());
        let actions = [Action::ConnectionCondemn, Action::ConnectionClose];
        by_hand::destroy(&self.store, "a connection", actions, note, close).await
    }
}
