//! What is declared in a vhost of the model.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{MemoryBroker, State};
use crate::base::{Error, Result, VhostName};
use crate::ports::broker::resources::{
    Arguments, DeclaredBinding, DeclaredExchange, DeclaredQueue, DeclaredVhost, Key, Resource, Resources, is_its_own,
    is_left_out,
};
use crate::ports::broker::topology::{Destination, Exchange, Queue};

impl State {
    /// What is declared there, as it is in the lists of queues, exchanges and bindings; and what is in no other list.
    fn resources(&self, vhost: &VhostName) -> BTreeSet<Resource> {
        let here = |place: &String| place == vhost.as_str();
        let made = self.declared.get(&(vhost.to_string(), Key::Vhost)).cloned();
        let mut all = BTreeSet::from([made.unwrap_or_else(|| Resource::Vhost(DeclaredVhost::default()))]);
        let queues = self
            .queues
            .iter()
            .filter(|((place, name), queue)| here(place) && !is_its_own(name) && queue.exclusive != Some(true));
        let names: BTreeSet<String> = queues.clone().map(|((_, name), _)| name.clone()).collect();
        let exchanges = self.exchanges.iter().filter(|((place, name), _)| here(place) && !is_its_own(name));
        let listed = queues.map(|(_, queue)| plain_queue(queue)).chain(exchanges.map(|(_, it)| plain_exchange(it)));
        all.extend(listed.map(|plain| self.declared.get(&(vhost.to_string(), plain.key())).cloned().unwrap_or(plain)));
        let bindings = self.bindings.iter().filter(|(place, binding)| here(place) && !is_left_out(binding, &names));
        let bindings = bindings.map(|(_, binding)| {
            Resource::Binding(DeclaredBinding { binding: binding.clone(), arguments: Arguments::default() })
        });
        all.extend(bindings);
        let others = self
            .declared
            .iter()
            .filter(|((place, key), _)| here(place) && !matches!(key, Key::Vhost | Key::Queue(_) | Key::Exchange(_)));
        all.extend(others.map(|(_, resource)| resource.clone()));
        all
    }

    fn has_end(&self, vhost: &VhostName, destination: &Destination) -> bool {
        let key = (vhost.to_string(), destination.name().to_owned());
        match destination {
            Destination::Queue(_) => self.queues.contains_key(&key),
            Destination::Exchange(_) => is_its_own(&key.1) || self.exchanges.contains_key(&key),
        }
    }

    /// Takes away what was declared with it, and the bindings of something that is gone.
    pub(super) fn forget(&mut self, vhost: &VhostName, key: &Key) {
        let is_its = |source: &str, destination: &Destination| match key {
            Key::Queue(name) => matches!(destination, Destination::Queue(to) if to == name),
            Key::Exchange(name) => source == name || matches!(destination, Destination::Exchange(to) if to == name),
            _ => false,
        };
        self.bindings
            .retain(|(place, binding)| place != vhost.as_str() || !is_its(&binding.source, &binding.destination));
        self.declared.retain(|(place, known), _| {
            let is_its_binding =
                matches!(known, Key::Binding(it) if is_its(&it.binding.source, &it.binding.destination));
            place != vhost.as_str() || (known != key && !is_its_binding)
        });
    }

    fn put(&mut self, vhost: &VhostName, resource: &Resource) -> Result<()> {
        if matches!(resource, Resource::Vhost(_)) {
            if self.vhosts.insert(vhost.to_string()) && self.version.has_default_queue_types() {
                self.declared.insert((vhost.to_string(), Key::Vhost), resource.clone());
            }
            return Ok(());
        }
        self.require_vhost(vhost)?;
        let place = |name: &str| (vhost.to_string(), name.to_owned());
        let before = self.resources(vhost).into_iter().find(|known| known.key() == resource.key());
        match resource {
            Resource::Queue(_) | Resource::Exchange(_) if before.as_ref().is_some_and(|before| before != resource) => {
                return Err(Error::conflict("the broker has this otherwise"));
            }
            Resource::Queue(queue) => {
                let new = Queue { name: queue.name.clone(), messages: Some(0), ..Queue::default() };
                self.queues.entry(place(&queue.name)).or_insert(new);
            }
            Resource::Exchange(exchange) => {
                let new = Exchange { name: exchange.name.clone(), kind: Some(exchange.kind.clone()) };
                self.exchanges.entry(place(&exchange.name)).or_insert(new);
            }
            Resource::Binding(DeclaredBinding { binding, arguments }) => {
                let source = Destination::Exchange(binding.source.clone());
                if !self.has_end(vhost, &source) || !self.has_end(vhost, &binding.destination) {
                    return Err(Error::not_found("the broker has no such exchange or queue"));
                }
                if *arguments == Arguments::default() {
                    self.bindings.insert((vhost.to_string(), binding.clone()));
                    return Ok(());
                }
            }
            _ => {}
        }
        self.declared.insert((vhost.to_string(), resource.key()), resource.clone());
        Ok(())
    }

    fn remove(&mut self, vhost: &VhostName, key: &Key) -> bool {
        let was_there =
            self.vhosts.contains(vhost.as_str()) && self.resources(vhost).iter().any(|resource| resource.key() == *key);
        match key {
            Key::Vhost => {
                let is_elsewhere = |place: &String| place != vhost.as_str();
                self.vhosts.remove(vhost.as_str());
                self.queues.retain(|(place, _), _| is_elsewhere(place));
                self.exchanges.retain(|(place, _), _| is_elsewhere(place));
                self.bindings.retain(|(place, _)| is_elsewhere(place));
                self.declared.retain(|(place, _), _| is_elsewhere(place));
                self.permissions.retain(|(place, _), _| is_elsewhere(place));
                self.topics.retain(|(place, ..), _| is_elsewhere(place));
            }
            Key::Queue(name) => {
                self.queues.remove(&(vhost.to_string(), name.clone()));
            }
            Key::Exchange(name) => {
                self.exchanges.remove(&(vhost.to_string(), name.clone()));
            }
            Key::Binding(declared) if declared.arguments == Arguments::default() => {
                self.bindings.remove(&(vhost.to_string(), declared.binding.clone()));
            }
            _ => {}
        }
        self.forget(vhost, key);
        was_there
    }
}

fn plain_queue(queue: &Queue) -> Resource {
    let kind = queue.kind.clone().unwrap_or_else(|| "classic".to_owned());
    let arguments = Arguments::default();
    Resource::Queue(DeclaredQueue { name: queue.name.clone(), kind, durable: true, auto_delete: false, arguments })
}

fn plain_exchange(exchange: &Exchange) -> Resource {
    Resource::Exchange(DeclaredExchange {
        name: exchange.name.clone(),
        kind: exchange.kind.clone().unwrap_or_else(|| "topic".to_owned()),
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: Arguments::default(),
    })
}

#[async_trait]
impl Resources for MemoryBroker {
    async fn resources(&self, vhost: &VhostName) -> Result<BTreeSet<Resource>> {
        self.request(format!("GET resources {vhost}"), |state| {
            state.require_vhost(vhost)?;
            Ok(state.resources(vhost))
        })
    }

    async fn put_resource(&self, vhost: &VhostName, resource: &Resource) -> Result<()> {
        resource.key().require_ours()?;
        self.request(format!("PUT resource {vhost} {:?}", resource.key()), |state| state.put(vhost, resource))
    }

    async fn remove_resource(&self, vhost: &VhostName, key: &Key) -> Result<bool> {
        key.require_ours()?;
        self.request(format!("DELETE resource {vhost} {key:?}"), |state| Ok(state.remove(vhost, key)))
    }
}
