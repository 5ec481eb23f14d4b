//! What is lent works over AMQP, inside its namespace, and nowhere else.

use keylender::base::Secret;
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeBindOptions,
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ErrorKind, ExchangeKind};

use crate::appliance::{Appliance, Lent};
use crate::node::{encoded, node};
use crate::real::eventually;

/// A client with what it was lent. Every deed has a channel of its own, because a refusal closes the channel.
pub struct Client(pub Connection);

impl Client {
    pub async fn new(lent: &Lent) -> Self {
        Self(lent.connect().await)
    }

    pub async fn channel(&self) -> Channel {
        self.0.create_channel().await.unwrap()
    }

    pub async fn declare_queue(&self, name: &str, arguments: FieldTable) -> lapin::Result<()> {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel().await.queue_declare(name.into(), options, arguments).await.map(drop)
    }

    pub async fn declare_exchange(&self, name: &str, arguments: FieldTable) -> lapin::Result<()> {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        self.channel().await.exchange_declare(name.into(), ExchangeKind::Topic, options, arguments).await
    }

    pub async fn bind(&self, queue: &str, exchange: &str) -> lapin::Result<()> {
        let options = QueueBindOptions::default();
        self.channel().await.queue_bind(queue.into(), exchange.into(), "#".into(), options, FieldTable::default()).await
    }

    async fn bind_exchanges(&self, to: &str, from: &str) -> lapin::Result<()> {
        let options = ExchangeBindOptions::default();
        self.channel().await.exchange_bind(to.into(), from.into(), "#".into(), options, FieldTable::default()).await
    }

    /// Publishes, and waits until the broker has taken it.
    pub async fn publish(&self, exchange: &str, key: &str) -> lapin::Result<()> {
        let channel = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish(exchange.into(), key.into(), options, b"hello", properties).await?.await.map(drop)
    }

    pub async fn take(&self, queue: &str) -> lapin::Result<Option<BasicGetMessage>> {
        self.channel().await.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await
    }

    async fn consume(&self, queue: &str) -> lapin::Result<()> {
        let options = BasicConsumeOptions::default();
        self.channel().await.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.map(drop)
    }
}

pub fn none() -> FieldTable {
    FieldTable::default()
}

fn pointing(argument: &str, exchange: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(argument.into(), AMQPValue::LongString(exchange.into()));
    arguments
}

fn is_refused<T>(outcome: &lapin::Result<T>, refusal: impl Into<AMQPErrorKind>) -> bool {
    let Err(error) = outcome else { return false };
    matches!(error.kind(), ErrorKind::ProtocolError(error) if *error.kind() == refusal.into())
}

/// A queue and an exchange of this namespace.
pub fn names(namespace: &str) -> (String, String) {
    (format!("queue/{namespace}/q"), format!("exchange/{namespace}/x"))
}

/// A client of a namespace that has its queue and its exchange.
pub async fn settler(appliance: &Appliance, namespace: &str) -> Client {
    settled(&appliance.lent(namespace).await, namespace).await
}

/// The same with what was lent before.
pub async fn settled(lent: &Lent, namespace: &str) -> Client {
    let client = Client::new(lent).await;
    let (queue, exchange) = names(namespace);
    client.declare_queue(&queue, none()).await.unwrap();
    client.declare_exchange(&exchange, none()).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_is_a_place_to_declare_bind_publish_and_consume() {
    let appliance = Appliance::new("lent.inside").await;
    let client = settler(&appliance, "taskcluster-a").await;
    let (queue, exchange) = names("taskcluster-a");
    client.bind(&queue, &exchange).await.unwrap();
    client.publish(&exchange, "key").await.unwrap();
    let message = eventually(async || client.take(&queue).await.unwrap()).await;
    assert_eq!((message.routing_key.as_str(), message.data.as_slice()), ("key", b"hello".as_slice()));

    client.consume(&queue).await.unwrap();
    let channel = client.channel().await;
    channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await.unwrap();
    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_listens_to_the_exchanges_of_others() {
    let appliance = Appliance::new("lent.listens").await;
    let (speaker, listener) =
        (settler(&appliance, "taskcluster-speaker").await, settler(&appliance, "taskcluster-listener").await);
    let ((_, theirs), (queue, mine)) = (names("taskcluster-speaker"), names("taskcluster-listener"));
    listener.bind(&queue, &theirs).await.unwrap();
    listener.bind_exchanges(&mine, &theirs).await.unwrap();
    speaker.publish(&theirs, "news").await.unwrap();
    let message = eventually(async || listener.take(&queue).await.unwrap()).await;
    assert_eq!(message.routing_key.as_str(), "news");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_outside_the_namespace_is_refused() {
    let appliance = Appliance::new("lent.outside").await;
    let other = settler(&appliance, "taskcluster-ab").await;
    let client = settler(&appliance, "taskcluster-a").await;
    let ((mine, my_exchange), (theirs, their_exchange)) = (names("taskcluster-a"), names("taskcluster-ab"));
    let channel = client.channel().await;
    let purged = channel.queue_purge(theirs.as_str().into(), QueuePurgeOptions::default()).await.map(drop);
    let channel = client.channel().await;
    let deleted = channel.queue_delete(theirs.as_str().into(), QueueDeleteOptions::default()).await.map(drop);
    let channel = client.channel().await;
    let abolished = channel.exchange_delete(their_exchange.as_str().into(), ExchangeDeleteOptions::default()).await;
    for (deed, outcome) in [
        ("declares a queue elsewhere", client.declare_queue("q", none()).await),
        ("lets the broker name a queue", client.declare_queue("", none()).await),
        ("declares a queue in a namespace", client.declare_queue("queue/taskcluster-ab/new", none()).await),
        ("declares below a prefix", client.declare_queue("x/queue/taskcluster-a/q", none()).await),
        ("declares the namespace itself", client.declare_queue("queue/taskcluster-a", none()).await),
        ("declares an exchange elsewhere", client.declare_exchange("x", none()).await),
        ("declares an exchange in a namespace", client.declare_exchange("exchange/taskcluster-ab/y", none()).await),
        ("takes a message", client.take(&theirs).await.map(drop)),
        ("consumes", client.consume(&theirs).await),
        ("purges", purged),
        ("deletes a queue", deleted),
        ("deletes an exchange", abolished),
        ("binds another's queue", client.bind(&theirs, &my_exchange).await),
        ("feeds another's exchange", client.bind_exchanges(&their_exchange, &my_exchange).await),
        ("listens to the broker's own", client.bind(&mine, "amq.topic").await),
        ("listens to the broker's trace", client.bind(&mine, "amq.rabbitmq.trace").await),
        ("publishes to another's exchange", client.publish(&their_exchange, "key").await),
        ("publishes to the default exchange", client.publish("", &mine).await),
        ("publishes to the broker's own", client.publish("amq.topic", "key").await),
        (
            "forwards what dies",
            client.declare_queue("queue/taskcluster-a/d", pointing("x-dead-letter-exchange", &their_exchange)).await,
        ),
        (
            "forwards what is not routed",
            client.declare_exchange("exchange/taskcluster-a/d", pointing("alternate-exchange", &their_exchange)).await,
        ),
    ] {
        assert!(is_refused(&outcome, AMQPSoftError::ACCESSREFUSED), "{deed}: {outcome:?}");
    }
    other.publish(&their_exchange, "still there").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lent_opens_no_other_door() {
    let appliance = Appliance::new("lent.doors").await;
    let lent = appliance.lent("taskcluster-a").await;
    let uri = lent.document["connectionString"].as_str().unwrap();
    let (at_root, _) = uri.rsplit_once('/').unwrap();
    for vhost in ["/", "no such vhost"] {
        let outcome = Connection::connect(&format!("{at_root}/{}", encoded(vhost)), Default::default()).await;
        assert!(is_refused(&outcome, AMQPHardError::NOTALLOWED), "{vhost}: {outcome:?}");
    }
    assert!(!node().can_manage(lent.user.as_str(), &lent.password).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_user_waits_with_its_permissions_and_cannot_log_in() {
    let appliance = Appliance::new("lent.second").await;
    let lent = appliance.lent("taskcluster-a").await;
    let second = appliance.user("taskcluster-a", 2);
    let (users, permissions) = appliance.at_the_broker().await;
    assert_eq!(users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), [lent.user.as_str(), second.as_str()]);
    assert_eq!(users[0].tags, users[1].tags);
    assert_eq!(permissions.len(), 2);
    assert_eq!((&permissions[0].access, &permissions[0].vhost), (&permissions[1].access, &permissions[1].vhost));
    for password in [Secret::new(""), lent.password.clone(), Secret::new(second.as_str())] {
        assert!(!appliance.can_login(&second, &password).await);
        assert!(!node().can_manage(second.as_str(), &password).await);
    }
}
