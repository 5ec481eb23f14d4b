//! The contract, kept by a real node; and what only a real node can show.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{Stream, StreamExt};
use keylender::base::{AccountName, Kind, Secret, VhostName};
use keylender::ports::amqp::AmqpDoor;
use keylender::ports::broker::{
    Access, Binding, Broker, Cluster, Connections, Depth, Destination, Login, ManagementBroker, PasswordHash, Topology,
    UserWish, Users, Version,
};
use keylender::ports::resolve::Resolver;
use keylender::ports::tls::Tls;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties, Event};
use serde_json::json;

use crate::contract::{Client, World};
use crate::node::{broker, encoded, node, node_without_statistics};

crate::contract!(RealWorld::new);

/// A login takes milliseconds; a busy machine more.
pub const LOGIN_DEADLINE: Duration = Duration::from_secs(20);
/// The broker's statistics take up to five seconds to tell of a connection or a message.
const STATISTICS_TIMEOUT: Duration = Duration::from_secs(30);

pub struct RealWorld {
    broker: ManagementBroker,
    vhost: VhostName,
    door: AmqpDoor,
}

impl RealWorld {
    /// A vhost named after the test. The node lives as long as this binary, so nothing is taken down.
    pub async fn new(name: &str) -> Self {
        let vhost = VhostName::parse(name).unwrap();
        node().admin("PUT", &format!("vhosts/{name}"), json!({})).await;
        Self { broker: node().broker(), door: node().door(&vhost), vhost }
    }

    async fn put_user(&self, name: &str, access: &Access) -> (AccountName, Secret) {
        let (name, password) = (AccountName::parse(name).unwrap(), Secret::generate());
        let permissions = [(self.vhost.clone(), access.clone())];
        let login = Login::Hash(PasswordHash::of(&password));
        let wish = UserWish { name: &name, login, tags: &[], permissions: &permissions };
        self.broker.put_user(&wish).await.unwrap();
        (name, password)
    }
}

/// Asks again until there is an answer.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < STATISTICS_TIMEOUT, "the broker never told");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn connect(vhost: &VhostName, user: &AccountName, password: &Secret, name: &str) -> Connection {
    let login = format!("{}:{}", encoded(user.as_str()), encoded(password.expose()));
    let uri = format!("amqp://{login}@127.0.0.1:{}/{}", node().amqp_port, encoded(vhost.as_str()));
    Connection::connect(&uri, ConnectionProperties::default().with_connection_name(name.into())).await.unwrap()
}

#[async_trait(?Send)]
impl World for RealWorld {
    fn broker(&self) -> &dyn Broker {
        &self.broker
    }

    fn vhost(&self) -> &VhostName {
        &self.vhost
    }

    async fn declare_queue(&self, name: &str) {
        let path = format!("queues/{}/{}", self.vhost, encoded(name));
        node().admin("PUT", &path, json!({"durable": true})).await;
        // A new queue has no count for a moment (rabbitmq.md, fact 7).
        eventually(async || {
            let queues = self.broker.queues(&self.vhost).await.unwrap();
            queues.iter().any(|queue| queue.name == name && queue.messages.is_some()).then_some(())
        })
        .await;
    }

    async fn declare_exchange(&self, name: &str) {
        let path = format!("exchanges/{}/{}", self.vhost, encoded(name));
        node().admin("PUT", &path, json!({"type": "topic", "durable": true})).await;
    }

    async fn bind(&self, Binding { source, destination, routing_key }: &Binding) {
        let kind = if matches!(destination, Destination::Queue(_)) { "q" } else { "e" };
        let (from, to) = (encoded(source), encoded(destination.name()));
        let path = format!("bindings/{}/e/{from}/{kind}/{to}", self.vhost);
        node().admin("POST", &path, json!({ "routing_key": routing_key })).await;
    }

    async fn can_login(&self, user: &AccountName, password: &Secret) -> bool {
        self.door.verify_login(user.as_str(), password, LOGIN_DEADLINE).await.unwrap()
    }

    async fn connect(&self, user: &AccountName, password: &Secret) -> Box<dyn Client> {
        let client_name = Secret::generate();
        let connection = connect(&self.vhost, user, password, client_name.expose()).await;
        let events = Box::new(connection.events_listener());
        let name = eventually(async || {
            let listed = self.broker.connections().await.unwrap();
            let ours = listed.into_iter().find(|listed| listed.client_name.as_deref() == Some(client_name.expose()));
            ours.map(|ours| ours.name)
        })
        .await;
        Box::new(RealClient { name, connection, events })
    }
}

struct RealClient {
    name: String,
    connection: Connection,
    events: Box<dyn Stream<Item = Event> + Unpin>,
}

#[async_trait(?Send)]
impl Client for RealClient {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn is_served(&mut self) -> bool {
        self.connection.create_channel().await.is_ok()
    }

    async fn reason(&mut self) -> String {
        loop {
            let event = tokio::time::timeout(STATISTICS_TIMEOUT, self.events.next()).await.unwrap();
            if let Event::Error(error) = event.unwrap() {
                return error.to_string();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_pattern_is_invalid() {
    let world = RealWorld::new("a_bad_pattern_is_invalid").await;
    let name = AccountName::parse("pattern").unwrap();
    let bad = Access { configure: "(".into(), ..Access::default() };
    let permissions = [(world.vhost.clone(), bad)];
    let wish = UserWish { name: &name, login: Login::Locked, tags: &[], permissions: &permissions };
    let error = world.broker.put_user(&wish).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.chain().contains("the broker's reason"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_are_counted_as_they_fill_and_some_stay() {
    let world = RealWorld::new("queues_are_counted_as_they_fill_and_some_stay").await;
    let everything = Access { configure: ".*".into(), write: ".*".into(), read: ".*".into() };
    let (user, password) = world.put_user("counter", &everything).await;
    let connection = connect(&world.vhost, &user, &password, "publisher").await;
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("q".into(), options, FieldTable::default()).await.unwrap();
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("mine".into(), exclusive, FieldTable::default()).await.unwrap();
    assert_eq!(world.broker.delete_queue(&world.vhost, "mine").await.unwrap_err().kind(), Kind::Conflict);
    for _ in 0..3 {
        let options = BasicPublishOptions::default();
        channel.basic_publish("".into(), "q".into(), options, b"hello", BasicProperties::default()).await.unwrap();
    }
    let queue = eventually(async || {
        let queues = world.broker.queues(&world.vhost).await.unwrap();
        queues.into_iter().find(|queue| queue.messages == Some(3))
    })
    .await;
    assert_eq!((queue.name.as_str(), queue.kind.as_deref(), queue.exclusive), ("q", Some("classic"), Some(false)));
    assert_eq!((queue.ready, queue.unacknowledged), (Some(3), Some(0)));
    assert_eq!(queue.consumers, None, "the list does not tell");
    let listed = eventually(async || {
        let queues = world.broker.queues_with_consumers(&world.vhost).await.unwrap();
        queues.into_iter().find(|queue| queue.name == "q" && queue.consumers.is_some())
    })
    .await;
    assert_eq!(listed.consumers, Some(0));
    let consumers = eventually(async || world.broker.queue(&world.vhost, "q").await.unwrap().unwrap().consumers).await;
    assert_eq!(consumers, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_says_at_once_what_statistics_say_later() {
    let world = RealWorld::new("a_queue_says_at_once_what_statistics_say_later").await;
    let everything = Access { configure: ".*".into(), write: ".*".into(), read: ".*".into() };
    let (user, password) = world.put_user("counter", &everything).await;
    let connection = connect(&world.vhost, &user, &password, "publisher").await;
    let channel = connection.create_channel().await.unwrap();
    for kind in ["classic", "quorum"] {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(kind.into(), options, arguments).await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish("".into(), kind.into(), options, b"hello", properties).await.unwrap();
        sent.await.unwrap();
        let depth = world.broker.depth(&world.vhost, kind).await.unwrap();
        assert_eq!(depth, Some(Depth { ready: 1, consumers: 0 }), "{kind}");
        // Where AMQP is out of reach the list is as good for a classic queue, and for no other.
        match broker(&node().settings()).depth(&world.vhost, kind).await {
            Ok(listed) => assert_eq!((kind, listed), ("classic", depth)),
            Err(error) => assert_eq!((kind, error.kind()), ("quorum", Kind::Unavailable)),
        }
        channel.queue_purge(kind.into(), QueuePurgeOptions::default()).await.unwrap();
        let depth = world.broker.depth(&world.vhost, kind).await.unwrap();
        assert_eq!(depth, Some(Depth { ready: 0, consumers: 0 }), "{kind}");
    }
    eventually(async || (world.broker.connection_count(&user).await.unwrap() == 1).then_some(())).await;
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("mine".into(), exclusive, FieldTable::default()).await.unwrap();
    assert_eq!(world.broker.depth(&world.vhost, "mine").await.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_counted_where_no_statistics_are_kept() {
    let (node, root) = (node_without_statistics(), VhostName::parse("/").unwrap());
    node.admin("PUT", "queues/%2F/a%2Fb", json!({"durable": true})).await;
    let uri = format!("amqp://{}:{}@127.0.0.1:{}/%2F", node.username, node.password.expose(), node.amqp_port);
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let sent = channel.basic_publish("".into(), "a/b".into(), options, b"hello", properties).await.unwrap();
    sent.await.unwrap();
    let broker = node.broker();
    let queue = broker.queue(&root, "a/b").await.unwrap().unwrap();
    assert_eq!((queue.messages, queue.ready), (Some(1), Some(1)), "the list counts");
    assert_eq!(broker.depth(&root, "a/b").await.unwrap(), Some(Depth { ready: 1, consumers: 0 }));
    assert_eq!(broker.queue(&root, "a/c").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_not_purged() {
    let world = RealWorld::new("a_stream_is_not_purged").await;
    // 3.8 has no streams.
    if world.version().await < Version::parse("3.9.0").unwrap() {
        return;
    }
    let body = json!({"durable": true, "arguments": {"x-queue-type": "stream"}});
    node().admin("PUT", &format!("queues/{}/s", world.vhost), body).await;
    let error = world.broker.purge_queue(&world.vhost, "s").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.message().contains("lets no stream be purged"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patterns_are_read_as_permissions_are() {
    let world = RealWorld::new("patterns_are_read_as_permissions_are").await;
    let name = AccountName::parse("patterns").unwrap();
    for pattern in ["^queue/a/", "", "(", ")(", "^\\", r"^[\w-.]+$", "*", "a|b", "(?i)a"] {
        let access = Access { configure: pattern.into(), ..Access::default() };
        let permissions = [(world.vhost.clone(), access)];
        let wish = UserWish { name: &name, login: Login::Locked, tags: &[], permissions: &permissions };
        let is_taken = world.broker.put_user(&wish).await.is_ok();
        assert_eq!(world.broker.reads_pattern(pattern).await.unwrap(), is_taken, "{pattern}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_access_to_the_vhost_is_refused_at_the_door() {
    let world = RealWorld::new("a_user_without_access_to_the_vhost_is_refused_at_the_door").await;
    let (user, password) = world.put_user("outsider", &Access::default()).await;
    assert!(world.can_login(&user, &password).await);
    world.broker.delete_permission(&world.vhost, &user).await.unwrap();
    assert!(!world.can_login(&user, &password).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_doors_open_with_a_client_certificate_only() {
    let world = RealWorld::new("both_doors_open_with_a_client_certificate_only").await;
    let (user, password) = world.put_user("tls", &Access::default()).await;
    let certified = Tls { identity: Some(node().certificate()), ..node().trust() };
    let management = |tls: Tls| {
        let mut settings = node().settings();
        settings.url = format!("https://localhost:{}/api", node().management_tls_port).parse().unwrap();
        broker(&keylender::ports::broker::ManagementSettings { tls, ..settings })
    };
    let amqps = |tls: Tls| {
        let url = format!("amqps://localhost:{}/{}", node().amqps_port, world.vhost).parse().unwrap();
        AmqpDoor::new(&url, tls, Resolver::system().unwrap()).unwrap()
    };

    assert!(management(certified.clone()).overview().await.is_ok());
    assert!(amqps(certified.clone()).verify_login(user.as_str(), &password, LOGIN_DEADLINE).await.unwrap());
    assert!(!amqps(certified).verify_login(user.as_str(), &Secret::new("x"), LOGIN_DEADLINE).await.unwrap());

    let error = management(node().trust()).overview().await.unwrap_err();
    assert!(error.chain().contains("client certificate"), "{error:?}");
    let error =
        management(Tls { identity: Some(node().certificate()), authorities: None }).overview().await.unwrap_err();
    assert!(error.chain().contains("an authority we do not trust"), "{error:?}");
    for tls in [node().trust(), Tls::default()] {
        let error = amqps(tls).verify_login(user.as_str(), &password, LOGIN_DEADLINE).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    }
}
