//! From the start of the program to its first answer, and its memory at rest, with 10,000 namespaces in the store.
//!
//! It has a broker to compare with, for that is what a new appliance does first: a stand-in that lists their users.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::get;
use axum::{Json, Router};
use common::{Row, Target, alternate};
use futures_util::StreamExt;
use keylender::app::Appliance;
use keylender::app::settings::Settings;
use keylender::base::{Clock, NamespaceName};
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::Claim;
use keylender::ports::broker::{MemoryBroker, Users};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const NAMESPACES: u32 = 10_000;
const CLAIMS_AT_ONCE: usize = 512;
const ROUNDS: usize = 9;
/// Between two attempts to get a first answer.
const POLL_PAUSE: Duration = Duration::from_micros(500);
/// After it the first comparison with the broker is over; the next comes a minute later.
const REST: Duration = Duration::from_secs(5);
const START_TIMEOUT: Duration = Duration::from_secs(30);

fn main() {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (full, empty) = (tempfile::tempdir_in(tmp).unwrap(), tempfile::tempdir_in(tmp).unwrap());
    let runtime = Runtime::new().unwrap();
    let broker = runtime.block_on(async {
        let broker = Arc::new(MemoryBroker::default());
        claim_all(full.path(), broker.clone()).await;
        stand_in(&broker).await
    });

    let start_on = |dir: &Path| Program::start(dir, broker).1.as_secs_f64() * 1e3;
    let (ours, reference) = alternate(ROUNDS, || start_on(full.path()), || start_on(empty.path()));
    let row = Row {
        what: "start to first answer, 10,000 namespaces",
        unit: "ms",
        ours,
        reference,
        reference_is: "empty store",
        target: Target::Below(200.0),
    };
    row.print();

    let (ours, reference) = (Program::start(full.path(), broker).0, Program::start(empty.path(), broker).0);
    std::thread::sleep(REST);
    let (ours, reference) = (ours.resident_mb(), reference.resident_mb());
    let target = Target::Below(40.0);
    Row { what: "idle memory, 10,000 namespaces", unit: "MB", ours, reference, target, ..row }.print();
}

/// Fills a store as claims do.
async fn claim_all(dir: &Path, broker: Arc<MemoryBroker>) {
    let appliance = Appliance::build(&Settings::for_tests(dir), Clock::system(), Some(broker)).unwrap();
    let claims = futures_util::stream::iter(0..NAMESPACES).map(|number| {
        let namespaces = appliance.app.namespaces.clone();
        tokio::spawn(async move {
            let name = NamespaceName::parse(&format!("taskcluster-bench-{number}")).unwrap();
            let caller = Caller::local("bench", "bench");
            namespaces.claim(&caller, &name, Claim { expires: None, contact: None }).await.unwrap();
        })
    });
    claims.buffer_unordered(CLAIMS_AT_ONCE).for_each(async |claimed| claimed.unwrap()).await;
}

/// Answers what an appliance at rest asks of a broker, with the users and permissions of this one.
async fn stand_in(broker: &MemoryBroker) -> SocketAddr {
    let user = |user: keylender::ports::broker::User| json!({"name": user.name, "tags": user.tags.join(",")});
    let users: Value = broker.users().await.unwrap().into_iter().map(user).collect();
    let permission = |permission: keylender::ports::broker::Permission| {
        let access = permission.access;
        json!({
            "vhost": permission.vhost, "user": permission.user,
            "configure": access.configure, "write": access.write, "read": access.read,
        })
    };
    let permissions: Value = broker.permissions().await.unwrap().into_iter().map(permission).collect();
    let answer = |document: Value| get(async move || Json(document));
    let router = Router::new()
        .route("/api/users", answer(users))
        .route("/api/permissions", answer(permissions))
        .route("/api/overview", answer(json!({"rabbitmq_version": "3.10.8", "cluster_name": "bench"})))
        .route("/api/whoami", answer(json!({"name": "administrator", "tags": "administrator"})))
        .route("/api/vhosts/{name}", answer(json!({"name": "/"})))
        .route("/api/health/checks/alarms", answer(json!({"status": "ok"})))
        // Queues, exchanges, connections.
        .fallback(async || Json(json!([])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // It lives as long as this process.
    drop(tokio::spawn(async move { axum::serve(listener, router).await }));
    address
}

/// The program as it is installed, in a process of its own.
struct Program(Child);

impl Program {
    /// Starts it and waits for its first answer; says how long that took.
    fn start(dir: &Path, broker: SocketAddr) -> (Self, Duration) {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keylender"));
        command
            .arg("serve")
            .env_clear()
            .env("NODE_ENV", "development")
            .env("LOG_LEVEL", "warn")
            .env("PORT", address.port().to_string())
            .env("DATA_DIR", dir)
            .env("KEY_FILE", dir.join("key"))
            .env("RABBIT_BASE_URL", format!("http://{broker}/api"))
            .env("RABBIT_USERNAME", "administrator")
            .env("RABBIT_PASSWORD", "password")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let begun = Instant::now();
        let mut program = Self(command.spawn().unwrap());
        while !answers(address) {
            assert!(program.0.try_wait().unwrap().is_none(), "the program ended; see above");
            assert!(begun.elapsed() < START_TIMEOUT, "the program does not answer");
            std::thread::sleep(POLL_PAUSE);
        }
        (program, begun.elapsed())
    }

    /// What it holds in memory, in MB.
    fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
    }
}

impl Drop for Program {
    /// Stops it softly: a store that was not closed takes longer to open.
    fn drop(&mut self) {
        let id = Pid::from_child(&self.0);
        kill_process(id, Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }
}

fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /v1/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200 "))
    };
    ask().unwrap_or(false)
}
