//! A new claim on a real RabbitMQ node, beside the broker calls that it needs.

mod common;
#[path = "common/http.rs"]
mod http;

use std::cell::RefCell;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use common::{Row, Target, alternate};
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use http::Bench;
use keylender::base::{AccountName, Result, Secret, VhostName};
use keylender::ports::broker::{Access, Broker, Login, ManagementBroker, ManagementSettings, PasswordHash, UserWish};
use keylender::ports::resolve::Resolver;
use keylender::ports::tls::Tls;

const ROUNDS: usize = 5;
/// Claims of a round, for each that is under way at once.
const CLAIMS_EACH: usize = 12;
/// Claims of a round, at least.
const CLAIMS_MIN: usize = 48;
/// Longer than the script itself waits, so that its own message is what we see.
const NODE_TIMEOUT: Duration = Duration::from_secs(300);

fn main() {
    let broker = Arc::new(node());
    let bench = RefCell::new(Bench::start(broker.clone(), Router::new()));
    let numbers = RefCell::new(0..);
    for at_once in [1, 8, 32] {
        let count = CLAIMS_MIN.max(CLAIMS_EACH * at_once);
        let name = |number: u32| format!("taskcluster-bench-{number}");
        let names = || numbers.borrow_mut().by_ref().take(count).map(name).collect::<Vec<_>>();
        let claims = || {
            let requests =
                names().iter().map(|name| bench.borrow_mut().claim(&format!("/v1/namespace/{name}"))).collect();
            1e3 / bench.borrow().rate(at_once, requests)
        };
        let bare_calls = || {
            let names = names();
            let begun = Instant::now();
            bench.borrow().runtime.block_on(call_all(broker.clone(), names, at_once));
            begun.elapsed().as_secs_f64() * 1e3 / count as f64
        };
        let (ours, reference) = alternate(ROUNDS, claims, bare_calls);
        Row {
            what: &format!("new claim on RabbitMQ, {at_once} at once"),
            unit: "ms",
            ours,
            reference,
            reference_is: "its bare broker calls",
            target: Target::RatioMax(1.2),
        }
        .print();
    }
}

async fn call_all(broker: Arc<ManagementBroker>, names: Vec<String>, at_once: usize) {
    let calls = futures_util::stream::iter(names).map(|name| tokio::spawn(put_both(broker.clone(), name)));
    calls.buffer_unordered(at_once).for_each(async |called| called.unwrap().unwrap()).await;
}

/// What the first claim of a namespace asks of the broker.
async fn put_both(broker: Arc<ManagementBroker>, name: String) -> Result<()> {
    let access = Access {
        configure: format!("^(queue/{name}/.*|exchange/{name}/.*)"),
        write: format!("^(queue/{name}/.*|exchange/{name}/.*)"),
        read: format!("^(queue/{name}/.*|exchange/.*)"),
    };
    let permissions = [(VhostName::parse("/")?, access)];
    let put = async |slot: u8, login: Login| {
        let name = AccountName::parse(&format!("{name}-{slot}"))?;
        broker.put_user(&UserWish { name: &name, login, tags: &[], permissions: &permissions }).await
    };
    let password = Secret::generate();
    try_join_all([put(1, Login::Hash(PasswordHash::of(&password))), put(2, Login::Locked)]).await?;
    Ok(())
}

/// A private node for this process; the script that runs it watches us and stops it.
fn node() -> ManagementBroker {
    let pid = std::process::id().to_string();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rabbitmq-bench-{pid}"));
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq-node"))
        .args(["run", "--ephemeral", "--parent", &pid])
        .arg(&dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let env = loop {
        if let Ok(env) = std::fs::read_to_string(dir.join("node.env")) {
            break env;
        }
        assert!(script.try_wait().unwrap().is_none(), "the node did not start; see above");
        assert!(begun.elapsed() < NODE_TIMEOUT, "the node took too long to start");
        std::thread::sleep(Duration::from_millis(50));
    };
    let value = |key: &str| env.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap().to_owned();
    let settings = ManagementSettings {
        url: format!("http://127.0.0.1:{}/api", value("MANAGEMENT_PORT")).parse().unwrap(),
        username: value("USERNAME"),
        password: Secret::new(value("PASSWORD")),
        tls: Tls::default(),
    };
    ManagementBroker::new(&settings, Resolver::system().unwrap()).unwrap()
}
