//! Who we are to the broker.

use async_trait::async_trait;

use super::users::{Access, User};
use crate::base::{AccountName, Result, Secret, VhostName};

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

/// Who we are to the broker, and what a login would be good for.
#[async_trait]
pub trait Identity: Send + Sync {
    /// Which user we are to the broker.
    async fn whoami(&self) -> Result<User>;

    /// The same with what we may do in a vhost ourselves.
    async fn rights(&self, vhost: &VhostName) -> Result<Proven>;

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
}
