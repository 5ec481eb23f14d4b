//! A broker in memory: an honest model for hermetic tests, held to the same contract as the real one.
//!
//! It models what decides the outcome of our calls: users, hashes, permissions, connections, and every way a call
//! can fail. Patterns are opaque texts to it: it neither compiles nor applies them.

mod cluster;
mod connections;
mod identity;
mod resources;
mod topology;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::{AccountName, Error, Result, Secret, Timestamp, VhostName};
use crate::ports::broker::cluster::Alarm;
use crate::ports::broker::connections::Connection;
use crate::ports::broker::handle::{Broker, Handle};
use crate::ports::broker::identity::Credentials;
use crate::ports::broker::metrics::Calls;
use crate::ports::broker::password::PasswordHash;
use crate::ports::broker::resources::{Key, Resource};
use crate::ports::broker::topology::{Binding, Exchange, Queue};
use crate::ports::broker::users::{Access, Limits, Login, TopicAccess};

/// Its one node.
const NODE: &str = "memory@localhost";
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
    exchanges: BTreeMap<(String, String), Exchange>,
    bindings: BTreeSet<(String, Binding)>,
    /// What was declared by [`Resources`](crate::ports::broker::Resources), by vhost.
    declared: BTreeMap<(String, Key), Resource>,
    connections: BTreeMap<String, Connection>,
    closed: Vec<(String, String)>,
    alarms: Vec<Alarm>,
    /// Nodes that its own one lost sight of.
    partitions: Vec<String>,
    /// What time it says it is.
    time: Option<Timestamp>,
    /// The login that we were given, and whether it was refused since.
    given: Option<Credentials>,
    is_refused: bool,
    calls: Vec<String>,
    connections_made: u16,
    is_away: bool,
    failures_left: u32,
    answers_to_lose: u32,
    /// Requests whose answers arrive before one is lost.
    answers_until_loss: Option<u32>,
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
            exchanges: BTreeMap::new(),
            bindings: BTreeSet::new(),
            declared: BTreeMap::new(),
            connections: BTreeMap::new(),
            closed: Vec::new(),
            alarms: Vec::new(),
            partitions: Vec::new(),
            time: None,
            given: None,
            is_refused: false,
            calls: Vec::new(),
            connections_made: 0,
            is_away: false,
            failures_left: 0,
            answers_to_lose: 0,
            answers_until_loss: None,
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

    fn put_permission(&mut self, vhost: &VhostName, user: &AccountName, access: &Access) -> Result<()> {
        self.require_user(user)?;
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

    /// After so many more requests one takes effect whose answer is lost.
    pub fn lose_answer_after(&self, answers: u32) {
        self.lock().answers_until_loss = Some(answers);
    }

    /// Whether that has come.
    pub fn has_lost_an_answer(&self) -> bool {
        self.lock().answers_until_loss.is_none()
    }

    /// Whether nothing answers.
    pub fn is_away(&self) -> bool {
        self.lock().is_away
    }

    /// It forgets everything but its vhosts and its administrator, as after a lost disk.
    pub fn wipe(&self) {
        let mut state = self.lock();
        state.close("the broker lost its data", |_| true);
        *state = State {
            vhosts: std::mem::take(&mut state.vhosts),
            closed: std::mem::take(&mut state.closed),
            calls: std::mem::take(&mut state.calls),
            given: state.given.take(),
            is_refused: state.is_refused,
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
        self.lock().lets_in(user, password)
    }

    /// Nobody logs in with the password of the settings any more, as when an operator took it away.
    pub fn lock_settings_login(&self) {
        self.settings_login(Login::Locked);
    }

    /// The operator gives it back.
    pub fn unlock_settings_login(&self) {
        self.settings_login(Login::Hash(PasswordHash::of(&Secret::new(SETTINGS_PASSWORD))));
    }

    fn settings_login(&self, login: Login) {
        if let Some(administrator) = self.lock().users.get_mut(ADMINISTRATOR) {
            administrator.login = login;
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

    /// Binds what is there to an exchange that is there; once more changes nothing.
    pub fn bind(&self, vhost: &VhostName, binding: Binding) {
        self.lock().bindings.insert((vhost.to_string(), binding));
    }

    /// It says what time it is; by itself it does not.
    pub fn set_time(&self, time: Timestamp) {
        self.lock().time = Some(time);
    }

    /// Its node loses sight of these; none mends it.
    pub fn partition(&self, from: Vec<String>) {
        self.lock().partitions = from;
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
            node: Some(NODE.to_owned()),
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
