//! What we may do at the broker, and who there looks like us.

use super::{Administrator, NAME_PREFIX};
use crate::base::Result;
use crate::ports::broker::{Proven, User};

impl Administrator {
    /// Which user we are to the broker.
    pub async fn whoami(&self) -> Result<User> {
        self.identity.get()?.whoami().await
    }

    /// The same with what we may do ourselves in the vhost where users are lent: queues and exchanges are deleted by that.
    pub async fn rights(&self) -> Result<Proven> {
        self.identity.get()?.rights(&self.vhost).await
    }

    /// Whether the broker refused the administrator of the store; `None` while no broker is configured.
    pub fn is_refused(&self) -> Option<bool> {
        self.identity.get().ok().map(|identity| identity.acting().is_refused)
    }

    /// Administrators that look like ours and are not.
    pub async fn strangers(&self) -> Result<Vec<String>> {
        let status = self.status()?;
        let ours = |name: &str| status.accounts.iter().any(|status| status.account.as_str() == name);
        let users = self.accounts.main().users.get()?.users().await?.into_iter().map(|user| user.name);
        Ok(users.filter(|name| name.starts_with(NAME_PREFIX) && !ours(name)).collect())
    }
}
