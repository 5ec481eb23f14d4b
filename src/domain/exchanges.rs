//! Exchanges of namespaces as the broker has them now, with what is bound to them.

use std::collections::HashMap;

use super::by_hand::no_such;
use crate::base::{NamespaceName, Result};
use crate::domain::monitor::Monitor;
use crate::domain::namespaces::Namespaces;
use crate::ports::broker::{Binding, Bus, Destination, Exchange, Handle};

/// An exchange of a namespace.
#[derive(Clone, Debug)]
pub struct NamespaceExchange {
    pub namespace: NamespaceName,
    /// As the broker has it.
    pub exchange: Exchange,
}

/// An exchange of a namespace, with where it hands messages on to.
#[derive(Clone, Debug)]
pub struct BoundExchange {
    pub namespace: NamespaceName,
    /// As the broker has it.
    pub exchange: Exchange,
    /// What is bound to it.
    pub bindings: Vec<ExchangeBinding>,
}

/// A binding to an exchange of a namespace.
#[derive(Clone, Debug)]
pub struct ExchangeBinding {
    pub destination: Destination,
    /// Whose that is; nobody's when no namespace has it.
    pub namespace: Option<NamespaceName>,
    pub routing_key: String,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Exchanges {
    bus: Handle<dyn Bus>,
    namespaces: Namespaces,
    /// Knows what is ours.
    monitor: Monitor,
}

impl Exchanges {
    pub fn new(bus: Handle<dyn Bus>, namespaces: Namespaces, monitor: Monitor) -> Self {
        Self { bus, namespaces, monitor }
    }

    /// The exchanges of all namespaces.
    pub async fn list(&self) -> Result<Vec<NamespaceExchange>> {
        let all = self.bus.get()?.exchanges(self.namespaces.vhost()).await?;
        let ours = all.into_iter().filter_map(|exchange| {
            let namespace = self.monitor.prefixes().exchange(&exchange.name)?.namespace().clone();
            Some(NamespaceExchange { namespace, exchange })
        });
        Ok(ours.collect())
    }

    /// The same with their bindings, which the broker is asked for once for all of them.
    pub async fn list_bound(&self) -> Result<Vec<BoundExchange>> {
        let exchanges = self.list().await?;
        let mut bindings: HashMap<String, Vec<ExchangeBinding>> = HashMap::new();
        for Binding { source, destination, routing_key } in self.bus.get()?.bindings(self.namespaces.vhost()).await? {
            let prefixes = self.monitor.prefixes();
            let managed = match &destination {
                Destination::Queue(name) => prefixes.queue(name),
                Destination::Exchange(name) => prefixes.exchange(name),
            };
            let namespace = managed.map(|managed| managed.namespace().clone());
            bindings.entry(source).or_default().push(ExchangeBinding { destination, namespace, routing_key });
        }
        let bound = exchanges.into_iter().map(|NamespaceExchange { namespace, exchange }| {
            let bindings = bindings.remove(&exchange.name).unwrap_or_default();
            BoundExchange { namespace, exchange, bindings }
        });
        Ok(bound.collect())
    }

    /// An exchange of a namespace. `NotFound` when there is none of this name.
    pub async fn show(&self, name: &str) -> Result<BoundExchange> {
        let all = self.list_bound().await?;
        all.into_iter().find(|bound| bound.exchange.name == name).ok_or_else(|| no_such("an exchange"))
    }
}
