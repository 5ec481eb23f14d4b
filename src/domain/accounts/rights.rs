//! What we may do at the broker, and who there looks like us.

use std::collections::HashSet;

use super::administrator::everything;
use super::drift::CHUNK;
use super::record::{LoginKind, MARKS, Marks};
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

    /// Accounts that the main broker was never told of, where somebody else has a user of the name: in the way until one of
    /// the two goes.
    pub async fn in_the_way(&self) -> Result<Vec<AccountName>> {
        let site = self.accounts.main();
        let users: HashSet<String> = site.users.get()?.users().await?.into_iter().map(|user| user.name).collect();
        let (mut names, mut chunks) = (Vec::new(), self.accounts.store.chunks(&MARKS, CHUNK));
        while let Some(rows) = chunks.next().await? {
            let is_untold =
                |marks: &Marks| !marks.settled.contains_key(&site.name) && !matches!(marks.login, LoginKind::Gone);
            let taken = rows.into_iter().filter(|(name, marks)| is_untold(marks) && users.contains(name.as_str()));
            names.extend(taken.map(|(name, _)| name));
        }
        Ok(names)
    }

    /// Administrators that look like ours and are not.
    pub async fn strangers(&self) -> Result<Vec<String>> {
        let status = self.status()?;
        let ours = |name: &str| status.accounts.iter().any(|status| status.account.as_str() == name);
        let users = self.accounts.main().users.get()?.users().await?.into_iter().map(|user| user.name);
        Ok(users.filter(|name| name.starts_with(NAME_PREFIX) && !ours(name)).collect())
    }
}
