//! A fleet of 10,000 agents on a private RabbitMQ node: enrolled, beside the bare broker calls; their heartbeats, beside the
//! same consumer that keeps nothing; how late these are kept, how fast a backlog is, and the memory of it.
//!
//! A number as its argument takes fewer: `cargo bench --bench agents -- 1000`.

mod common;
#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/node.rs"]
mod node;
#[expect(dead_code, reason = "where it listens is no matter")]
#[path = "common/program.rs"]
mod program;

use std::cell::Cell;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Row, Target, alternate};
use fleet::{EXCHANGE, KEY, Publisher, VHOST, heartbeat};
use futures_util::StreamExt;
use keylender::app::Appliance;
use keylender::app::settings::{RelaySettings, Settings};
use keylender::base::{AccountName, Clock, Secret, Timestamp, VhostName};
use keylender::domain::agents::{Agents, Fate, Wanted};
use keylender::domain::auth::Caller;
use keylender::domain::hosts::Asker;
use keylender::domain::relay::Change;
use keylender::ports::broker::{
    Access, Broker, Login, ManagementBroker, MemoryBroker, PasswordHash, Subscription, Subscriptions, Topology,
    UserWish, Users,
};
use keylender::proto::relay_profile::Profile;
use node::Node;
use program::{Program, settings};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const COUNT: u32 = 10_000;
/// Calls at once.
const WORKERS: usize = 8;
const ROUNDS: usize = 3;
/// How long one a minute of each is sent, to see how late they are kept.
const STEADY: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);
/// A minute each, for an hour.
const HOUR_ROUNDS: u32 = 60;
/// Minutes of it that take a minute each.
const PACED_ROUNDS: u32 = 3;
/// How many are sent in a row, of those that are spread over a minute.
const PACED_AT_ONCE: usize = 100;

const FLEET: &str = "name = 'mig'
[[vhost]]
name = 'mig'
[[vhost.exchange]]
name = 'toagents'
type = 'direct'
[[vhost.exchange]]
name = 'toschedulers'
type = 'direct'
[[part]]
name = 'agent'
kind = 'mig-agent'
age = '2018-10'
[part.settings.mq]
host = 'relay'
port = 5672
[agents]
vhost = 'mig'
sends-to = 'toschedulers'
takes-from = 'toagents'
part = 'agent'
enrols-from = ['0.0.0.0/0', '::/0']
heartbeat-period = '1 minute'
";

fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(COUNT);
    let (runtime, node) = (Runtime::new().unwrap(), Node::start("agents"));
    let broker = Arc::new(node.broker().with_door(node.door()));
    let bench = Bench::start(&runtime, broker.clone(), count);
    let publisher = runtime.block_on(Publisher::start(&node));
    steady(&runtime, &bench, &publisher, count);
    backlog(&runtime, &bench, &broker, &publisher, count);
    rate(count);
    memory(&runtime, &node, &publisher, count);
    enrolment(&runtime, &bench, &broker, count);
}

/// Ten thousand heartbeats a minute: how late they are kept.
fn steady(runtime: &Runtime, bench: &Bench, publisher: &Publisher, count: u32) {
    let agents = bench.agents();
    let reader = runtime.spawn(async move { agents.read_heartbeats().await });
    let agents = bench.agents();
    let mut lags: Vec<u64> = runtime.block_on(async {
        let (begun, mut lags) = (Instant::now(), Vec::new());
        let pause = MINUTE / count;
        for number in 0.. {
            if begun.elapsed() > STEADY {
                break;
            }
            publisher.send(&[heartbeat(number % count, Timestamp::from_millis(now()))]).await;
            lags.extend(agents.reading().lag_ms);
            tokio::time::sleep((pause * number).saturating_sub(begun.elapsed())).await;
        }
        lags
    });
    reader.abort();
    lags.sort_unstable();
    let at = |part: usize| lags[(lags.len() * part / 100).min(lags.len() - 1)] as f64;
    let what = format!("lag of heartbeats, {count} a minute, 99 of 100 within");
    Row {
        what: &what,
        unit: "ms",
        ours: at(99),
        reference: at(50),
        reference_is: "the median of them",
        target: Target::Below(100.0),
    }
    .print();
}

/// A fleet that comes back at once, and the rate of the consumer beside the same one that keeps nothing.
fn backlog(runtime: &Runtime, bench: &Bench, broker: &Arc<ManagementBroker>, publisher: &Publisher, count: u32) {
    let all: Vec<Vec<u8>> = (0..count).map(|number| heartbeat(number, Timestamp::from_millis(now()))).collect();
    let fill = async || {
        // The queue is there since somebody read it last.
        for chunk in all.chunks(1000) {
            publisher.send(chunk).await;
        }
    };
    let ours = || {
        runtime.block_on(async {
            fill().await;
            let (agents, before) = (bench.agents(), bench.taken());
            let begun = Instant::now();
            let reader = tokio::spawn(async move { agents.read_heartbeats().await });
            while bench.taken() < before + u64::from(count) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let took = begun.elapsed().as_secs_f64();
            reader.abort();
            tokio::time::sleep(Duration::from_millis(300)).await;
            took
        })
    };
    let bare = || {
        runtime.block_on(async {
            fill().await;
            let begun = Instant::now();
            let mut subscriber = broker.subscribe(&vhost(), &subscription()).await.unwrap();
            let mut left = count as usize;
            while left > 0 {
                left = left.saturating_sub(subscriber.next(1000, 2 << 20).await.unwrap().len());
                subscriber.acknowledge().await.unwrap();
            }
            begun.elapsed().as_secs_f64()
        })
    };
    let (ours, reference) = alternate(ROUNDS, ours, bare);
    let what = format!("{count} queued heartbeats read");
    let reference_is = "the same consumer, keeping nothing";
    Row { what: &what, unit: "s", ours, reference, reference_is, target: Target::Below(3.0) }.print();
    let rate = |took: f64| f64::from(count) / took;
    let (ours, reference) = (rate(ours), rate(reference));
    let what = "heartbeats kept, from RabbitMQ";
    Row { what, unit: "/s", ours, reference, reference_is, target: Target::RatioMin(0.6) }.print();
    let _ = runtime.block_on(broker.purge_queue(&vhost(), keylender::domain::agents::QUEUE)).unwrap();
}

/// From the memory broker, as fast as they are kept.
fn rate(count: u32) {
    let runtime = Runtime::new().unwrap();
    let broker = MemoryBroker::default();
    let bench = Bench::start(&runtime, Arc::new(broker.clone()), count);
    let agents = bench.agents();
    let reader = runtime.spawn(async move { agents.read_heartbeats().await });
    runtime.block_on(async {
        while bench.agents().reading().since.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let round = || {
        let bodies: Vec<Vec<u8>> = (0..count).map(|number| heartbeat(number, Timestamp::from_millis(now()))).collect();
        let (begun, before) = (Instant::now(), bench.taken());
        assert_eq!(broker.publish(&vhost(), EXCHANGE, KEY, &bodies), 1);
        runtime.block_on(async {
            while bench.taken() < before + u64::from(count) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        begun.elapsed().as_secs_f64()
    };
    round();
    let took: f64 = (0..HOUR_ROUNDS).map(|_| round()).sum();
    let rate = f64::from(count) * f64::from(HOUR_ROUNDS) / took;
    let what = "heartbeats kept, from the memory broker";
    Row { what, unit: "/s", ours: rate, reference: 20_000.0, reference_is: "wanted", target: Target::RatioMin(1.0) }
        .print();
    reader.abort();
}

/// What the program holds in memory while each agent is heard once a minute, and whether that grows over an hour, most of which
/// is told as fast as it keeps them.
fn memory(runtime: &Runtime, node: &Node, publisher: &Publisher, count: u32) {
    let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let profile = dir.path().join("relay.toml");
    std::fs::write(&profile, FLEET).unwrap();
    let (path, port) = (Path::new(env!("CARGO_BIN_EXE_keylender")), node.amqp_port.to_string());
    let management = format!("127.0.0.1:{}", node.settings.url.port().unwrap()).parse().unwrap();
    let more = [
        ("RABBIT_USERNAME", node.settings.username.as_str()),
        ("RABBIT_PASSWORD", node.settings.password.expose()),
        ("TASKCLUSTER_AMQP_HOSTNAME", "127.0.0.1"),
        ("TASKCLUSTER_AMQP_PORT", &port),
        ("RELAY_PROFILE", profile.to_str().unwrap()),
    ];
    let (program, _) = Program::start(path, dir.path(), management, &more);
    let mut admit = std::process::Command::new(path);
    settings(&mut admit, dir.path());
    let words = ["agent", "whitelist", "add", r"re:linux\.a[0-9]+", "--reason", "a bench"];
    assert!(admit.args(words).status().unwrap().success());
    let before = program.resident_mb();
    let mut seen = Vec::new();
    for minute in 0..HOUR_ROUNDS {
        let bodies: Vec<Vec<u8>> = (0..count).map(|number| heartbeat(number, Timestamp::from_millis(now()))).collect();
        let begun = Instant::now();
        for (number, chunk) in (1..).zip(bodies.chunks(PACED_AT_ONCE)) {
            runtime.block_on(publisher.send(chunk));
            if minute < PACED_ROUNDS {
                let at = MINUTE * number * PACED_AT_ONCE as u32 / count;
                std::thread::sleep(at.saturating_sub(begun.elapsed()));
            }
        }
        seen.push(program.resident_mb());
    }
    eprintln!("resident after each of {HOUR_ROUNDS} minutes, in MB: {seen:.1?}");
    let (paced, fast) = seen.split_at(PACED_ROUNDS as usize);
    let peak = |seen: &[f64]| seen.iter().copied().fold(0.0, f64::max);
    let what = format!("memory while {count} a minute are heard");
    let (ours, reference_is) = (peak(paced), "the program before");
    Row { what: &what, unit: "MB", ours, reference: before, reference_is, target: Target::Below(60.0) }.print();
    let (begin, end) = (peak(&fast[..10]), peak(&fast[fast.len() - 10..]));
    let (what, reference_is) = ("memory at the end of an hour of it, told fast", "at its begin");
    Row { what, unit: "MB", ours: end, reference: begin, reference_is, target: Target::RatioMax(1.1) }.print();
}

/// Hosts that enrol, eight at once.
fn enrolment(runtime: &Runtime, bench: &Bench, broker: &Arc<ManagementBroker>, count: u32) {
    let part = count / 10;
    let round = Cell::new(0);
    let ours = || {
        let first = round.get() * part;
        // Who they are is known, so that it is no part of the figures.
        runtime.block_on(futures_util::stream::iter(first..first + part).for_each_concurrent(
            WORKERS,
            async |number| {
                bench.appliance.hosts.who_is(address(number)).await;
            },
        ));
        let begun = Instant::now();
        runtime.block_on(async {
            let enrolments = (first..first + part).map(|number| {
                let agents = bench.agents();
                tokio::spawn(async move {
                    let asker = Asker { address: address(number), is_sure: true, request_id: "bench" };
                    let wanted = Wanted { os: "linux".to_owned(), token: None };
                    agents.enrol(asker, wanted).await.unwrap();
                })
            });
            futures_util::stream::iter(enrolments).buffer_unordered(WORKERS).for_each(async |done| done.unwrap()).await;
        });
        begun.elapsed().as_secs_f64()
    };
    let bare = || {
        let first = round.get() * part;
        round.set(round.get() + 1);
        let begun = Instant::now();
        runtime.block_on(async {
            let calls = (first..first + part).map(|number| tokio::spawn(put_user(broker.clone(), number)));
            futures_util::stream::iter(calls).buffer_unordered(WORKERS).for_each(async |done| done.unwrap()).await;
        });
        begun.elapsed().as_secs_f64()
    };
    let (ours, reference) = alternate(ROUNDS, ours, bare);
    let what = format!("{part} hosts enrolled, 8 at once");
    let reference_is = "their bare broker calls, 8 at once";
    Row { what: &what, unit: "s", ours, reference, reference_is, target: Target::RatioMax(1.2) }.print();
}

/// What an enrolment asks of the broker: whether there is such a user, and that there is one now.
async fn put_user(broker: Arc<ManagementBroker>, number: u32) {
    let name = AccountName::parse(&format!("bare-{number}")).unwrap();
    assert!(broker.user(&name).await.unwrap().is_none());
    let own = format!(r"^mig\.agt\.linux\.{number}$");
    let access =
        Access { configure: own.clone(), write: format!(r"^(toschedulers|mig\.agt\.linux\.{number})$"), read: own };
    let login = Login::Hash(PasswordHash::of(&Secret::generate()));
    let permissions = [(vhost(), access)];
    broker.put_user(&UserWish { name: &name, login, tags: &[], permissions: &permissions }).await.unwrap();
}

/// An appliance whose profile is applied, and whose whitelist has all agents.
struct Bench {
    appliance: Appliance,
    _dir: TempDir,
}

impl Bench {
    fn start(runtime: &Runtime, broker: Arc<dyn Broker>, count: u32) -> Self {
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let mut settings = Settings::for_tests(dir.path());
        let profile = Profile::parse(FLEET).unwrap();
        settings.relay = Some(RelaySettings { profile, from: "a bench".into() });
        // DNS is a file, so that it is no part of the figures.
        let mut hosts = String::new();
        (0..count).for_each(|number| writeln!(hosts, "{} h{number}.example.net", address(number)).unwrap());
        let path = dir.path().join("hosts");
        std::fs::write(&path, hosts).unwrap();
        settings.hosts.dns.hosts_file = Some(path);
        let appliance = Appliance::build(&settings, Clock::system(), Some(broker)).unwrap();
        let caller = Caller::local("bench", "bench");
        runtime.block_on(async {
            appliance.relay.apply(&caller).await.unwrap();
            let add = (0..count).map(|number| format!("linux.a{number}")).collect();
            appliance.relay.change_whitelist(Change { add, remove: Vec::new() }, &caller).await.unwrap();
        });
        Self { appliance, _dir: dir }
    }

    fn agents(&self) -> Agents {
        self.appliance.agents.clone()
    }

    /// How many heartbeats were taken so far.
    fn taken(&self) -> u64 {
        self.appliance.agents.fates().find(|(fate, _)| *fate == Fate::Taken).map_or(0, |(_, count)| count)
    }
}

fn subscription() -> Subscription {
    keylender::domain::agents::subscription(EXCHANGE)
}

fn vhost() -> VhostName {
    VhostName::parse(VHOST).unwrap()
}

fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0001 + number))
}

fn now() -> i64 {
    Clock::system().now().as_millis()
}
