//! Archives of the built program on a real broker: with TLS on both doors, and with a disk that fails in the middle of a file.

use std::collections::BTreeSet;

use keylender::base::VhostName;
use lapin::options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::archives::connect;
use crate::node::node;
use crate::served::Program;

const MESSAGES: u32 = 24;
const MESSAGE_LEN: usize = 1_000_000;
/// The most that a file may have, in blocks of 512 bytes: two thirds of all the messages.
const FILE_BLOCKS_MAX: u32 = 16 * 1024 * 1024 / 512;

/// A vhost with a queue of a namespace, and the settings of an appliance that knows the broker by TLS only.
struct World {
    program: Program,
    namespace: String,
    /// What is archived, and where it is brought back to.
    queue: String,
    back: String,
    channel: Channel,
    _connection: Connection,
}

impl World {
    async fn new(name: &str) -> Self {
        let vhost = VhostName::parse(name).unwrap();
        node().admin("PUT", &format!("vhosts/{name}"), json!({})).await;
        let file = |name: &str| node().path(name).display().to_string();
        let settings = [
            ("RABBIT_BASE_URL", format!("https://localhost:{}/api", node().management_tls_port)),
            ("RABBIT_CA_FILE", file("ca.pem")),
            ("RABBIT_CERT", file("client.pem")),
            ("RABBIT_KEY", file("client.key")),
            ("RABBIT_USERNAME", node().username.clone()),
            ("RABBIT_PASSWORD", node().password.expose().to_owned()),
            ("TASKCLUSTER_AMQP_PROTOCOL", "amqps://".to_owned()),
            ("TASKCLUSTER_AMQP_HOSTNAME", "localhost".to_owned()),
            ("TASKCLUSTER_AMQP_PORT", node().amqps_port.to_string()),
            ("TASKCLUSTER_AMQP_VHOST", name.to_owned()),
        ];
        let program = Program::new(&settings);
        let connection = connect(&vhost, &node().username, node().password.expose()).await;
        let channel = connection.create_channel().await.unwrap();
        let namespace = format!("taskcluster-{name}");
        let (queue, back) = (format!("queue/{namespace}/jobs"), format!("queue/{namespace}/back"));
        for queue in [&queue, &back] {
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await.unwrap();
        }
        Self { program, namespace, queue, back, channel, _connection: connection }
    }

    /// Messages that do not compress, each another one.
    async fn fill(&self) -> BTreeSet<Vec<u8>> {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let mut all = BTreeSet::new();
        for _ in 0..MESSAGES {
            let body: Vec<u8> = std::iter::repeat_with(&mut random).take(MESSAGE_LEN).collect();
            let options = BasicPublishOptions::default();
            self.channel
                .basic_publish("".into(), self.queue.as_str().into(), options, &body, BasicProperties::default())
                .await
                .unwrap();
            all.insert(body);
        }
        all
    }

    /// Everything that waits in a queue.
    async fn read(&self, queue: &str) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = self.channel.basic_get(queue.into(), options).await.unwrap() {
            all.push(message.delivery.data);
        }
        all
    }

    async fn serve(&self, blocks: &str) -> Child {
        self.program.serve(blocks).await
    }

    async fn keylender(&self, command: &str) -> (i32, String) {
        self.program.keylender(command).await
    }

    async fn well(&self, command: &str) -> String {
        self.program.well(command).await
    }

    /// The only archive.
    async fn archive(&self) -> Value {
        let list: Value = self.well("queue archive list --json").await.parse().unwrap();
        assert_eq!(list["archives"].as_array().unwrap().len(), 1, "{list}");
        list["archives"][0].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_what_was_taken_comes_back() {
    let world = World::new("archive-over-tls").await;
    let all = world.fill().await;
    let _serve = world.serve("unlimited").await;
    world.well(&format!("namespace test {}", world.namespace)).await;
    world.well(&format!("queue archive take {} --reason r", world.queue)).await;
    assert!(world.read(&world.queue).await.is_empty());
    let archive = world.archive().await["archive"].as_str().unwrap().to_owned();
    world.well(&format!("queue archive replay {archive} --to {} --reason r", world.back)).await;
    assert_eq!(world.read(&world.back).await.into_iter().collect::<BTreeSet<_>>(), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_in_the_middle_of_a_file_loses_no_message() {
    let world = World::new("archive-disk").await;
    let all = world.fill().await;
    let mut serve = world.serve(&FILE_BLOCKS_MAX.to_string()).await;
    world.well(&format!("namespace test {}", world.namespace)).await;
    let (code, said) = world.keylender(&format!("queue archive take {} --reason r", world.queue)).await;
    assert_eq!(code, 1, "{said}");
    let archive = world.archive().await;
    let kept = archive["messages"].as_u64().unwrap();
    assert!(kept > 0 && kept < MESSAGES.into(), "{archive} {said}");
    serve.kill().await.unwrap();

    let _serve = world.serve("unlimited").await;
    let name = archive["archive"].as_str().unwrap();
    assert_eq!(world.archive().await["messages"], kept);
    world.well(&format!("queue archive replay {name} --to {} --reason r", world.back)).await;
    let (left, back) = (world.read(&world.queue).await, world.read(&world.back).await);
    assert_eq!(back.len() as u64, kept);
    assert_eq!(left.into_iter().chain(back).collect::<BTreeSet<_>>(), all);
}
