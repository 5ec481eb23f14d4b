//! The broker's users: how they log in and what they may do.

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::password::PasswordHash;
use crate::base::{AccountName, Result, VhostName};

/// A user as the broker tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name; any text, for the broker takes names that we would not.
    pub name: String,
    /// `administrator`, `management`, …; empty for a user that only speaks AMQP.
    pub tags: Vec<String>,
    /// How it logs in; `None` where the broker does not say.
    pub login: Option<Login>,
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

/// With which routing keys a user may use a topic exchange that it may use at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicAccess {
    /// The exchange. Keys of others are free.
    pub exchange: String,
    /// Keys it may publish with.
    pub write: String,
    /// Keys it may bind with.
    pub read: String,
}

/// The same as the broker tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPermission {
    /// Where.
    pub vhost: String,
    /// Who.
    pub user: String,
    /// What.
    pub access: TopicAccess,
}

/// How much of the broker a user may take. `None` is without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limits {
    /// Connections at once; with 0 it cannot log in over AMQP.
    pub max_connections: Option<u32>,
    /// Channels at once, over all its connections.
    pub max_channels: Option<u32>,
}

/// The limits of a user that has any, as the broker tells them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserLimits {
    /// Who.
    pub user: String,
    /// What.
    pub limits: Limits,
}

/// Users and what they may do.
///
/// **Invariant:** nothing but `domain/accounts` holds this: whoever changes users otherwise would be undone by `reconcile`.
#[async_trait]
pub trait Users: Send + Sync {
    /// Makes a user what it should be, whatever it was. Not in one step: on failure the user may have its login
    /// without its permissions. `Conflict` when the broker protects the user.
    async fn put_user(&self, wish: &UserWish<'_>) -> Result<()>;

    /// The same for a user that is known to have its permissions: one request instead of several. They go along for
    /// the case that the user is gone and is made again.
    async fn put_login(&self, wish: &UserWish<'_>) -> Result<()>;

    /// Deletes a user with its permissions, and closes its connections at once. False when there was none, or when
    /// an earlier try whose answer was lost deleted it.
    async fn delete_user(&self, name: &AccountName) -> Result<bool>;

    /// Deletes these, as [`Self::delete_user`] does. One that is not there is no failure. On an error some may be gone.
    async fn delete_users(&self, names: &[AccountName]) -> Result<()> {
        try_join_all(names.iter().map(|name| self.delete_user(name))).await.map(drop)
    }

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

    /// Gives a user exactly this access to the routing keys of one exchange; what holds for other exchanges stays. RabbitMQ
    /// 4.3 refuses an exchange that is not there with `Invalid`, older ones take it.
    async fn put_topic_permission(&self, vhost: &VhostName, user: &AccountName, access: &TopicAccess) -> Result<()>;

    /// Frees the routing keys of all exchanges of a vhost: the broker cannot do that for one of them. False when they were.
    async fn delete_topic_permissions(&self, vhost: &VhostName, user: &AccountName) -> Result<bool>;

    /// All topic permissions of all users.
    async fn topic_permissions(&self) -> Result<Vec<TopicPermission>>;

    /// Gives a user exactly these limits. Its open connections stay. Brokers before 3.8.10 know no limits: `Invalid` for any.
    async fn put_limits(&self, user: &AccountName, limits: &Limits) -> Result<()>;

    /// The limits of all users that have some.
    async fn limits(&self) -> Result<Vec<UserLimits>>;
}
