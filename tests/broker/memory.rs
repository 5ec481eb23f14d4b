//! The contract, kept by the broker in memory; and the trouble that only it can make.

use async_trait::async_trait;
use keylender::base::{AccountName, Kind, Secret, Timestamp, VhostName};
use keylender::ports::broker::{
    Access, Binding, Broker, Cluster, Connections, Exchange, Login, MemoryBroker, PasswordHash, Queue, Topology,
    UserWish, Users, Version,
};

use crate::contract::{Client, World};

crate::contract!(MemoryWorld::new);

/// The model plays the others, too, and keeps what is so on each.
mod playing {
    mod v3_8_9 {
        crate::contract!(|name| super::super::MemoryWorld::playing("3.8.9", name));
    }

    mod v4_0_5 {
        crate::contract!(|name| super::super::MemoryWorld::playing("4.0.5", name));
    }

    mod v4_3_6 {
        crate::contract!(|name| super::super::MemoryWorld::playing("4.3.6", name));
    }
}

struct MemoryWorld {
    broker: MemoryBroker,
    vhost: VhostName,
}

impl MemoryWorld {
    async fn new(name: &str) -> Self {
        let (broker, vhost) = (MemoryBroker::default(), VhostName::parse(name).unwrap());
        broker.add_vhost(&vhost);
        Self { broker, vhost }
    }

    async fn playing(version: &str, name: &str) -> Self {
        let world = Self::new(name).await;
        world.broker.play(Version::parse(version).unwrap());
        world
    }
}

#[async_trait(?Send)]
impl World for MemoryWorld {
    fn broker(&self) -> &dyn Broker {
        &self.broker
    }

    fn vhost(&self) -> &VhostName {
        &self.vhost
    }

    async fn declare_queue(&self, name: &str) {
        self.broker.put_queue(&self.vhost, Queue { name: name.to_owned(), messages: Some(0), ..Queue::default() });
    }

    async fn declare_exchange(&self, name: &str) {
        self.broker.put_exchange(&self.vhost, Exchange { name: name.to_owned(), ..Exchange::default() });
    }

    async fn bind(&self, binding: &Binding) {
        self.broker.bind(&self.vhost, binding.clone());
    }

    async fn can_login(&self, user: &AccountName, password: &Secret) -> bool {
        self.broker.can_login(user.as_str(), password)
    }

    async fn connect(&self, user: &AccountName, password: &Secret) -> Box<dyn Client> {
        let at = Timestamp::from_millis(1_539_604_800_054);
        let name = self.broker.connect(user.as_str(), password, &self.vhost, at).unwrap();
        Box::new(MemoryClient { broker: self.broker.clone(), name })
    }
}

struct MemoryClient {
    broker: MemoryBroker,
    name: String,
}

#[async_trait(?Send)]
impl Client for MemoryClient {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn is_served(&mut self) -> bool {
        !self.broker.closed().iter().any(|(name, _)| *name == self.name)
    }

    async fn reason(&mut self) -> String {
        self.broker.closed().into_iter().find(|(name, _)| *name == self.name).unwrap().1
    }
}

fn alice() -> AccountName {
    AccountName::parse("alice").unwrap()
}

async fn put_alice(broker: &MemoryBroker) -> Result<(), Kind> {
    let (name, login) = (alice(), Login::Hash(PasswordHash::of(&Secret::new("p"))));
    let permissions = [(VhostName::parse("/").unwrap(), Access::default())];
    let wish = UserWish { name: &name, login, tags: &[], permissions: &permissions };
    broker.put_user(&wish).await.map_err(|error| error.kind())
}

#[tokio::test]
async fn a_broker_that_is_away_knows_everything_when_it_comes_back() {
    let broker = MemoryBroker::default();
    put_alice(&broker).await.unwrap();
    broker.go_away();
    assert_eq!(broker.user(&alice()).await.unwrap_err().kind(), Kind::Unavailable);
    broker.come_back();
    assert!(broker.user(&alice()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_failed_request_has_no_effect_and_a_lost_answer_has() {
    let broker = MemoryBroker::default();
    broker.fail_next(1);
    assert_eq!(put_alice(&broker).await, Err(Kind::Unavailable));
    assert!(!broker.can_login("alice", &Secret::new("p")));
    broker.lose_answers(1);
    assert_eq!(put_alice(&broker).await, Err(Kind::Unavailable));
    assert!(broker.can_login("alice", &Secret::new("p")));
    assert_eq!(put_alice(&broker).await, Ok(()));
    assert_eq!(broker.calls(), ["PUT user alice", "PUT user alice", "PUT user alice", "PUT permission / alice"]);
}

#[tokio::test]
async fn a_wiped_broker_keeps_its_vhosts_only() {
    let (broker, root) = (MemoryBroker::default(), VhostName::parse("/").unwrap());
    put_alice(&broker).await.unwrap();
    broker.connect("alice", &Secret::new("p"), &root, Timestamp::from_millis(0)).unwrap();
    broker.wipe();
    assert_eq!(broker.user(&alice()).await.unwrap(), None);
    assert_eq!((broker.connections().await.unwrap(), broker.permissions().await.unwrap()), (vec![], vec![]));
    assert_eq!(broker.closed().len(), 1);
    assert!(broker.vhost_exists(&root).await.unwrap());
}

#[tokio::test]
async fn a_queue_of_one_connection_is_not_deleted() {
    let (broker, root) = (MemoryBroker::default(), VhostName::parse("/").unwrap());
    broker.put_queue(&root, Queue { name: "mine".to_owned(), exclusive: Some(true), ..Queue::default() });
    assert_eq!(broker.delete_queue(&root, "mine").await.unwrap_err().kind(), Kind::Conflict);
}
