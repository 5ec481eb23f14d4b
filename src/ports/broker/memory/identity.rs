//! Who we are to the model.

use async_trait::async_trait;

use super::{ADMINISTRATOR, MemoryBroker};
use crate::base::{Result, VhostName};
use crate::ports::broker::identity::{Acting, Credentials, Identity, Proven};
use crate::ports::broker::users::User;

#[async_trait]
impl Identity for MemoryBroker {
    async fn whoami(&self) -> Result<User> {
        self.request("GET whoami".to_owned(), |state| {
            let name = state.admit()?;
            let tags = state.users.get(&name).map(|account| account.tags.clone()).unwrap_or_default();
            Ok(User { name, tags, ..User::default() })
        })
    }

    async fn rights(&self, vhost: &VhostName) -> Result<Proven> {
        let user = self.whoami().await?;
        self.request(format!("GET permission {vhost} {}", user.name), |state| {
            let access = state.permissions.get(&(vhost.to_string(), user.name.clone())).cloned();
            Ok(Proven { user, access })
        })
    }

    fn act_as(&self, login: Option<Credentials>) -> Result<()> {
        let mut state = self.lock();
        (state.given, state.is_refused) = (login, false);
        Ok(())
    }

    fn acting(&self) -> Acting {
        let state = self.lock();
        let given = state.given.as_ref().filter(|_| !state.is_refused);
        let user = given.map_or_else(|| ADMINISTRATOR.to_owned(), |given| given.user.to_string());
        Acting { user, is_refused: state.is_refused }
    }

    async fn prove(&self, login: &Credentials, vhost: &VhostName) -> Result<Option<Proven>> {
        self.reach(format!("GET whoami as {}", login.user), |state| {
            let name = login.user.to_string();
            if !state.lets_in(&name, &login.password) {
                return Ok(None);
            }
            let tags = state.users.get(&name).map(|account| account.tags.clone()).unwrap_or_default();
            let access = state.permissions.get(&(vhost.to_string(), name.clone())).cloned();
            Ok(Some(Proven { user: User { name, tags, ..User::default() }, access }))
        })
    }
}
