//! A broker that lies about the order of things, by which the simulation shows that it would notice.

use async_trait::async_trait;
use keylender::base::{AccountName, Result, VhostName};
use keylender::ports::broker::{
    Access, Acting, Alarm, Binding, Broker, Calls, Connection, Credentials, Exchange, Login, MemoryBroker, Node,
    Overview, Permission, Proven, Queue, User, UserWish,
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
impl Broker for Hasty {
    async fn put_login(&self, wish: &UserWish<'_>) -> Result<()> {
        self.put_user(wish).await
    }
    async fn put_user(&self, wish: &UserWish<'_>) -> Result<()> {
        self.catch_up().await;
        let later = (wish.name.clone(), wish.login.clone(), wish.tags.to_vec(), wish.permissions.to_vec());
        *self.later.lock().unwrap() = Some(later);
        Ok(())
    }
    async fn overview(&self) -> Result<Overview> {
        self.memory.overview().await
    }
    async fn whoami(&self) -> Result<User> {
        self.memory.whoami().await
    }
    fn act_as(&self, login: Option<Credentials>) -> Result<()> {
        self.memory.act_as(login)
    }
    fn counts(&self) -> &Calls {
        self.memory.counts()
    }
    fn acting(&self) -> Acting {
        self.memory.acting()
    }
    async fn prove(&self, login: &Credentials, vhost: &VhostName) -> Result<Option<Proven>> {
        self.memory.prove(login, vhost).await
    }
    async fn vhost_exists(&self, vhost: &VhostName) -> Result<bool> {
        self.memory.vhost_exists(vhost).await
    }
    async fn alarms(&self) -> Result<Vec<Alarm>> {
        self.memory.alarms().await
    }
    async fn nodes(&self) -> Result<Vec<Node>> {
        self.memory.nodes().await
    }
    async fn access(&self, vhost: &VhostName, user: &AccountName) -> Result<Option<Access>> {
        self.memory.access(vhost, user).await
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
    async fn queues_with_consumers(&self, vhost: &VhostName) -> Result<Vec<Queue>> {
        self.memory.queues_with_consumers(vhost).await
    }

    async fn queues(&self, vhost: &VhostName) -> Result<Vec<Queue>> {
        self.memory.queues(vhost).await
    }
    async fn queue(&self, vhost: &VhostName, name: &str) -> Result<Option<Queue>> {
        self.memory.queue(vhost, name).await
    }
    async fn delete_queue(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        self.memory.delete_queue(vhost, name).await
    }
    async fn purge_queue(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        self.memory.purge_queue(vhost, name).await
    }
    async fn exchanges(&self, vhost: &VhostName) -> Result<Vec<Exchange>> {
        self.memory.exchanges(vhost).await
    }
    async fn delete_exchange(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        self.memory.delete_exchange(vhost, name).await
    }
    async fn bindings(&self, vhost: &VhostName) -> Result<Vec<Binding>> {
        self.memory.bindings(vhost).await
    }
    async fn connections(&self) -> Result<Vec<Connection>> {
        self.memory.connections().await
    }
    async fn close_connection(&self, name: &str, reason: &str) -> Result<bool> {
        self.memory.close_connection(name, reason).await
    }
    async fn close_connections_of(&self, user: &AccountName, reason: &str) -> Result<()> {
        self.memory.close_connections_of(user, reason).await
    }
}
