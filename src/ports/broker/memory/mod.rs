//! A broker in memory: an honest model for hermetic tests, held to the same contract as the real one.
//!
//! It models what decides the outcome of our calls: users, hashes, permissions, connections, and every way a call
//! can fail. Patterns are opaque texts to it: it neither compiles nor applies them.

mod cluster;
mod connections;
mod identity;
mod messages;
mod queue_limits;
mod resources;
mod subscriptions;
mod topology;
mod users;
mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::{AccountName, Error, Result, Secret, Timestamp, VhostName};
use crate::ports::broker::cluster::Alarm;
use crate::ports::broker::connections::Connection;
use crate::ports::broker::handle::{Broker, Handle};
use crate::ports::broker::identity::Credentials;
use crate::ports::broker::messages::Message;
use crate::ports::broker::metrics::Calls;
use crate::ports::broker::password::PasswordHash;
use crate::ports::broker::places::Place;
use crate::ports::broker::resources::{Key, Resource};
use crate::ports::broker::subscriptions::Subscription;
use crate::ports::broker::topology::{Binding, Depth, Exchange, Queue};
use crate::ports::broker::users::{Access, Limits, Login, TopicAccess};
use crate::ports::broker::versions::Version;

/// Its one node.
const NODE: &str = "memory@localhost";
/// Which broker it plays when nobody says: that of Debian 12.
const VERSION: Version = Version { major: 3, minor: 10, patch: 8 };
/// Who we are to it by the settings.
const ADMINISTRATOR: &str = "administrator";
/// The password that the settings have for it.
const SETTINGS_PASSWORD: &str = "settings";

/// A [`Broker`](super::Broker) in memory. Clones share one state, so a test keeps one to look into and to make trouble.
#[derive(Clone, Default)]
pub struct MemoryBroker {
    state: Arc<Mutex<State>>,
    calls: Arc<Calls>,
}

struct State {
    users: BTreeMap<String, Account>,
    vhosts: BTreeSet<String>,
    permissions: BTreeMap<(String, String), Access>,
    topics: BTreeMap<(String, String, String), TopicAccess>,
    limits: BTreeMap<String, Limits>,
    queues: BTreeMap<(String, String), Queue>,
    /// Where queues are that are elsewhere than on our node.
    places: BTreeMap<(String, String), Place>,
    /// What queues say of themselves, where lists are behind.
    depths: BTreeMap<(String, String), Depth>,
    /// Messages of queues whose tests care what they are; others have counts only.
    messages: BTreeMap<(String, String), VecDeque<Message>>,
    exchanges: BTreeMap<(String, String), Exchange>,
    /// With what queues of our own were declared.
    subscriptions: BTreeMap<(String, String), Subscription>,
    bindings: BTreeSet<(String, Binding)>,
    /// What was declared by [`Resources`](crate::ports::broker::Resources), by vhost.
    declared: BTreeMap<(String, Key), Resource>,
    connections: BTreeMap<String, Connection>,
    closed: Vec<(String, String)>,
    alarms: Vec<Alarm>,
    /// Whether it knows since when there are connections.
    keeps_no_statistics: bool,
    /// Which broker it plays.
    version: Version,
    /// Patterns that it cannot read.
    unreadable: BTreeSet<String>,
    /// Nodes that its own one lost sight of.
    partitions: Vec<String>,
    /// Further nodes, and whether they run.
    further_nodes: BTreeMap<String, bool>,
    /// What time it says it is.
    time: Option<Timestamp>,
    /// The login that we were given, and whether it was refused since.
    given: Option<Credentials>,
    is_refused: bool,
    calls: Vec<String>,
    connections_made: u16,
    is_away: bool,
    failures_left: u32,
    /// Calls that it always fails.
    refused: BTreeSet<String>,
    answers_to_lose: u32,
    /// Requests whose answers arrive before one is lost.
    answers_until_loss: Option<u32>,
    are_drains_held: bool,
    /// Requests it still answers before it goes away.
    answers_left: Option<u32>,
}

struct Account {
    login: Login,
    tags: Vec<String>,
}

impl Default for State {
    fn default() -> Self {
        let login = Login::Hash(PasswordHash::of(&Secret::new(SETTINGS_PASSWORD)));
        let administrator = Account { login, tags: vec![ADMINISTRATOR.to_owned()] };
        Self {
            users: BTreeMap::from([(ADMINISTRATOR.to_owned(), administrator)]),
            vhosts: BTreeSet::from(["/".to_owned()]),
            permissions: BTreeMap::new(),
            topics: BTreeMap::new(),
            limits: BTreeMap::new(),
            queues: BTreeMap::new(),
            places: BTreeMap::new(),
            depths: BTreeMap::new(),
            messages: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            bindings: BTreeSet::new(),
            declared: BTreeMap::new(),
            connections: BTreeMap::new(),
            closed: Vec::new(),
            alarms: Vec::new(),
            keeps_no_statistics: false,
            version: VERSION,
            unreadable: BTreeSet::new(),
            partitions: Vec::new(),
            further_nodes: BTreeMap::new(),
            time: None,
            given: None,
            is_refused: false,
            calls: Vec::new(),
            connections_made: 0,
            is_away: false,
            failures_left: 0,
            refused: BTreeSet::new(),
            answers_to_lose: 0,
            answers_until_loss: None,
            are_drains_held: false,
            answers_left: None,
        }
    }
}

impl State {
    /// Who asks: the login that we were given, or when it is refused that of the settings.
    fn admit(&mut self) -> Result<String> {
        if let Some(given) = self.given.as_ref().filter(|_| !self.is_refused) {
            if self.lets_in(given.user.as_str(), &given.password) {
                return Ok(given.user.to_string());
            }
            self.is_refused = true;
        }
        if self.lets_in(ADMINISTRATOR, &Secret::new(SETTINGS_PASSWORD)) {
            return Ok(ADMINISTRATOR.to_owned());
        }
        self.is_refused = false;
        Err(Error::unavailable("the broker refuses our login").because("neither login works"))
    }

    fn lets_in(&self, user: &str, password: &Secret) -> bool {
        match self.users.get(user).map(|account| &account.login) {
            Some(Login::Hash(hash)) => !password.expose().is_empty() && hash.matches(password),
            Some(Login::Locked) | None => false,
        }
    }

    fn require_user(&self, user: &AccountName) -> Result<()> {
        if self.users.contains_key(user.as_str()) {
            return Ok(());
        }
        Err(Error::not_found("the broker has no such user"))
    }

    fn require_vhost(&self, vhost: &VhostName) -> Result<()> {
        if self.vhosts.contains(vhost.as_str()) {
            Ok(())
        } else {
            Err(Error::not_found("the broker has no such vhost"))
        }
    }

    fn reads(&self, pattern: &str) -> bool {
        !self.unreadable.contains(pattern)
    }

    fn put_permission(&mut self, vhost: &VhostName, user: &AccountName, access: &Access) -> Result<()> {
        self.require_user(user)?;
        self.require_vhost(vhost)?;
        if ![&access.configure, &access.write, &access.read].into_iter().all(|pattern| self.reads(pattern)) {
            return Err(Error::invalid("the broker cannot read a pattern of these permissions"));
        }
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

impl MemoryBroker {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This broker, as the parts of an appliance hold it.
    pub fn handle(&self) -> Handle<dyn Broker> {
        Handle::new(Some(Arc::new(self.clone())))
    }

    /// One request: it is recorded, may fail before it has an effect, or lose its answer after.
    fn request<T>(&self, call: String, effect: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.reach(call, |state| {
            state.admit()?;
            effect(state)
        })
    }

    /// The same, whoever we are.
    fn reach<T>(&self, call: String, effect: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let outcome = self.take(call, effect);
        self.calls.count(&outcome, Duration::ZERO);
        outcome
    }

    fn take<T>(&self, call: String, effect: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.lock();
        let is_refused = state.refused.contains(&call);
        state.calls.push(call);
        match &mut state.answers_left {
            Some(0) => (state.is_away, state.answers_left) = (true, None),
            Some(left) => *left -= 1,
            None => {}
        }
        if state.is_away || is_refused {
            return Err(unavailable());
        }
        if state.failures_left > 0 {
            state.failures_left -= 1;
            return Err(unavailable());
        }
        let answer = effect(&mut state);
        match &mut state.answers_until_loss {
            Some(0) => (state.answers_to_lose, state.answers_until_loss) = (1, None),
            Some(left) => *left -= 1,
            None => {}
        }
        if state.answers_to_lose > 0 {
            state.answers_to_lose -= 1;
            return Err(unavailable());
        }
        answer
    }
}
