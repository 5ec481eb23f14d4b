//! Stories about archives on a real broker: what was taken comes back as it was, of every type of queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use keylender::base::audit::Actor;
use keylender::base::{Clock, Kind, NamespaceName, Reason, VhostName};
use keylender::domain::archives::{Archive, Archives, Config};
use keylender::domain::auth::Caller;
use keylender::ports::broker::{Broker, Cluster, Depth, Handle, Topology, Version};
use keylender::store::{ArchiveDirectory, Store};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, DecimalValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::json;

use crate::node::{encoded, node};

/// How long a queue is silent before it is empty.
const SILENCE: Duration = Duration::from_secs(2);

type Sent = (BasicProperties, Vec<u8>);

/// A vhost of a test's own, a client in it, and archives of its queues.
struct Bus {
    vhost: VhostName,
    channel: Channel,
    archives: Archives,
    _connection: Connection,
    _dir: tempfile::TempDir,
}

impl Bus {
    async fn new(name: &str) -> Self {
        let (dir, vhost) = (tempfile::tempdir().unwrap(), VhostName::parse(name).unwrap());
        node().admin("PUT", &format!("vhosts/{name}"), json!({})).await;
        let connection = connect(&vhost, &node().username, node().password.expose()).await;
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        channel.basic_qos(1000, BasicQosOptions::default()).await.unwrap();
        let broker: Arc<dyn Broker> = Arc::new(node().broker());
        let directory = ArchiveDirectory::new(dir.path().join("archives"));
        let config = Config { directory, bytes_max: 1 << 30, keep: Duration::ZERO, free_min: 0 };
        let store = Store::memory(Clock::system()).unwrap();
        let archives = Archives::new(store, Handle::new(Some(broker)).messages(), vhost.clone(), config);
        Self { vhost, channel, archives, _connection: connection, _dir: dir }
    }

    async fn declare(&self, name: &str, arguments: &[(&str, AMQPValue)]) {
        let arguments = arguments.iter().fold(FieldTable::default(), |mut table, (name, value)| {
            table.insert((*name).into(), value.clone());
            table
        });
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.into(), options, arguments).await.unwrap();
    }

    async fn declare_kind(&self, name: &str, kind: &str) {
        self.declare(name, &[("x-queue-type", AMQPValue::LongString(kind.into()))]).await;
    }

    async fn publish(&self, queue: &str, sent: &[Sent]) {
        let mut confirms = Vec::new();
        for (properties, body) in sent {
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let published = self.channel.basic_publish("".into(), queue.into(), options, body, properties.clone());
            confirms.push(published.await.unwrap());
        }
        for confirm in confirms {
            assert!(confirm.await.unwrap().take_message().is_none());
        }
    }

    /// What any client finds there; of a stream from its beginning, without what the broker says of the place.
    async fn read(&self, queue: &str, kind: &str) -> Vec<Sent> {
        let mut arguments = FieldTable::default();
        if kind == "stream" {
            arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
        }
        let options = BasicConsumeOptions::default();
        let mut consumer = self.channel.basic_consume(queue.into(), "".into(), options, arguments).await.unwrap();
        let mut all = Vec::new();
        while let Ok(delivery) = tokio::time::timeout(SILENCE, consumer.next()).await {
            let delivery = delivery.unwrap().unwrap();
            self.channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await.unwrap();
            all.push((without_offset(delivery.properties), delivery.data));
        }
        self.channel.basic_cancel(consumer.tag(), Default::default()).await.unwrap();
        all
    }

    async fn take(&self, queue: &str, kind: &str) -> keylender::base::Result<Archive> {
        let namespace = NamespaceName::parse("taskcluster-foo").unwrap();
        self.archives.take(Actor::Appliance, queue, &namespace, kind, "tests").await
    }

    async fn depth(&self, queue: &str) -> Option<Depth> {
        node().broker().depth(&self.vhost, queue).await.unwrap()
    }
}

pub async fn connect(vhost: &VhostName, user: &str, password: &str) -> Connection {
    let login = format!("{}:{}", encoded(user), encoded(password));
    let uri = format!("amqp://{login}@127.0.0.1:{}/{}", node().amqp_port, encoded(vhost.as_str()));
    Connection::connect(&uri, ConnectionProperties::default()).await.unwrap()
}

fn caller() -> Caller {
    Caller::local("tests", "r").because(Reason::parse("tests").unwrap())
}

/// The only property that tests of streams have and publishers did not send is a header.
fn without_offset(properties: BasicProperties) -> BasicProperties {
    let Some(headers) = properties.headers().clone() else { return properties };
    let mut left = FieldTable::default();
    for (name, value) in headers.inner().iter().filter(|(name, _)| name.as_str() != "x-stream-offset") {
        left.insert(name.clone(), value.clone());
    }
    properties.with_headers(left)
}

/// Every type of field that a type of queue takes, and every property. A stream takes no decimal number, and a quorum
/// queue hands out by priority (4.3).
fn odd(kind: &str) -> BasicProperties {
    let mut inner = FieldTable::default();
    inner.insert("deep".into(), AMQPValue::LongLongInt(i64::MIN));
    let array = FieldArray::from(vec![AMQPValue::Boolean(false), AMQPValue::LongString("in".into()), AMQPValue::Void]);
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("boolean", AMQPValue::Boolean(true)),
        ("i8", AMQPValue::ShortShortInt(i8::MIN)),
        ("u8", AMQPValue::ShortShortUInt(u8::MAX)),
        ("i16", AMQPValue::ShortInt(i16::MIN)),
        ("u16", AMQPValue::ShortUInt(u16::MAX)),
        ("i32", AMQPValue::LongInt(i32::MIN)),
        ("u32", AMQPValue::LongUInt(u32::MAX)),
        ("i64", AMQPValue::LongLongInt(i64::MAX)),
        ("float", AMQPValue::Float(-0.5)),
        ("double", AMQPValue::Double(1e300)),
        ("decimal", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 314 })),
        ("text", AMQPValue::LongString("ключ\0".into())),
        ("bytes in a text", AMQPValue::LongString(vec![0xff, 0xfe].into())),
        ("time", AMQPValue::Timestamp(1_795_176_000)),
        ("bytes", AMQPValue::ByteArray(vec![0, 255].into())),
        ("array", AMQPValue::FieldArray(array)),
        ("table", AMQPValue::FieldTable(inner)),
        ("void", AMQPValue::Void),
    ] {
        if kind != "stream" || name != "decimal" {
            headers.insert(name.into(), value);
        }
    }
    let properties = match kind {
        "quorum" => BasicProperties::default(),
        _ => BasicProperties::default().with_priority(3),
    };
    properties
        .with_content_type("application/ключ".into())
        .with_content_encoding("gzip".into())
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_correlation_id("c".into())
        .with_reply_to("r".into())
        .with_expiration("3600000".into())
        .with_message_id("m".into())
        .with_timestamp(1_795_176_000)
        .with_type("t".into())
        .with_user_id(node().username.as_str().into())
        .with_app_id("a".into())
}

/// How many small messages there are: more than fit into a batch. A trial by hand has a million.
#[expect(clippy::disallowed_methods, reason = "a switch of a trial by hand")]
fn many() -> u32 {
    std::env::var("ARCHIVED").map_or(3000, |many| many.parse().expect("ARCHIVED is a number"))
}

/// Bodies of any length and any bytes, each with odd properties, with none, and not durable.
fn sent(kind: &str) -> Vec<Sent> {
    let bodies = [Vec::new(), (0..=255).collect(), vec![b'x'; 1 << 20], "ü".repeat(2000).into_bytes()];
    let transient = BasicProperties::default().with_delivery_mode(1);
    let of_body =
        |body: Vec<u8>| [odd(kind), BasicProperties::default(), transient.clone()].map(|each| (each, body.clone()));
    let mut all: Vec<Sent> = bodies.into_iter().flat_map(of_body).collect();
    let body = |n: u32| vec![n.to_le_bytes()[0]; usize::try_from(n % 50).unwrap()];
    all.extend((0..many()).map(|n| (BasicProperties::default().with_message_id(n.to_string().into()), body(n))));
    all
}

async fn version() -> Version {
    Version::parse(&node().broker().overview().await.unwrap().version).unwrap()
}

/// The types of queues that this broker has.
async fn kinds() -> &'static [&'static str] {
    // 3.8 has no streams.
    if version().await < Version::parse("3.9.0").unwrap() {
        &["classic", "quorum"]
    } else {
        &["classic", "quorum", "stream"]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_comes_back_byte_for_byte_in_order() {
    let bus = Bus::new("archives.exact").await;
    for kind in kinds().await {
        bus.declare_kind(kind, kind).await;
        bus.publish(kind, &sent(kind)).await;
        // A stream is asked what it has, for the broker writes messages of streams in another protocol.
        let before = if *kind == "stream" { bus.read(kind, kind).await } else { sent(kind) };
        assert_eq!(before.len(), sent(kind).len(), "{kind}");
        let archive = bus.take(kind, kind).await.unwrap();
        assert_eq!((archive.messages, archive.arrived), (before.len() as u64, 0), "{kind}");
        if *kind != "stream" {
            assert_eq!(bus.depth(kind).await, Some(Depth { ready: 0, consumers: 0 }), "{kind}");
        }

        let copy = format!("{kind}-copy");
        bus.declare_kind(&copy, kind).await;
        let replayed = bus.archives.replay(&caller(), &archive.name, Some(copy.clone()), None).await.unwrap();
        assert_eq!((replayed.messages, replayed.changed), (before.len() as u64, 0), "{kind}");
        let after = bus.read(&copy, kind).await;
        assert_eq!(after.len(), before.len(), "{kind}");
        for (number, (after, before)) in after.iter().zip(&before).enumerate() {
            assert_eq!(after.0, before.0, "{kind} {number}");
            assert!(after.1 == before.1, "{kind}: the body of {number}");
        }
        let shown = bus.archives.messages(&caller(), &archive.name, 0, 1).await.unwrap().into_inner();
        assert_eq!(shown[0].properties["content_type"], "application/ключ", "{kind}");
        assert_eq!(shown[0].routing_key, *kind);
        assert_eq!(shown[0].offset, (*kind == "stream").then_some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_many_megabytes_come_back() {
    let bus = Bus::new("archives.large").await;
    // Frames have 128 KiB, batches 8 MiB, and 16 MiB is the most that 4.x takes.
    let sizes = [0, 1, (128 << 10) - 8, (128 << 10) - 7, 9 << 20, 1 << 20, 16 << 20];
    let body = |len: usize| (0..len).map(|at| ((at * 31) >> 8).to_le_bytes()[0]).collect::<Vec<u8>>();
    for kind in kinds().await {
        let copy = format!("{kind}-copy");
        for queue in [*kind, &copy] {
            bus.declare_kind(queue, kind).await;
        }
        for len in sizes {
            bus.publish(kind, &[(BasicProperties::default(), body(len))]).await;
        }
        let archive = bus.take(kind, kind).await.unwrap();
        assert_eq!(archive.messages, sizes.len() as u64, "{kind}");
        bus.archives.replay(&caller(), &archive.name, Some(copy.clone()), None).await.unwrap();
        let after = bus.read(&copy, kind).await;
        assert_eq!(after.iter().map(|(_, body)| body.len()).collect::<Vec<_>>(), sizes, "{kind}");
        assert!(after.iter().all(|(_, after)| *after == body(after.len())), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_read_takes_nothing_and_who_may_not_write_brings_nothing_back() {
    let bus = Bus::new("archives.rights").await;
    bus.declare_kind("q", "classic").await;
    bus.publish("q", &[(BasicProperties::default(), b"body".to_vec())]).await;
    let rights = format!("permissions/archives.rights/{}", encoded(&node().username));
    let none = "^$";
    node().admin("PUT", &rights, json!({"configure": ".*", "write": ".*", "read": none})).await;
    let error = bus.take("q", "classic").await.unwrap_err();
    assert_eq!(error.message(), "the broker does not let us read the queue");
    assert!(error.chain().contains("needs the right to read"), "{error:?}");
    assert_eq!(bus.archives.list().await.unwrap(), []);
    assert_eq!(bus.depth("q").await.map(|depth| depth.ready), Some(1));

    node().admin("PUT", &rights, json!({"configure": ".*", "write": none, "read": ".*"})).await;
    let archive = bus.take("q", "classic").await.unwrap();
    let error = bus.archives.replay(&caller(), &archive.name, None, None).await.unwrap_err();
    assert_eq!(error.message(), "the broker does not let us publish");

    node().admin("DELETE", &rights, json!(null)).await;
    let error = bus.take("q", "classic").await.unwrap_err();
    assert!(error.chain().contains("vhost"), "it says where we may not go: {error:?}");

    node().admin("PUT", &rights, json!({"configure": ".*", "write": ".*", "read": ".*"})).await;
    assert_eq!(bus.archives.replay(&caller(), &archive.name, None, None).await.unwrap().messages, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_read_to_its_end_and_what_comes_behind_is_counted() {
    if !kinds().await.contains(&"stream") {
        return;
    }
    let bus = Bus::new("archives.stream").await;
    bus.declare_kind("s", "stream").await;
    assert_eq!(bus.take("s", "stream").await.unwrap().messages, 0, "it is empty");
    let message = |n: usize| (BasicProperties::default(), n.to_string().into_bytes());
    let mut count = 0;
    for more in [1, 2999, 7] {
        bus.publish("s", &(count..count + more).map(message).collect::<Vec<_>>()).await;
        count += more;
        let archive = bus.take("s", "stream").await.unwrap();
        assert_eq!((archive.messages, archive.arrived), (count as u64, 0));
        let last = bus.archives.messages(&caller(), &archive.name, count as u64 - 1, 9).await.unwrap().into_inner();
        assert_eq!(last.len(), 1);
        assert!(last[0].offset.unwrap() >= count as u64 - 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_added_is_not_published_again() {
    let bus = Bus::new("archives.added").await;
    bus.declare_kind("q", "quorum").await;
    let one = (BasicProperties::default().with_message_id("m".into()), b"body".to_vec());
    bus.publish("q", std::slice::from_ref(&one)).await;
    // A client takes it and goes away, so that it is handed out once more.
    let client = connect(&bus.vhost, &node().username, node().password.expose()).await;
    let channel = client.create_channel().await.unwrap();
    let mut consumer =
        channel.basic_consume("q".into(), "".into(), Default::default(), Default::default()).await.unwrap();
    consumer.next().await.unwrap().unwrap();
    client.close(200, "".into()).await.unwrap();

    let archive = bus.take("q", "quorum").await.unwrap();
    let shown = bus.archives.messages(&caller(), &archive.name, 0, 9).await.unwrap().into_inner();
    assert!(shown[0].redelivered);
    assert_eq!(shown[0].properties, json!({"message_id": "m"}));
    bus.archives.replay(&caller(), &archive.name, None, None).await.unwrap();
    assert_eq!(bus.read("q", "quorum").await, [one]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_brought_back_without_copies_and_without_the_name_of_another_user() {
    let bus = Bus::new("archives.changed").await;
    for queue in ["q", "to", "copies"] {
        bus.declare_kind(queue, "classic").await;
    }
    let mut headers = FieldTable::default();
    let copies = FieldArray::from(vec![AMQPValue::LongString("copies".into())]);
    headers.insert("CC".into(), AMQPValue::FieldArray(copies));
    bus.publish("q", &[(BasicProperties::default().with_headers(headers), b"copied".to_vec())]).await;
    node().admin("PUT", "users/archives-other", json!({"password": "p", "tags": ""})).await;
    let everything = json!({"configure": ".*", "write": ".*", "read": ".*"});
    node().admin("PUT", "permissions/archives.changed/archives-other", everything).await;
    let other = connect(&bus.vhost, "archives-other", "p").await;
    let channel = other.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let theirs = BasicProperties::default().with_user_id("archives-other".into()).with_app_id("a".into());
    let sent = channel.basic_publish("".into(), "q".into(), Default::default(), b"theirs", theirs).await.unwrap();
    sent.await.unwrap();
    assert_eq!(bus.read("copies", "classic").await.len(), 1);

    let archive = bus.take("q", "classic").await.unwrap();
    let replayed = bus.archives.replay(&caller(), &archive.name, Some("to".into()), None).await.unwrap();
    assert_eq!((replayed.messages, replayed.changed), (2, 2));
    let back = bus.read("to", "classic").await;
    let without = BasicProperties::default().with_app_id("a".into());
    assert_eq!(back, [(BasicProperties::default(), b"copied".to_vec()), (without, b"theirs".to_vec())]);
    assert_eq!(bus.read("copies", "classic").await, []);
    let shown = bus.archives.messages(&caller(), &archive.name, 1, 1).await.unwrap().into_inner();
    assert_eq!(shown[0].properties["user_id"], "archives-other", "the archive has it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_hands_nothing_out_is_not_taken_for_empty() {
    let bus = Bus::new("archives.silent").await;
    bus.declare("q", &[("x-single-active-consumer", AMQPValue::Boolean(true))]).await;
    bus.channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let mut active =
        bus.channel.basic_consume("q".into(), "".into(), Default::default(), Default::default()).await.unwrap();
    bus.publish("q", &[(BasicProperties::default(), b"a".to_vec()), (BasicProperties::default(), b"b".to_vec())]).await;
    active.next().await.unwrap().unwrap();
    let error = bus.take("q", "classic").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("hands none out"), "{error:?}");
    assert_eq!(bus.depth("q").await, Some(Depth { ready: 1, consumers: 1 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_another_connection_is_not_taken() {
    let bus = Bus::new("archives.exclusive").await;
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    bus.channel.queue_declare("mine".into(), exclusive, FieldTable::default()).await.unwrap();
    assert_eq!(bus.take("mine", "classic").await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(bus.take("none", "classic").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_kept() {
    let bus = Bus::new("archives.rate").await;
    bus.declare_kind("q", "classic").await;
    let sent: Vec<Sent> = (0..60u8).map(|n| (BasicProperties::default(), vec![n])).collect();
    bus.publish("q", &sent).await;
    let archive = bus.take("q", "classic").await.unwrap();
    let begun = Instant::now();
    bus.archives.replay(&caller(), &archive.name, None, Some(40)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(1400), "{:?}", begun.elapsed());
    assert_eq!(bus.read("q", "classic").await, sent);
}
