//! What the loops do with 10,000 namespaces or queues on a real RabbitMQ node, beside the bare broker calls.
//!
//! A number as its argument takes fewer: `cargo bench --bench loops -- 1000`.

mod common;
#[expect(dead_code, reason = "only messages go over AMQP")]
#[path = "common/node.rs"]
mod node;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Row, Target, alternate, memory_mb, reset_peak};
use futures_util::StreamExt;
use keylender::app::Appliance;
use keylender::app::settings::Settings;
use keylender::base::{AccountName, Clock, NamespaceName, Secret, Timestamp, VhostName};
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::Claim;
use keylender::ports::broker::{Access, Connections, Login, ManagementBroker, PasswordHash, Topology, UserWish, Users};
use node::Node;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Namespaces that rotate or are removed, and queues that are looked at.
const COUNT: u32 = 10_000;
const CLAIMS_AT_ONCE: usize = 32;
/// Bare calls at once: the broker gains nothing beyond (rabbitmq.md 3).
const WORKERS: usize = 8;
/// A rotation of all takes seconds.
const ROTATIONS: usize = 3;
const PASSES: usize = 9;
/// The queues of one namespace.
const QUEUES_EACH: u32 = 10;
/// Queues per request.
const QUEUES_AT_ONCE: usize = 500;
/// Between two passes of the monitor.
const PASS_PERIOD: Duration = Duration::from_secs(60);
/// What a round removes is made first, which takes as long again.
const EXPIRIES: usize = 3;
/// Longer than any interval and any promise.
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// 2026-11-21.
const BEGIN: Timestamp = Timestamp::from_millis(1_795_219_200_000);

fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(COUNT);
    // First, while the memory of this process is that of a new one.
    monitor(count);
    let bench = Bench::start("rotate");
    bench.claim_all("standing", 0..count, Timestamp::MAX);
    rotation(&bench, count);
    drop(bench);
    expiry(count);
}

/// An appliance on a node and on a real file, with no loop running and a clock that we move.
struct Bench {
    runtime: Runtime,
    appliance: Appliance,
    broker: Arc<ManagementBroker>,
    clock: Clock,
    node: Node,
    _dir: TempDir,
}

impl Bench {
    fn start(name: &str) -> Self {
        let (runtime, node, clock) = (Runtime::new().unwrap(), Node::start(name), Clock::manual(BEGIN));
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let broker = Arc::new(node.broker());
        let settings = Settings::for_tests(dir.path());
        let appliance = Appliance::build(&settings, clock.clone(), Some(broker.clone())).unwrap();
        Self { runtime, appliance, broker, clock, node, _dir: dir }
    }

    fn claim_all(&self, kind: &'static str, numbers: std::ops::Range<u32>, expires: Timestamp) {
        self.run_all(CLAIMS_AT_ONCE, numbers, |number| {
            let namespaces = self.appliance.namespaces.clone();
            async move {
                let name = NamespaceName::parse(&namespace(kind, number)).unwrap();
                let claim = Claim { expires: Some(expires), ..Claim::default() };
                namespaces.claim(&Caller::local("bench", "bench"), &name, claim).await.unwrap();
            }
        });
    }

    /// Does it once for each number, so many at once, and returns how many seconds that took.
    fn run_all<F>(&self, at_once: usize, numbers: impl IntoIterator<Item = u32>, run: impl Fn(u32) -> F) -> f64
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let begun = Instant::now();
        self.runtime.block_on(async {
            let runs = futures_util::stream::iter(numbers).map(|number| tokio::spawn(run(number)));
            runs.buffer_unordered(at_once).for_each(async |ran| ran.unwrap()).await;
        });
        begun.elapsed().as_secs_f64()
    }

    /// Seconds until this is done.
    fn time<T>(&self, work: impl Future<Output = T>) -> f64 {
        let begun = Instant::now();
        self.runtime.block_on(work);
        begun.elapsed().as_secs_f64()
    }
}

/// Rotation of all beside as many passwords set bare.
fn rotation(bench: &Bench, count: u32) {
    let rotate = || {
        bench.clock.advance(MONTH);
        bench.time(async {
            let rotated = bench.appliance.namespaces.rotate_due().await.unwrap();
            assert_eq!(rotated.rotated, usize::try_from(count).unwrap(), "{rotated:?}");
        })
    };
    let put = || bench.run_all(WORKERS, 0..count, |number| put_login(bench.broker.clone(), number));
    let (ours, reference) = alternate(ROTATIONS, rotate, put);
    Row {
        what: &format!("rotation of {count} namespaces"),
        unit: "s",
        ours,
        reference,
        reference_is: "as many bare password PUTs, 8 at once",
        target: Target::RatioMax(1.3),
    }
    .print();
}

async fn put_login(broker: Arc<ManagementBroker>, number: u32) {
    let namespace = namespace("standing", number);
    let wish = UserWish {
        name: &account(&namespace, 1),
        login: Login::Hash(PasswordHash::of(&Secret::generate())),
        tags: &[],
        permissions: &[(vhost(), access(&namespace))],
    };
    broker.put_login(&wish).await.unwrap();
}

/// Expiry of all at once beside the bare deletions of as many users. They are alone on the broker: what it takes to
/// delete a user grows with the number of all.
fn expiry(count: u32) {
    let bench = Bench::start("expiry");
    let expire = || {
        bench.claim_all("over", 0..count, bench.clock.now());
        bench.clock.advance(MONTH);
        bench.time(async {
            let expired = bench.appliance.namespaces.expire_over().await.unwrap();
            assert_eq!(expired.removed, usize::try_from(count).unwrap(), "{expired:?}");
        })
    };
    let delete = || {
        bench.run_all(WORKERS, 0..2 * count, |number| put_bare(bench.broker.clone(), number));
        bench.run_all(WORKERS, 0..2 * count, |number| delete_bare(bench.broker.clone(), number))
    };
    let (ours, reference) = alternate(EXPIRIES, expire, delete);
    Row {
        what: &format!("expiry of {count} namespaces at once"),
        unit: "s",
        ours,
        reference,
        reference_is: "bare deletions of their users, 8 at once",
        target: Target::None,
    }
    .print();
}

/// A user that differs from one of a namespace in its name only.
async fn put_bare(broker: Arc<ManagementBroker>, number: u32) {
    let permissions = [(vhost(), access(&namespace("bare", number / 2)))];
    let wish = UserWish { name: &bare(number), login: Login::Locked, tags: &[], permissions: &permissions };
    broker.put_user(&wish).await.unwrap();
}

async fn delete_bare(broker: Arc<ManagementBroker>, number: u32) {
    assert!(broker.delete_user(&bare(number)).await.unwrap());
}

/// Two users of each namespace.
fn bare(number: u32) -> AccountName {
    account(&namespace("bare", number / 2), number % 2 + 1)
}

/// A pass of the monitor beside the lists that it asks for, in time and in memory.
fn monitor(count: u32) {
    let bench = Bench::start("monitor");
    bench.claim_all("standing", 0..count.div_ceil(QUEUES_EACH), Timestamp::MAX);
    bench.runtime.block_on(declare_queues(&bench.node, count));

    let at_rest = memory_mb("VmRSS:");
    reset_peak();
    bench.time(lists(&bench));
    let reference = memory_mb("VmHWM:") - at_rest;
    let pass = || {
        bench.clock.advance(PASS_PERIOD);
        bench.time(async {
            let report = bench.appliance.monitor.run().await.unwrap();
            assert_eq!(report, Default::default());
        })
    };
    pass();
    let (seconds, bare_seconds) = alternate(PASSES, pass, || bench.time(lists(&bench)));
    let row = Row {
        what: &format!("monitor pass over {count} queues"),
        unit: "s",
        ours: seconds,
        reference: bare_seconds,
        reference_is: "its three bare lists",
        target: Target::Below(2.0),
    };
    row.print();
    let ours = memory_mb("VmHWM:") - at_rest;
    Row { what: "memory at the peak of its passes", unit: "MB", ours, reference, target: Target::Below(50.0), ..row }
        .print();
}

async fn lists(bench: &Bench) {
    let queues = bench.broker.queues(&vhost()).await.unwrap();
    let exchanges = bench.broker.exchanges(&vhost()).await.unwrap();
    let connections = bench.broker.connections().await.unwrap();
    std::hint::black_box((queues, exchanges, connections));
}

/// The queues of the standing namespaces, by the fast way that operators have.
async fn declare_queues(node: &Node, count: u32) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let queues: Vec<_> = (0..count)
        .map(|number| {
            let name = format!("queue/{}/{}", namespace("standing", number / QUEUES_EACH), number % QUEUES_EACH);
            json!({ "name": name, "durable": true, "auto_delete": false, "arguments": {} })
        })
        .collect();
    for queues in queues.chunks(QUEUES_AT_ONCE) {
        let request = client.post(format!("{}/definitions/%2F", node.settings.url));
        let request = request.basic_auth(&node.settings.username, Some(node.settings.password.expose()));
        request.json(&json!({ "queues": queues })).send().await.unwrap().error_for_status().unwrap();
    }
}

fn namespace(kind: &str, number: u32) -> String {
    format!("taskcluster-{kind}-{number}")
}

/// What a user of a namespace may do.
fn access(namespace: &str) -> Access {
    Access {
        configure: format!("^(queue/{namespace}/.*|exchange/{namespace}/.*)"),
        write: format!("^(queue/{namespace}/.*|exchange/{namespace}/.*)"),
        read: format!("^(queue/{namespace}/.*|exchange/.*)"),
    }
}

fn account(namespace: &str, slot: u32) -> AccountName {
    AccountName::parse(&format!("{namespace}-{slot}")).unwrap()
}

fn vhost() -> VhostName {
    VhostName::parse("/").unwrap()
}
