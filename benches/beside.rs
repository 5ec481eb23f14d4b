//! Two builds of the program side by side, in alternating rounds, each on a store of its own with 10,000 of everything.
//!
//! The other program is the one that `BESIDE` names: `BESIDE=/usr/bin/keylender scripts/bench beside`. `PROGRAM` is the
//! program to look at, when it is not the one that was built with this bench.

#[path = "common/broker.rs"]
mod broker;
mod common;
#[path = "common/load.rs"]
mod load;
#[path = "common/program.rs"]
mod program;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use broker::StandIn;
use common::{Row, Target, alternate};
use keylender::base::Secret;
use load::load;
use program::Program;
use serde_json::Value;
use tempfile::TempDir;

const MANY: usize = 10_000;
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 7;
const REQUESTS: usize = 20_000;
/// Claims of a round while pages are opened: over fewer connections, since the pages have one core of two.
const CLAIMS: usize = 4_000;
const CLAIM_CONNECTIONS: usize = 8;
/// Pages of a round, one after the other.
const PAGES: usize = 10;
const LONG_PAGES: [&str; 3] = ["/namespaces", "/leases", "/"];
/// The first passes of all loops are over.
const REST: Duration = Duration::from_secs(10);
const PASSWORD: &str = "correct horse battery staple";

/// A program on a store of its own.
struct Side {
    program: PathBuf,
    dir: TempDir,
    broker: StandIn,
    running: Program,
    token: Secret,
    cookie: String,
    signed: usize,
}

#[expect(clippy::disallowed_methods, reason = "a bench has no settings")]
fn main() {
    let Some(other) = std::env::var_os("BESIDE") else { return eprintln!("BESIDE must name the other program") };
    let ours = std::env::var_os("PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_keylender").into());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = |program: &Path| Side::start(program, runtime.block_on(broker::stand_in((0..MANY).map(namespace))));
    let (mut ours, mut other) = (start(Path::new(&ours)), start(Path::new(&other)));
    for path in ["/v1/ping", "/v1/credentials"] {
        let (rate, reference) = alternate(ROUNDS, || ours.gets(path).0, || other.gets(path).0);
        row(&format!("`{path}`, {CONNECTIONS} connections"), "/s", rate, reference);
    }
    let rates = alternate(ROUNDS, || ours.claims(CONNECTIONS, REQUESTS).0, || other.claims(CONNECTIONS, REQUESTS).0);
    row(&format!("repeated claims, {CONNECTIONS} connections"), "/s", rates.0, rates.1);
    row("memory after this load", "MB", ours.running.resident_mb(), other.running.resident_mb());
    for path in LONG_PAGES {
        let (millis, reference) = alternate(ROUNDS, || ours.millis(path), || other.millis(path));
        row(&format!("`{path}` with 10,000 of each"), "ms", millis, reference);
    }
    let (p99, reference) = alternate(ROUNDS, || ours.claims_beside_pages(), || other.claims_beside_pages());
    row("99 of 100 repeated claims within, while these pages are opened without pause", "ms", p99, reference);
    let (ours, other) = (ours.restart(), other.restart());
    std::thread::sleep(REST);
    row("memory at rest, 10,000 of each", "MB", ours.0.resident_mb(), other.0.resident_mb());
}

fn row(what: &str, unit: &str, ours: f64, reference: f64) {
    Row { what, unit, ours, reference, reference_is: "the other program", target: Target::None }.print();
}

fn namespace(number: usize) -> String {
    format!("taskcluster-{number:05}")
}

impl Side {
    /// Starts it and fills its store as clients do.
    fn start(program: &Path, broker: StandIn) -> Self {
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let running = serve(program, dir.path(), broker.address);
        let (token, cookie) = (Secret::new(""), String::new());
        let mut side = Self { program: program.into(), dir, broker, running, token, cookie, signed: 0 };
        let made = side.run(&["client", "create", load::CLIENT, "--scope", "pulse:namespace:*", "--json"], "");
        side.token = Secret::new(serde_json::from_str::<Value>(&made).unwrap()["accessToken"].as_str().unwrap());
        side.run(&["operator", "create", "ada", "--role", "admin", "--password-stdin"], PASSWORD);
        side.cookie = side.sign_in();
        // Few at once: a signature is old after a minute.
        for _ in 0..10 {
            side.claims(CONNECTIONS, MANY / 10);
        }
        side.broker.is_filled.store(true, Ordering::Relaxed);
        side.run(&["loop", "run", "monitor"], "");
        side
    }

    /// Runs a command of the program and returns what it says.
    fn run(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(&self.program);
        program::settings(&mut command, self.dir.path());
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn sign_in(&self) -> String {
        let form = format!("name=ada&password={}", PASSWORD.replace(' ', "+"));
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let mut stream = TcpStream::connect(self.running.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        cookie.unwrap_or_else(|| panic!("{answer}")).split(';').next().unwrap().to_owned()
    }

    /// Repeated claims after the first 10,000: per second, and within how many milliseconds 99 of 100 are there.
    fn claims(&mut self, connections: usize, count: usize) -> (f64, f64) {
        let requests = (self.signed..self.signed + count).map(|number| {
            let path = format!("/v1/namespace/{}", namespace(number % MANY));
            load::claim(&self.token, self.running.address, number, &path)
        });
        let requests = requests.collect();
        self.signed += count;
        load(self.running.address, connections, requests)
    }

    fn gets(&self, path: &str) -> (f64, f64) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
        load(self.running.address, CONNECTIONS, vec![request; REQUESTS])
    }

    /// Milliseconds until a page is there.
    fn millis(&self, path: &str) -> f64 {
        let begun = Instant::now();
        pages(self.running.address, &self.cookie, path, PAGES);
        begun.elapsed().as_secs_f64() * 1e3 / PAGES as f64
    }

    /// Within how many milliseconds 99 of 100 claims are there, while somebody opens long pages.
    fn claims_beside_pages(&mut self) -> f64 {
        let is_over = AtomicBool::new(false);
        let (address, cookie) = (self.running.address, self.cookie.clone());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for path in LONG_PAGES.into_iter().cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    pages(address, &cookie, path, 1);
                }
            });
            let (_, p99) = self.claims(CLAIM_CONNECTIONS, CLAIMS);
            is_over.store(true, Ordering::Relaxed);
            p99
        })
    }

    /// The program started anew.
    fn restart(self) -> (Program, TempDir) {
        drop(self.running);
        (serve(&self.program, self.dir.path(), self.broker.address), self.dir)
    }
}

/// Opens a page so often, one after the other.
fn pages(address: SocketAddr, cookie: &str, path: &str, count: usize) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n").into_bytes();
    load(address, 1, vec![request; count]);
}

fn serve(program: &Path, dir: &Path, broker: SocketAddr) -> Program {
    let hosts = [
        ("TASKCLUSTER_CLIENT_ID", "bench/hosts"),
        ("TASKCLUSTER_ACCESS_TOKEN", "a-permanent-token"),
        ("TASKCLUSTER_SCOPE_BASE", "assume:bench:"),
        ("TASKCLUSTER_CLIENT_ID_BASE", "bench/host/"),
        ("TASKCLUSTER_CREDENTIALS_EXPIRE", "1 hour"),
        ("TASKCLUSTER_ALLOWED_IPS", "127.0.0.0/8"),
        ("HOST_REQUESTS_MAX", "0"),
        ("CLIENT_REQUESTS_MAX", "0"),
    ];
    Program::start(program, dir, broker, &hosts).0
}
