//! Users of the model.

use async_trait::async_trait;

use super::{Account, MemoryBroker};
use crate::base::{AccountName, Error, Result, VhostName};
use crate::ports::broker::users::{
    Access, Limits, Permission, TopicAccess, TopicPermission, User, UserLimits, UserWish, Users,
};
use crate::ports::broker::versions;

impl Account {
    fn to_user(&self, name: &str) -> User {
        User { name: name.to_owned(), tags: self.tags.clone(), login: Some(self.login.clone()) }
    }
}

impl MemoryBroker {
    /// True when that made the user, with all its permissions.
    fn tell(&self, wish: &UserWish<'_>) -> Result<bool> {
        versions::tags_to_send(wish.tags)?;
        self.request(format!("PUT user {}", wish.name), |state| {
            let account = Account { login: wish.login.clone(), tags: wish.tags.to_vec() };
            let is_new = state.users.insert(wish.name.to_string(), account).is_none();
            // Only a new user's permissions count; a bad one is reported by the request for it.
            let given = |(vhost, access): &(_, _)| state.put_permission(vhost, wish.name, access).is_ok();
            Ok(is_new && wish.permissions.iter().all(given))
        })
    }
}

#[async_trait]
impl Users for MemoryBroker {
    async fn put_login(&self, wish: &UserWish<'_>) -> Result<()> {
        self.tell(wish).map(drop)
    }

    async fn put_user(&self, wish: &UserWish<'_>) -> Result<()> {
        if self.tell(wish)? {
            return Ok(());
        }
        for (vhost, access) in wish.permissions {
            self.put_permission(vhost, wish.name, access).await?;
        }
        Ok(())
    }

    async fn delete_user(&self, name: &AccountName) -> Result<bool> {
        self.request(format!("DELETE user {name}"), |state| {
            state.permissions.retain(|(_, user), _| user != name.as_str());
            state.topics.retain(|(_, user, _), _| user != name.as_str());
            state.limits.remove(name.as_str());
            state.close(&format!("user '{name}' is deleted"), |connection| connection.user == name.as_str());
            Ok(state.users.remove(name.as_str()).is_some())
        })
    }

    async fn user(&self, name: &AccountName) -> Result<Option<User>> {
        self.request(format!("GET user {name}"), |state| {
            Ok(state.users.get(name.as_str()).map(|account| account.to_user(name.as_str())))
        })
    }

    async fn users(&self) -> Result<Vec<User>> {
        self.request("GET users".to_owned(), |state| {
            Ok(state.users.iter().map(|(name, account)| account.to_user(name)).collect())
        })
    }

    async fn put_permission(&self, vhost: &VhostName, user: &AccountName, access: &Access) -> Result<()> {
        self.request(format!("PUT permission {vhost} {user}"), |state| state.put_permission(vhost, user, access))
    }

    async fn delete_permission(&self, vhost: &VhostName, user: &AccountName) -> Result<bool> {
        self.request(format!("DELETE permission {vhost} {user}"), |state| {
            Ok(state.permissions.remove(&(vhost.to_string(), user.to_string())).is_some())
        })
    }

    async fn permissions(&self) -> Result<Vec<Permission>> {
        self.request("GET permissions".to_owned(), |state| {
            let rows = state.permissions.iter().map(|((vhost, user), access)| Permission {
                vhost: vhost.clone(),
                user: user.clone(),
                access: access.clone(),
            });
            Ok(rows.collect())
        })
    }

    async fn put_topic_permission(&self, vhost: &VhostName, user: &AccountName, access: &TopicAccess) -> Result<()> {
        self.request(format!("PUT topic permission {vhost} {user} {}", access.exchange), |state| {
            state.require_user(user)?;
            state.require_vhost(vhost)?;
            let exchange = (vhost.to_string(), access.exchange.clone());
            if state.version.needs_exchange_for_topics() && !state.exchanges.contains_key(&exchange) {
                return Err(Error::not_found("the broker has no such exchange"));
            }
            let key = (vhost.to_string(), user.to_string(), access.exchange.clone());
            state.topics.insert(key, access.clone());
            Ok(())
        })
    }

    async fn delete_topic_permissions(&self, vhost: &VhostName, user: &AccountName) -> Result<bool> {
        self.request(format!("DELETE topic permissions {vhost} {user}"), |state| {
            let before = state.topics.len();
            state.topics.retain(|(place, who, _), _| place != vhost.as_str() || who != user.as_str());
            Ok(state.topics.len() < before)
        })
    }

    async fn topic_permissions(&self) -> Result<Vec<TopicPermission>> {
        self.request("GET topic permissions".to_owned(), |state| {
            let rows = state.topics.iter().map(|((vhost, user, _), access)| TopicPermission {
                vhost: vhost.clone(),
                user: user.clone(),
                access: access.clone(),
            });
            Ok(rows.collect())
        })
    }

    async fn put_limits(&self, user: &AccountName, limits: &Limits) -> Result<()> {
        self.request(format!("PUT limits {user}"), |state| {
            if *limits == Limits::default() {
                state.limits.remove(user.as_str());
                return Ok(());
            }
            if !state.version.has_user_limits() {
                return Err(Error::invalid("the broker is too old for limits of users: they came with 3.8.10"));
            }
            state.require_user(user)?;
            state.limits.insert(user.to_string(), *limits);
            Ok(())
        })
    }

    async fn limits(&self) -> Result<Vec<UserLimits>> {
        self.request("GET limits".to_owned(), |state| {
            Ok(state.limits.iter().map(|(user, limits)| UserLimits { user: user.clone(), limits: *limits }).collect())
        })
    }
}
