//! The broker in memory as we ask it.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::super::{
    Access, Acting, Alarm, Binding, Broker, Calls, Connection, Credentials, Destination, Exchange, Node, Overview,
    Permission, Proven, Queue, User, UserWish, require_deletable_exchange, require_reachable, versions,
};
use super::{ADMINISTRATOR, Account, MemoryBroker, NODE};
use crate::base::{AccountName, Error, Result, VhostName};

#[async_trait]
impl Broker for MemoryBroker {
    async fn overview(&self) -> Result<Overview> {
        self.request("GET overview".to_owned(), |state| {
            Ok(Overview { version: "3.10.8".to_owned(), cluster_name: "memory".to_owned(), time: state.time })
        })
    }

    async fn whoami(&self) -> Result<User> {
        self.request("GET whoami".to_owned(), |state| {
            let name = state.admit()?;
            let tags = state.users.get(&name).map(|account| account.tags.clone()).unwrap_or_default();
            Ok(User { name, tags })
        })
    }

    fn act_as(&self, login: Option<Credentials>) -> Result<()> {
        let mut state = self.lock();
        (state.given, state.is_refused) = (login, false);
        Ok(())
    }

    fn counts(&self) -> &Calls {
        &self.calls
    }

    fn acting(&self) -> Acting {
        let state = self.lock();
        let given = state.given.as_ref().filter(|_| !state.is_refused);
        let user = given.map_or_else(|| ADMINISTRATOR.to_owned(), |given| given.user.to_string());
        Acting { user, is_refused: state.is_refused }
    }

    async fn prove(&self, login: &Credentials, vhost: &VhostName) -> Result<Option<Proven>> {
        self.reach(format!("GET whoami as {}", login.user), |state| {
            let name = login.user.to_string();
            if !state.lets_in(&name, &login.password) {
                return Ok(None);
            }
            let tags = state.users.get(&name).map(|account| account.tags.clone()).unwrap_or_default();
            let access = state.permissions.get(&(vhost.to_string(), name.clone())).cloned();
            Ok(Some(Proven { user: User { name, tags }, access }))
        })
    }

    async fn vhost_exists(&self, vhost: &VhostName) -> Result<bool> {
        self.request(format!("GET vhost {vhost}"), |state| Ok(state.vhosts.contains(vhost.as_str())))
    }

    async fn alarms(&self) -> Result<Vec<Alarm>> {
        self.request("GET alarms".to_owned(), |state| Ok(state.alarms.clone()))
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        self.request("GET nodes".to_owned(), |state| {
            Ok(vec![Node { name: NODE.to_owned(), is_running: true, partitions: state.partitions.clone() }])
        })
    }

    async fn access(&self, vhost: &VhostName, user: &AccountName) -> Result<Option<Access>> {
        self.request(format!("GET permission {vhost} {user}"), |state| {
            Ok(state.permissions.get(&(vhost.to_string(), user.to_string())).cloned())
        })
    }

    async fn put_login(&self, wish: &UserWish<'_>) -> Result<()> {
        versions::tags_to_send(wish.tags)?;
        self.request(format!("PUT user {}", wish.name), |state| {
            let account = Account { login: wish.login.clone(), tags: wish.tags.to_vec() };
            let is_new = state.users.insert(wish.name.to_string(), account).is_none();
            if is_new {
                // Only a new user's permissions count; a bad one is reported by the request for it below.
                for (vhost, access) in wish.permissions {
                    if state.put_permission(vhost, wish.name, access).is_err() {
                        break;
                    }
                }
            }
            Ok(())
        })
    }

    async fn put_user(&self, wish: &UserWish<'_>) -> Result<()> {
        self.put_login(wish).await?;
        for (vhost, access) in wish.permissions {
            self.put_permission(vhost, wish.name, access).await?;
        }
        Ok(())
    }

    async fn delete_user(&self, name: &AccountName) -> Result<bool> {
        self.request(format!("DELETE user {name}"), |state| {
            state.permissions.retain(|(_, user), _| user != name.as_str());
            state.close(&format!("user '{name}' is deleted"), |connection| connection.user == name.as_str());
            Ok(state.users.remove(name.as_str()).is_some())
        })
    }

    async fn user(&self, name: &AccountName) -> Result<Option<User>> {
        self.request(format!("GET user {name}"), |state| {
            Ok(state.users.get(name.as_str()).map(|a| User { name: name.to_string(), tags: a.tags.clone() }))
        })
    }

    async fn users(&self) -> Result<Vec<User>> {
        self.request("GET users".to_owned(), |state| {
            Ok(state.users.iter().map(|(name, a)| User { name: name.clone(), tags: a.tags.clone() }).collect())
        })
    }

    async fn put_permission(&self, vhost: &VhostName, user: &AccountName, access: &Access) -> Result<()> {
        self.request(format!("PUT permission {vhost} {user}"), |state| state.put_permission(vhost, user, access))
    }

    async fn delete_permission(&self, vhost: &VhostName, user: &AccountName) -> Result<bool> {
        self.request(format!("DELETE permission {vhost} {user}"), |state| {
            Ok(state.permissions.remove(&(vhost.to_string(), user.to_string())).is_some())
        })
    }

    async fn permissions(&self) -> Result<Vec<Permission>> {
        self.request("GET permissions".to_owned(), |state| {
            let rows = state.permissions.iter().map(|((vhost, user), access)| Permission {
                vhost: vhost.clone(),
                user: user.clone(),
                access: access.clone(),
            });
            Ok(rows.collect())
        })
    }

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

    async fn queue(&self, vhost: &VhostName, name: &str) -> Result<Option<Queue>> {
        require_reachable(name)?;
        self.request(format!("GET queue {vhost} {name}"), |state| {
            Ok(state.queues.get(&(vhost.to_string(), name.to_owned())).cloned())
        })
    }

    async fn delete_queue(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        require_reachable(name)?;
        self.request(format!("DELETE queue {vhost} {name}"), |state| {
            let key = (vhost.to_string(), name.to_owned());
            match state.queues.get(&key).and_then(|queue| queue.exclusive) {
                Some(true) => Err(Error::conflict("the broker does not let this be deleted")),
                _ => {
                    state.unbind(vhost, |binding| matches!(&binding.destination, Destination::Queue(to) if to == name));
                    Ok(state.queues.remove(&key).is_some())
                }
            }
        })
    }

    async fn purge_queue(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        require_reachable(name)?;
        self.request(format!("DELETE contents {vhost} {name}"), |state| {
            let queue = state.queues.get_mut(&(vhost.to_string(), name.to_owned()));
            match queue {
                Some(queue) if queue.exclusive == Some(true) => {
                    Err(Error::conflict("the broker does not let this be purged"))
                }
                Some(queue) => {
                    queue.ready = queue.ready.map(|_| 0);
                    queue.messages = queue.messages.map(|_| queue.unacknowledged.unwrap_or(0));
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
            let is_its = |binding: &Binding| {
                binding.source == name || matches!(&binding.destination, Destination::Exchange(to) if to == name)
            };
            state.unbind(vhost, is_its);
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

    async fn connections(&self) -> Result<Vec<Connection>> {
        self.request("GET connections".to_owned(), |state| Ok(state.connections.values().cloned().collect()))
    }

    async fn close_connection(&self, name: &str, reason: &str) -> Result<bool> {
        require_reachable(name)?;
        self.request(format!("DELETE connection {name}"), |state| Ok(state.close(reason, |c| c.name == name) > 0))
    }

    async fn close_connections_of(&self, user: &AccountName, reason: &str) -> Result<()> {
        self.request(format!("DELETE connections of {user}"), |state| {
            state.close(reason, |connection| connection.user == user.as_str());
            Ok(())
        })
    }
}

fn values_in<T: Clone>(things: &BTreeMap<(String, String), T>, vhost: &VhostName) -> Vec<T> {
    things.iter().filter(|((place, _), _)| place == vhost.as_str()).map(|(_, thing)| thing.clone()).collect()
}
