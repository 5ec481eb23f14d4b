//! A queue of many small messages taken into an archive and brought back, beside the least that it takes: bare lapin that
//! consumes and acknowledges, and that publishes and waits for confirms. And the memory of both, beside that of a tenth.
//!
//! `MESSAGES` is how many there are, if not a million.

mod common;
#[path = "common/node.rs"]
mod node;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Row, Target, alternate, memory_mb, reset_peak};
use futures_util::StreamExt;
use keylender::base::audit::Actor;
use keylender::base::{ArchiveName, Clock, NamespaceName, Reason, VhostName};
use keylender::domain::archives::{Archives, Config};
use keylender::domain::auth::Caller;
use keylender::ports::broker::{Broker, Handle};
use keylender::store::{ArchiveDirectory, KeySource, Store};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use node::Node;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Messages that are shown to be taken.
const MESSAGES: u32 = 1_000_000;
/// Bytes of a body: what a job of a task is about.
const BODY_LEN: usize = 200;
/// What the bare reference has in hand, as our own.
const PREFETCH: u16 = 2000;
const ROUNDS: usize = 1;
const QUEUE: &str = "bench";

struct Bench {
    channel: Channel,
    archives: Archives,
    runtime: Runtime,
    taken: Option<ArchiveName>,
    _connection: Connection,
    _dir: TempDir,
    _node: Node,
}

#[expect(clippy::disallowed_methods, reason = "a bench has no settings")]
fn main() {
    let count = std::env::var("MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(MESSAGES);
    let bench = std::cell::RefCell::new(Bench::start());
    let rates = alternate(ROUNDS, || bench.borrow_mut().take(count), || bench.borrow_mut().consume(count));
    row("messages taken from a classic queue into an archive", "/s", rates, "bare lapin, consumed and acknowledged");
    let rates = alternate(ROUNDS, || bench.borrow_mut().replay(count), || bench.borrow_mut().fill(count));
    row("messages brought back from it", "/s", rates, "bare lapin, published and confirmed");
    let mut bench = bench.into_inner();
    for (what, deed) in [("taken", Bench::take_filled as fn(&mut Bench, u32) -> f64), ("brought back", Bench::replay)] {
        let tenth = bench.peak(count / 10, deed);
        let ours = bench.peak(count, deed);
        let what = format!("memory beyond that of rest while {count} are {what}");
        let target = Target::Below(40.0);
        Row { what: &what, unit: "MB", ours, reference: tenth, reference_is: "a tenth", target }.print();
    }
}

fn row(what: &str, unit: &str, (ours, reference): (f64, f64), reference_is: &str) {
    Row { what, unit, ours, reference, reference_is, target: Target::None }.print();
}

impl Bench {
    fn start() -> Self {
        let (runtime, node) = (Runtime::new().unwrap(), Node::start("archive"));
        let vhost = VhostName::parse("/").unwrap();
        let broker: Arc<dyn Broker> = Arc::new(node.broker().with_door(node.door()));
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let store = Store::open(dir.path(), &KeySource::File(dir.path().join("key")), Clock::system()).unwrap();
        let directory = ArchiveDirectory::new(dir.path().join("archives"));
        let config = Config { directory, bytes_max: u64::MAX, keep: Duration::ZERO, free_min: 0 };
        let archives = Archives::new(store, Handle::new(Some(broker)).messages(), vhost, config);
        let settings = &node.settings;
        let uri =
            format!("amqp://{}:{}@127.0.0.1:{}/%2F", settings.username, settings.password.expose(), node.amqp_port);
        let (connection, channel) = runtime.block_on(async {
            let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
            let channel = connection.create_channel().await.unwrap();
            channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
            channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(QUEUE.into(), options, Default::default()).await.unwrap();
            (connection, channel)
        });
        Self { channel, archives, runtime, taken: None, _connection: connection, _dir: dir, _node: node }
    }

    /// Fills the emptied queue; how many in a second.
    fn fill(&mut self, count: u32) -> f64 {
        self.runtime.block_on(async {
            self.channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default()).await.unwrap();
            let properties = BasicProperties::default().with_delivery_mode(2).with_content_type("text/plain".into());
            let body = vec![b'x'; BODY_LEN];
            let begun = Instant::now();
            let mut left = count;
            while left > 0 {
                let batch = left.min(1000);
                let mut confirms = Vec::new();
                for _ in 0..batch {
                    let options = BasicPublishOptions::default();
                    let sent = self.channel.basic_publish("".into(), QUEUE.into(), options, &body, properties.clone());
                    confirms.push(sent.await.unwrap());
                }
                for confirm in confirms {
                    confirm.await.unwrap();
                }
                left -= batch;
            }
            rate(count, begun)
        })
    }

    fn take(&mut self, count: u32) -> f64 {
        self.fill(count);
        self.take_filled(count)
    }

    fn take_filled(&mut self, count: u32) -> f64 {
        self.runtime.block_on(async {
            let namespace = NamespaceName::parse("bench").unwrap();
            let begun = Instant::now();
            let archive = self.archives.take(Actor::Appliance, QUEUE, &namespace, "classic", "bench").await.unwrap();
            assert_eq!(archive.messages, u64::from(count));
            let rate = rate(count, begun);
            if let Some(before) = self.taken.replace(archive.name) {
                self.archives.delete(&caller(), &before).await.unwrap();
            }
            rate
        })
    }

    fn consume(&mut self, count: u32) -> f64 {
        self.fill(count);
        self.runtime.block_on(async {
            let begun = Instant::now();
            let options = BasicConsumeOptions::default();
            let mut consumer =
                self.channel.basic_consume(QUEUE.into(), "".into(), options, Default::default()).await.unwrap();
            for number in 1..=count {
                let delivery = consumer.next().await.unwrap().unwrap();
                if number.is_multiple_of(1000) || number == count {
                    let options = BasicAckOptions { multiple: true };
                    self.channel.basic_ack(delivery.delivery_tag, options).await.unwrap();
                }
            }
            self.channel.basic_cancel(consumer.tag(), Default::default()).await.unwrap();
            rate(count, begun)
        })
    }

    fn replay(&mut self, count: u32) -> f64 {
        let name = self.taken.clone().unwrap();
        self.runtime.block_on(async {
            self.channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default()).await.unwrap();
            let begun = Instant::now();
            let replayed = self.archives.replay(&caller(), &name, None, None).await.unwrap();
            assert_eq!(replayed.messages, u64::from(count));
            rate(count, begun)
        })
    }

    /// How much more memory there was at the peak than before, with a queue and an archive of so many messages.
    fn peak(&mut self, count: u32, deed: fn(&mut Self, u32) -> f64) -> f64 {
        self.take(count);
        self.fill(count);
        let before = memory_mb("VmRSS:");
        reset_peak();
        deed(self, count);
        memory_mb("VmHWM:") - before
    }
}

fn caller() -> Caller {
    Caller::local("bench", "bench").because(Reason::parse("bench").unwrap())
}

fn rate(count: u32, begun: Instant) -> f64 {
    f64::from(count) / begun.elapsed().as_secs_f64()
}
