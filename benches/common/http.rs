//! An appliance with more routes than usual, and a load on it that costs little: keep-alive connections, requests
//! that were signed beforehand, one thread.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use keylender::app::settings::Settings;
use keylender::app::{Appliance, Running};
use keylender::base::{Clock, Scope, Secret};
use keylender::domain::auth::{Auth, Caller, NewClient};
use keylender::ports::broker::Broker;
use keylender::proto::hawk::{Header, Target};
use keylender::web::router_with;
use keylender::web::state::App;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Barrier;

const CLIENT: &str = "bench";
/// A claim that is equal every time.
const CLAIM: &str = r#"{"expires":"2099-01-01T00:00:00.000Z","contact":"someone@example.com"}"#;
/// A head and a claim fit; a long list takes several.
const READ_LEN: usize = 64 << 10;
/// A round takes seconds.
const ROUND_TIMEOUT: Duration = Duration::from_secs(120);

/// An appliance on a real file, with a client that may claim everything.
pub struct Bench {
    pub runtime: Runtime,
    running: Option<Running>,
    token: Secret,
    signed: usize,
    _dir: TempDir,
}

impl Bench {
    /// Starts it as `keylender serve` does, with these routes added.
    pub fn start(broker: Arc<dyn Broker>, more: Router<App>) -> Self {
        Self::start_with(broker, more, |_| {})
    }

    /// The same with other settings.
    pub fn start_with(broker: Arc<dyn Broker>, more: Router<App>, change: impl FnOnce(&mut Settings)) -> Self {
        let runtime = Runtime::new().unwrap();
        let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let mut settings = Settings::for_tests(dir.path());
        change(&mut settings);
        let (running, token) = runtime.block_on(async {
            let mut appliance = Appliance::build(&settings, Clock::system(), Some(broker)).unwrap();
            appliance.router = router_with(appliance.app.clone(), more);
            let new = NewClient {
                scopes: vec![Scope::parse("pulse:namespace:*").unwrap()],
                expires: Auth::never(Clock::system().now()),
                description: String::new(),
                certificate_name: None,
            };
            let operator = Caller::local("bench", "bench");
            let token = appliance.app.auth.create_client(&operator, CLIENT.parse().unwrap(), new).await.unwrap();
            (keylender::app::run(appliance, &settings).await.unwrap(), token.into_inner())
        });
        Self { runtime, running: Some(running), token, signed: 0, _dir: dir }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address
    }

    /// A signed claim of the namespace that the path ends in. No two are equal.
    pub fn claim(&mut self, path: &str) -> Vec<u8> {
        let address = self.address();
        self.signed += 1;
        let (ts, nonce) = (Clock::system().now().as_seconds().to_string(), format!("{:06x}", self.signed));
        let header = Header { id: CLIENT, ts: &ts, nonce: &nonce, ..Header::default() };
        let host = address.ip().to_string();
        let target = Target { method: "POST", resource: path, host: &host, port: address.port() };
        let authorization = header.signed(&self.token, &target);
        format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {authorization}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{CLAIM}",
            CLAIM.len()
        )
        .into_bytes()
    }

    /// Sends every request once over that many connections and returns the requests per second.
    pub fn rate(&self, connections: usize, requests: Vec<Vec<u8>>) -> f64 {
        self.load(connections, requests).0
    }

    /// The same with the time in milliseconds in which 99 of 100 requests were answered. Any answer but 200 ends the
    /// bench.
    pub fn load(&self, connections: usize, requests: Vec<Vec<u8>>) -> (f64, f64) {
        let (address, count) = (self.address(), requests.len());
        // A thread of its own: the appliance keeps all of its runtime.
        let load = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime
                .block_on(async { tokio::time::timeout(ROUND_TIMEOUT, send_all(address, connections, requests)).await })
        });
        let (elapsed, mut latencies) = load.join().unwrap().expect("the appliance does not answer");
        latencies.sort_unstable();
        let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default();
        (count as f64 / elapsed.as_secs_f64(), p99.as_secs_f64() * 1e3)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

async fn send_all(address: SocketAddr, connections: usize, requests: Vec<Vec<u8>>) -> (Duration, Vec<Duration>) {
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let begin = Arc::new(Barrier::new(connections + 1));
    let tasks: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(converse(address, begin.clone(), requests.clone(), next.clone())))
        .collect();
    begin.wait().await;
    let begun = Instant::now();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    (begun.elapsed(), latencies)
}

async fn converse(
    address: SocketAddr,
    begin: Arc<Barrier>,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; READ_LEN];
    begin.wait().await;
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let sent = Instant::now();
        stream.write_all(request).await.unwrap();
        read_answer(&mut stream, &mut buffer).await;
        latencies.push(sent.elapsed());
    }
    latencies
}

/// Reads one answer and throws it away.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    let mut missing = loop {
        let read = stream.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the appliance closed a connection");
        filled += read;
        let Some(head_len) = buffer[..filled].windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4) else {
            continue;
        };
        let head = str::from_utf8(&buffer[..head_len]).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&buffer[..filled]));
        let body_len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        break head_len + body_len.parse::<usize>().unwrap() - filled;
    };
    while missing > 0 {
        let read = stream.read(buffer).await.unwrap();
        assert!(read > 0, "the appliance closed a connection");
        missing -= read;
    }
}
