//! The test's side: the world around the broker, and the trouble it can be in.

use super::{ADMINISTRATOR, MemoryBroker, NODE, SETTINGS_PASSWORD, State};
use crate::base::{Secret, Timestamp, VhostName};
use crate::ports::broker::cluster::Alarm;
use crate::ports::broker::connections::Connection;
use crate::ports::broker::password::PasswordHash;
use crate::ports::broker::places::Place;
use crate::ports::broker::topology::{Binding, Depth, Exchange, Queue};
use crate::ports::broker::users::Login;
use crate::ports::broker::versions::Version;

impl MemoryBroker {
    /// It plays the broker of this version from now on.
    pub fn play(&self, version: Version) {
        self.lock().version = version;
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

    /// While they are held, queues hand nothing out to those who drain them.
    pub fn hold_drains(&self, are_held: bool) {
        self.lock().are_drains_held = are_held;
    }

    /// The next requests fail without an effect.
    pub fn fail_next(&self, count: u32) {
        self.lock().failures_left = count;
    }

    /// This request fails from now on, as [`MemoryBroker::calls`] has it.
    pub fn refuse(&self, call: &str) {
        self.lock().refused.insert(call.to_owned());
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
            version: state.version,
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

    /// Puts the queue of this name on these nodes.
    pub fn put_place(&self, vhost: &VhostName, place: Place) {
        self.lock().places.insert((vhost.to_string(), place.name.clone()), place);
    }

    /// Adds a node to the cluster, which runs or not.
    pub fn put_node(&self, name: &str, is_running: bool) {
        self.lock().further_nodes.insert(name.to_owned(), is_running);
    }

    /// The queue itself says this from now on; lists and statistics go on as they are.
    pub fn put_depth(&self, vhost: &VhostName, name: &str, depth: Depth) {
        self.lock().depths.insert((vhost.to_string(), name.to_owned()), depth);
    }

    /// Adds an exchange, or changes one of that name.
    pub fn put_exchange(&self, vhost: &VhostName, exchange: Exchange) {
        self.lock().exchanges.insert((vhost.to_string(), exchange.name.clone()), exchange);
    }

    /// Binds what is there to an exchange that is there; once more changes nothing.
    pub fn bind(&self, vhost: &VhostName, binding: Binding) {
        self.lock().bindings.insert((vhost.to_string(), binding));
    }

    /// It keeps no statistics from now on, so that nobody knows since when there are connections.
    pub fn keep_no_statistics(&self) {
        self.lock().keeps_no_statistics = true;
    }

    /// It says what time it is; by itself it does not.
    pub fn set_time(&self, time: Timestamp) {
        self.lock().time = Some(time);
    }

    /// Its node loses sight of these; none mends it.
    pub fn partition(&self, from: Vec<String>) {
        self.lock().partitions = from;
    }

    /// It cannot read this pattern from now on, as after an upgrade; permissions that it has stay.
    pub fn refuse_pattern(&self, pattern: &str) {
        self.lock().unreadable.insert(pattern.to_owned());
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
