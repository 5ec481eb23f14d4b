//! Queues, exchanges and bindings of the model.

use async_trait::async_trait;

use std::collections::BTreeMap;

use super::{MemoryBroker, NODE};
use crate::base::{Error, Result, VhostName};
use crate::ports::broker::names::{require_deletable_exchange, require_reachable};
use crate::ports::broker::places::Place;
use crate::ports::broker::resources::Key;
use crate::ports::broker::topology::{Binding, Depth, Exchange, Queue, Topology};

#[async_trait]
impl Topology for MemoryBroker {
    async fn queues(&self, vhost: &VhostName) -> Result<Vec<Queue>> {
        self.request(format!("GET queues {vhost}"), |state| {
            state.require_vhost(vhost)?;
            Ok(values_in(&state.queues, vhost))
        })
    }

    async fn queues_with_consumers(&self, vhost: &VhostName) -> Result<Vec<Queue>> {
        self.request(format!("GET queues {vhost} with consumers"), |state| {
            state.require_vhost(vhost)?;
            Ok(values_in(&state.queues, vhost))
        })
    }

    async fn places(&self, vhost: &VhostName) -> Result<Vec<Place>> {
        self.request(format!("GET queues {vhost} with nodes"), |state| {
            state.require_vhost(vhost)?;
            let queues: Vec<Queue> = values_in(&state.queues, vhost);
            let place = |queue: Queue| {
                let here = vec![NODE.to_owned()];
                let plain = Place {
                    name: queue.name.clone(),
                    kind: queue.kind,
                    state: queue.state,
                    leader: Some(NODE.to_owned()),
                    members: here.clone(),
                    online: here,
                    is_replicated: false,
                };
                state.places.get(&(vhost.to_string(), queue.name)).cloned().unwrap_or(plain)
            };
            Ok(queues.into_iter().map(place).collect())
        })
    }

    async fn queue(&self, vhost: &VhostName, name: &str) -> Result<Option<Queue>> {
        require_reachable(name)?;
        self.request(format!("GET queue {vhost} {name}"), |state| {
            Ok(state.queues.get(&(vhost.to_string(), name.to_owned())).cloned())
        })
    }

    async fn depth(&self, vhost: &VhostName, name: &str) -> Result<Option<Depth>> {
        require_reachable(name)?;
        self.request(format!("ASK queue {vhost} {name}"), |state| {
            let key = (vhost.to_string(), name.to_owned());
            let told = state.depths.get(&key).copied();
            match state.queues.get(&key) {
                Some(queue) if queue.exclusive == Some(true) => {
                    Err(Error::conflict("the queue belongs to a connection"))
                }
                Some(queue) => {
                    let in_hand = queue.unacknowledged.unwrap_or(0);
                    let ready = queue.ready.or(queue.messages.map(|all| all.saturating_sub(in_hand)));
                    let listed = Depth { ready: ready.unwrap_or(0), consumers: queue.consumers.unwrap_or(0) };
                    Ok(Some(told.unwrap_or(listed)))
                }
                None => Ok(None),
            }
        })
    }

    async fn delete_queue(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        require_reachable(name)?;
        self.request(format!("DELETE queue {vhost} {name}"), |state| {
            let key = (vhost.to_string(), name.to_owned());
            match state.queues.get(&key).and_then(|queue| queue.exclusive) {
                Some(true) => Err(Error::conflict("the broker does not let this be deleted")),
                _ => {
                    state.forget(vhost, &Key::Queue(name.to_owned()));
                    state.messages.remove(&key);
                    Ok(state.queues.remove(&key).is_some())
                }
            }
        })
    }

    async fn purge_queue(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        require_reachable(name)?;
        self.request(format!("DELETE contents {vhost} {name}"), |state| {
            let key = (vhost.to_string(), name.to_owned());
            match state.queues.get_mut(&key) {
                Some(queue) if queue.exclusive == Some(true) => {
                    Err(Error::conflict("the broker does not let this be purged"))
                }
                Some(queue) => {
                    queue.ready = queue.ready.map(|_| 0);
                    queue.messages = queue.messages.map(|_| queue.unacknowledged.unwrap_or(0));
                    state.messages.remove(&key);
                    Ok(true)
                }
                None => Ok(false),
            }
        })
    }

    async fn exchanges(&self, vhost: &VhostName) -> Result<Vec<Exchange>> {
        self.request(format!("GET exchanges {vhost}"), |state| {
            state.require_vhost(vhost)?;
            Ok(values_in(&state.exchanges, vhost))
        })
    }

    async fn delete_exchange(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        require_deletable_exchange(name)?;
        self.request(format!("DELETE exchange {vhost} {name}"), |state| {
            state.forget(vhost, &Key::Exchange(name.to_owned()));
            Ok(state.exchanges.remove(&(vhost.to_string(), name.to_owned())).is_some())
        })
    }

    async fn bindings(&self, vhost: &VhostName) -> Result<Vec<Binding>> {
        self.request(format!("GET bindings {vhost}"), |state| {
            state.require_vhost(vhost)?;
            let here = state.bindings.iter().filter(|(place, _)| place == vhost.as_str());
            Ok(here.map(|(_, binding)| binding.clone()).collect())
        })
    }
}

fn values_in<T: Clone>(things: &BTreeMap<(String, String), T>, vhost: &VhostName) -> Vec<T> {
    things.iter().filter(|((place, _), _)| place == vhost.as_str()).map(|(_, thing)| thing.clone()).collect()
}
