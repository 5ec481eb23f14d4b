//! A broker that lies about the order of things, by which the simulation shows that it would notice.

use async_trait::async_trait;
use keylender::base::{AccountName, Result, VhostName};
use keylender::ports::broker::{
    Access, Limits, Login, MemoryBroker, Permission, TopicAccess, TopicPermission, User, UserLimits, UserWish, Users,
};

/// What a user was told to be.
type Told = (AccountName, Login, Vec<String>, Vec<(VhostName, Access)>);

/// A broker that says yes before it has done it: to us the store is told first, the wrong way round.
pub struct Hasty {
    memory: MemoryBroker,
    later: std::sync::Mutex<Option<Told>>,
}

impl Hasty {
    pub fn new(memory: MemoryBroker) -> Self {
        Self { memory, later: Default::default() }
    }

    async fn catch_up(&self) {
        let later = self.later.lock().unwrap().take();
        if let Some((name, login, tags, permissions)) = later {
            let wish = UserWish { name: &name, login, tags: &tags, permissions: &permissions };
            drop(self.memory.put_user(&wish).await);
        }
    }
}

#[async_trait]
impl Users for Hasty {
    async fn put_login(&self, wish: &UserWish<'_>) -> Result<()> {
        self.put_user(wish).await
    }
    async fn put_user(&self, wish: &UserWish<'_>) -> Result<()> {
        self.catch_up().await;
        let later = (wish.name.clone(), wish.login.clone(), wish.tags.to_vec(), wish.permissions.to_vec());
        *self.later.lock().unwrap() = Some(later);
        Ok(())
    }
    async fn delete_user(&self, name: &AccountName) -> Result<bool> {
        self.memory.delete_user(name).await
    }
    async fn user(&self, name: &AccountName) -> Result<Option<User>> {
        self.memory.user(name).await
    }
    async fn users(&self) -> Result<Vec<User>> {
        self.memory.users().await
    }
    async fn put_permission(&self, vhost: &VhostName, user: &AccountName, access: &Access) -> Result<()> {
        self.memory.put_permission(vhost, user, access).await
    }
    async fn delete_permission(&self, vhost: &VhostName, user: &AccountName) -> Result<bool> {
        self.memory.delete_permission(vhost, user).await
    }
    async fn permissions(&self) -> Result<Vec<Permission>> {
        self.memory.permissions().await
    }
    async fn put_topic_permission(&self, vhost: &VhostName, user: &AccountName, access: &TopicAccess) -> Result<()> {
        self.memory.put_topic_permission(vhost, user, access).await
    }
    async fn delete_topic_permissions(&self, vhost: &VhostName, user: &AccountName) -> Result<bool> {
        self.memory.delete_topic_permissions(vhost, user).await
    }
    async fn topic_permissions(&self) -> Result<Vec<TopicPermission>> {
        self.memory.topic_permissions().await
    }
    async fn put_limits(&self, user: &AccountName, limits: &Limits) -> Result<()> {
        self.memory.put_limits(user, limits).await
    }
    async fn limits(&self) -> Result<Vec<UserLimits>> {
        self.memory.limits().await
    }
}
