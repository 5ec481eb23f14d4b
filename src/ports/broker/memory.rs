//! A broker in memory: an honest model for hermetic tests, held to the same contract as the real one.
//!
//! It models what decides the outcome of our calls: users, hashes, permissions, connections, and every way a call
//! can fail. Patterns are opaque texts to it: it neither compiles nor applies them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    Access, Alarm, Broker, Connection, Exchange, Login, Overview, Permission, Queue, User, UserWish,
    require_deletable_exchange, require_reachable, versions,
};
use crate::base::{AccountName, Error, Result, Secret, Timestamp, VhostName};

/// Who we are to it.
const ADMINISTRATOR: &str = "administrator";

/// A [`Broker`] in memory. Clones share one state, so a test keeps one to look into and to make trouble.
#[derive(Clone, Default)]
pub struct MemoryBroker {
    state: Arc<Mutex<State>>,
}

struct State {
    users: BTreeMap<String, Account>,
    vhosts: BTreeSet<String>,
    permissions: BTreeMap<(String, String), Access>,
    queues: BTreeMap<(String, String), Queue>,
    exchanges: BTreeMap<(String, String), Exchange>,
    connections: BTreeMap<String, Connection>,
    closed: Vec<(String, String)>,
    alarms: Vec<Alarm>,
    calls: Vec<String>,
    connections_made: u16,
    is_away: bool,
    failures_left: u32,
    answers_to_lose: u32,
    /// Requests it still answers before it goes away.
    answers_left: Option<u32>,
}

struct Account {
    login: Login,
    tags: Vec<String>,
}

impl Default for State {
    fn default() -> Self {
        let administrator = Account { login: Login::Locked, tags: vec![ADMINISTRATOR.to_owned()] };
        Self {
            users: BTreeMap::from([(ADMINISTRATOR.to_owned(), administrator)]),
            vhosts: BTreeSet::from(["/".to_owned()]),
            permissions: BTreeMap::new(),
            queues: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            connections: BTreeMap::new(),
            closed: Vec::new(),
            alarms: Vec::new(),
            calls: Vec::new(),
            connections_made: 0,
            is_away: false,
            failures_left: 0,
            answers_to_lose: 0,
            answers_left: None,
        }
    }
}

impl State {
    fn require_vhost(&self, vhost: &VhostName) -> Result<()> {
        match self.vhosts.contains(vhost.as_str()) {
            true => Ok(()),
            false => Err(Error::not_found("the broker has no such vhost")),
        }
    }

    fn put_permission(&mut self, vhost: &VhostName, user: &AccountName, access: &Access) -> Result<()> {
        if !self.users.contains_key(user.as_str()) {
            return Err(Error::not_found("the broker has no such user"));
        }
        self.require_vhost(vhost)?;
        self.permissions.insert((vhost.to_string(), user.to_string()), access.clone());
        Ok(())
    }

    fn close(&mut self, reason: &str, is_meant: impl Fn(&Connection) -> bool) -> usize {
        let closed: Vec<String> = self.connections.values().filter(|c| is_meant(c)).map(|c| c.name.clone()).collect();
        for name in &closed {
            self.connections.remove(name);
            self.closed.push((name.clone(), reason.to_owned()));
        }
        closed.len()
    }
}

fn unavailable() -> Error {
    Error::unavailable("the broker does not answer").because("the test said so")
}

/// The test's side: the world around the broker, and the trouble it can be in.
impl MemoryBroker {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request: it is recorded, may fail before it has an effect, or lose its answer after.
    fn request<T>(&self, call: String, effect: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.lock();
        state.calls.push(call);
        match &mut state.answers_left {
            Some(0) => (state.is_away, state.answers_left) = (true, None),
            Some(left) => *left -= 1,
            None => {}
        }
        if state.is_away {
            return Err(unavailable());
        }
        if state.failures_left > 0 {
            state.failures_left -= 1;
            return Err(unavailable());
        }
        let answer = effect(&mut state);
        if state.answers_to_lose > 0 {
            state.answers_to_lose -= 1;
            return Err(unavailable());
        }
        answer
    }

    /// From now on nothing answers.
    pub fn go_away(&self) {
        self.lock().is_away = true;
    }

    /// It goes away after it has answered this many more requests.
    pub fn fail_after(&self, answers: u32) {
        self.lock().answers_left = Some(answers);
    }

    /// It answers again, with everything it knew.
    pub fn come_back(&self) {
        let mut state = self.lock();
        (state.is_away, state.answers_left) = (false, None);
    }

    /// The next requests fail without an effect.
    pub fn fail_next(&self, count: u32) {
        self.lock().failures_left = count;
    }

    /// The next requests take effect, but their answers are lost: to the caller they failed.
    pub fn lose_answers(&self, count: u32) {
        self.lock().answers_to_lose = count;
    }

    /// It forgets everything but its vhosts and its administrator, as after a lost disk.
    pub fn wipe(&self) {
        let mut state = self.lock();
        state.close("the broker lost its data", |_| true);
        *state = State {
            vhosts: std::mem::take(&mut state.vhosts),
            closed: std::mem::take(&mut state.closed),
            calls: std::mem::take(&mut state.calls),
            ..State::default()
        };
    }

    /// The requests so far, oldest first, such as `PUT user ns-1`. Failed ones are among them.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// Forgets the requests so far.
    pub fn forget_calls(&self) {
        self.lock().calls.clear();
    }

    /// Whether this login works. An empty password never does.
    pub fn can_login(&self, user: &str, password: &Secret) -> bool {
        match self.lock().users.get(user).map(|account| &account.login) {
            Some(Login::Hash(hash)) => !password.expose().is_empty() && hash.matches(password),
            Some(Login::Locked) | None => false,
        }
    }

    /// Adds a vhost.
    pub fn add_vhost(&self, vhost: &VhostName) {
        self.lock().vhosts.insert(vhost.to_string());
    }

    /// Adds a queue, or changes one of that name.
    pub fn put_queue(&self, vhost: &VhostName, queue: Queue) {
        self.lock().queues.insert((vhost.to_string(), queue.name.clone()), queue);
    }

    /// Adds an exchange, or changes one of that name.
    pub fn put_exchange(&self, vhost: &VhostName, exchange: Exchange) {
        self.lock().exchanges.insert((vhost.to_string(), exchange.name.clone()), exchange);
    }

    /// Raises these alarms; none clears them.
    pub fn raise_alarms(&self, alarms: Vec<Alarm>) {
        self.lock().alarms = alarms;
    }

    /// A client connects and stays. The answer is the connection's name, or `None` when the login does not work or
    /// the user may not use the vhost.
    pub fn connect(&self, user: &str, password: &Secret, vhost: &VhostName, at: Timestamp) -> Option<String> {
        let may_enter = self.lock().permissions.contains_key(&(vhost.to_string(), user.to_owned()));
        if !may_enter || !self.can_login(user, password) {
            return None;
        }
        let mut state = self.lock();
        state.connections_made = state.connections_made.wrapping_add(1);
        let connection = Connection {
            name: format!("127.0.0.1:{} -> 127.0.0.1:5672", state.connections_made),
            user: user.to_owned(),
            vhost: Some(vhost.to_string()),
            node: Some("memory@localhost".to_owned()),
            connected_at: Some(at),
            client_name: None,
            peer_host: Some("127.0.0.1".to_owned()),
        };
        let name = connection.name.clone();
        state.connections.insert(name.clone(), connection);
        Some(name)
    }

    /// Connections that were closed, oldest first, each with the reason its client read.
    pub fn closed(&self) -> Vec<(String, String)> {
        self.lock().closed.clone()
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn overview(&self) -> Result<Overview> {
        self.request("GET overview".to_owned(), |_| {
            Ok(Overview { version: "3.10.8".to_owned(), cluster_name: "memory".to_owned() })
        })
    }

    async fn whoami(&self) -> Result<User> {
        self.request("GET whoami".to_owned(), |_| {
            Ok(User { name: ADMINISTRATOR.to_owned(), tags: vec![ADMINISTRATOR.to_owned()] })
        })
    }

    async fn vhost_exists(&self, vhost: &VhostName) -> Result<bool> {
        self.request(format!("GET vhost {vhost}"), |state| Ok(state.vhosts.contains(vhost.as_str())))
    }

    async fn alarms(&self) -> Result<Vec<Alarm>> {
        self.request("GET alarms".to_owned(), |state| Ok(state.alarms.clone()))
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
                _ => Ok(state.queues.remove(&key).is_some()),
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
            Ok(state.exchanges.remove(&(vhost.to_string(), name.to_owned())).is_some())
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
