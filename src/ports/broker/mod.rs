//! The message broker, as far as we need it: its users, permissions, queues, exchanges, bindings and connections.
//!
//! Two full implementations, held to one contract suite (`tests/broker/contract.rs`): [`ManagementBroker`] speaks
//! to RabbitMQ's management API, [`MemoryBroker`] is a model for hermetic tests.

mod advice;
mod calls;
mod http;
mod logins;
mod management;
mod memory;
mod password;
mod versions;
mod wire;

use async_trait::async_trait;

use crate::base::{AccountName, Error, Result, Secret, Timestamp, VhostName};

pub use calls::Calls;
pub use management::{ManagementBroker, ManagementSettings};
pub use memory::MemoryBroker;
pub use password::PasswordHash;
pub use versions::Support;

/// The version and name of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// RabbitMQ's version, such as `3.10.8`.
    pub version: String,
    /// The cluster's name. Not an identity: it defaults to a host name (rabbitmq.md 2.7).
    pub cluster_name: String,
    /// What time it is there, in whole seconds, if it says.
    pub time: Option<Timestamp>,
}

impl Overview {
    /// What is known of this version.
    pub fn support(&self) -> Support {
        versions::support(&self.version)
    }
}

/// A node of the broker's cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Its name, such as `rabbit@a`.
    pub name: String,
    /// Whether it runs.
    pub is_running: bool,
    /// Nodes that it lost sight of; both sides may have gone on alone.
    pub partitions: Vec<String>,
}

/// A user as the broker tells it. Its password hash is never read (rabbitmq.md, fact 10).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    /// The name; any text, for the broker takes names that we would not.
    pub name: String,
    /// `administrator`, `management`, …; empty for a user that only speaks AMQP.
    pub tags: Vec<String>,
}

/// A login of an administrator.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user.
    pub user: AccountName,
    /// Its password.
    pub password: Secret,
}

/// What a login turned out to be good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Who it is, with tags.
    pub user: User,
    /// What it may do in the vhost; nothing when it may not enter.
    pub access: Option<Access>,
}

/// Who we are to the broker at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acting {
    /// The user.
    pub user: String,
    /// Whether the broker refused the login that we were given, so that the one of the settings stands in.
    pub is_refused: bool,
}

/// How a user logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// With the password of this hash.
    Hash(PasswordHash),
    /// Not at all, until the next wish (rabbitmq.md, fact 2).
    Locked,
}

/// What a user should be. It is always complete: the broker clears what a request leaves out (rabbitmq.md, fact 1).
#[derive(Clone, Debug)]
pub struct UserWish<'a> {
    /// Which user.
    pub name: &'a AccountName,
    /// How it logs in from now on. Its open connections stay open (rabbitmq.md, fact 3).
    pub login: Login,
    /// Its tags; others are taken away.
    pub tags: &'a [String],
    /// Its permissions in these vhosts. Permissions elsewhere stay as they are.
    pub permissions: &'a [(VhostName, Access)],
}

/// Three regular expressions over names of resources. The empty one allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// What may be declared and deleted.
    pub configure: String,
    /// What may be published to, and queues that may be bound.
    pub write: String,
    /// What may be consumed, and exchanges that may be bound to.
    pub read: String,
}

/// What a user may do in a vhost, as the broker tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// Where.
    pub vhost: String,
    /// Who.
    pub user: String,
    /// What.
    pub access: Access,
}

/// A queue as the broker tells it.
///
/// **Invariant:** `None` means that the broker did not say, never zero (rabbitmq.md, fact 7).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queue {
    /// The name.
    pub name: String,
    /// Messages in it, ready and unacknowledged.
    pub messages: Option<u64>,
    /// Those that wait for a consumer.
    pub ready: Option<u64>,
    /// Those that a consumer has in hand.
    pub unacknowledged: Option<u64>,
    /// Bytes of these messages, without their headers. The broker leaves it out of lists; ask for the single queue.
    pub bytes: Option<u64>,
    /// Consumers. The broker leaves it out of lists; ask for the single queue.
    pub consumers: Option<u64>,
    /// `running`, `down`, ….
    pub state: Option<String>,
    /// `classic`, `quorum` or `stream`.
    pub kind: Option<String>,
    /// Whether it belongs to one connection and cannot be deleted by us.
    pub exclusive: Option<bool>,
}

/// An exchange as the broker tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange {
    /// The name; empty for the default exchange.
    pub name: String,
    /// `direct`, `topic`, ….
    pub kind: Option<String>,
}

/// A rule by which an exchange hands messages on, as the broker tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// The exchange that hands on.
    pub source: String,
    /// Where to.
    pub destination: Destination,
    /// Which messages; what it means depends on the type of the exchange.
    pub routing_key: String,
}

/// What is bound to an exchange.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// The queue of this name.
    Queue(String),
    /// The exchange of this name.
    Exchange(String),
}

impl Destination {
    /// The name of either.
    pub fn name(&self) -> &str {
        match self {
            Self::Queue(name) | Self::Exchange(name) => name,
        }
    }

    /// `queue` or `exchange`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Exchange(_) => "exchange",
        }
    }
}

/// A connection as the broker tells it. A new one may be missing from the list for five seconds (rabbitmq.md 2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// The broker's name for it, such as `10.1.2.3:40000 -> 10.1.2.4:5672`.
    pub name: String,
    /// Who logged in.
    pub user: String,
    /// Where to.
    pub vhost: Option<String>,
    /// The broker's node that holds it.
    pub node: Option<String>,
    /// Since when; not told by a broker that collects no statistics.
    pub connected_at: Option<Timestamp>,
    /// The name the client gave itself.
    pub client_name: Option<String>,
    /// The address it comes from.
    pub peer_host: Option<String>,
}

/// A reason for which the broker blocks publishers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    /// The node in trouble.
    pub node: String,
    /// What is short: `memory`, `disk`, ….
    pub resource: String,
}

/// What we ask of a broker. Every call may be repeated: it says what should be, not what to change.
///
/// Errors, everywhere: `Unavailable` when the broker is away, in trouble, or refuses *our* login or rights (the
/// source chain advises the operator); the outcome is then unknown. `NotFound` for an unknown vhost or user that
/// the call needs. `Invalid` for a name or pattern it does not take.
#[async_trait]
pub trait Broker: Send + Sync {
    /// What broker this is. The cheapest question that proves address, login and rights.
    async fn overview(&self) -> Result<Overview>;

    /// Which user we are to the broker.
    async fn whoami(&self) -> Result<User>;

    /// From the next request on we are this administrator, or with `None` the one of the settings. Requests in flight
    /// lose nothing: one that is refused because of this is made again.
    ///
    /// **Invariant:** a login that the broker refuses does not lock us out: the one of the settings stands in until this is
    /// called again.
    fn act_as(&self, login: Option<Credentials>) -> Result<()>;

    /// Who we are, as far as the requests so far have shown.
    fn acting(&self) -> Acting;

    /// What a login is good for, without becoming it. `None` when the broker refuses it.
    async fn prove(&self, login: &Credentials, vhost: &VhostName) -> Result<Option<Proven>>;

    /// How our calls went so far.
    fn counts(&self) -> &Calls;

    /// Whether there is such a vhost.
    async fn vhost_exists(&self, vhost: &VhostName) -> Result<bool>;

    /// The alarms in force; empty when all is well.
    async fn alarms(&self) -> Result<Vec<Alarm>>;

    /// The nodes of its cluster.
    async fn nodes(&self) -> Result<Vec<Node>>;

    /// What a user may do in a vhost; `None` when it may not enter, or there is no such user.
    async fn access(&self, vhost: &VhostName, user: &AccountName) -> Result<Option<Access>>;

    /// Makes a user what it should be, whatever it was. Not in one step: on failure the user may have its login
    /// without its permissions. `Conflict` when the broker protects the user.
    async fn put_user(&self, wish: &UserWish<'_>) -> Result<()>;

    /// The same for a user that is known to have its permissions: one request instead of several. They go along for
    /// the case that the user is gone and is made again.
    async fn put_login(&self, wish: &UserWish<'_>) -> Result<()>;

    /// Deletes a user with its permissions, and closes its connections at once. False when there was none, or when
    /// an earlier try whose answer was lost deleted it.
    async fn delete_user(&self, name: &AccountName) -> Result<bool>;

    /// One user.
    async fn user(&self, name: &AccountName) -> Result<Option<User>>;

    /// All users.
    async fn users(&self) -> Result<Vec<User>>;

    /// Gives a user exactly this access to a vhost. Busy channels notice late (rabbitmq.md, fact 4).
    async fn put_permission(&self, vhost: &VhostName, user: &AccountName, access: &Access) -> Result<()>;

    /// Takes a user's access to a vhost away. False when there was none.
    async fn delete_permission(&self, vhost: &VhostName, user: &AccountName) -> Result<bool>;

    /// All permissions of all users.
    async fn permissions(&self) -> Result<Vec<Permission>>;

    /// The queues of a vhost. Absence from one list proves nothing: those of a lost node go missing for a moment.
    async fn queues(&self, vhost: &VhostName) -> Result<Vec<Queue>>;

    /// The queues of a vhost with what the broker's statistics know of them, which is seconds old: names and consumers. For
    /// many queues it takes the broker twice as long as [`Broker::queues`].
    async fn queues_with_consumers(&self, vhost: &VhostName) -> Result<Vec<Queue>>;

    /// One queue. `None` also while its node is down.
    async fn queue(&self, vhost: &VhostName, name: &str) -> Result<Option<Queue>>;

    /// Deletes a queue with its messages. False when there was none, or its node is down. `Conflict` when it belongs
    /// to a connection: close that.
    async fn delete_queue(&self, vhost: &VhostName, name: &str) -> Result<bool>;

    /// Throws away the messages of a queue that wait; those that a consumer has in hand stay. False when there is no such
    /// queue. `Conflict` for one that belongs to a connection.
    async fn purge_queue(&self, vhost: &VhostName, name: &str) -> Result<bool>;

    /// The exchanges of a vhost, with those that the broker brings along.
    async fn exchanges(&self, vhost: &VhostName) -> Result<Vec<Exchange>>;

    /// Deletes an exchange. False when there was none. `Forbidden` for those that the broker brings along.
    async fn delete_exchange(&self, vhost: &VhostName, name: &str) -> Result<bool>;

    /// The bindings of a vhost, without those by which the default exchange reaches every queue.
    async fn bindings(&self, vhost: &VhostName) -> Result<Vec<Binding>>;

    /// All connections of all users.
    async fn connections(&self) -> Result<Vec<Connection>>;

    /// Closes one connection; its client reads the reason. False when there was none.
    async fn close_connection(&self, name: &str, reason: &str) -> Result<bool>;

    /// Closes every connection of a user, also those too new to be listed. No such user is no error.
    async fn close_connections_of(&self, user: &AccountName, reason: &str) -> Result<()>;
}

/// Refuses the names that a URL cannot express: the empty one, `.` and `..` (rabbitmq.md 2.1).
fn require_reachable(name: &str) -> Result<()> {
    match name {
        "" | "." | ".." => Err(Error::invalid("the broker's API cannot reach this name")),
        _ => Ok(()),
    }
}

/// Refuses the broker's own exchanges. It would refuse, too, in the words it has for a missing right of ours.
fn require_deletable_exchange(name: &str) -> Result<()> {
    match name.starts_with("amq.") {
        true => Err(Error::forbidden("exchanges named amq.* belong to the broker")),
        false => require_reachable(name),
    }
}
