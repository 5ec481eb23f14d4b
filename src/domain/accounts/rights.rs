//! What we may do at the broker, and who there looks like us.

use super::administrator::everything;
use super::{Administrator, NAME_PREFIX};
use crate::base::{AccountName, Result, VhostName};
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

    /// Who we are to the broker, as far as the requests so far have shown. `Unavailable` while no broker is configured.
    pub fn acting(&self) -> Result<String> {
        Ok(self.identity.get()?.acting().user)
    }

    /// Whether we may declare anything in a vhost. We may not where there is no such vhost.
    pub async fn may_declare_in(&self, vhost: &VhostName) -> Result<bool> {
        Ok(self.identity.get()?.rights(vhost).await?.access == Some(everything()))
    }

    /// Gives ourselves the right to declare in a vhost, which the broker gives only to whoever made it.
    pub async fn enter(&self, vhost: &VhostName) -> Result<()> {
        let acting = AccountName::parse(&self.acting()?)?;
        self.accounts.main().users.get()?.put_permission(vhost, &acting, &everything()).await
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
