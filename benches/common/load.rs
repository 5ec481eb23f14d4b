//! A load that costs little: keep-alive connections, requests that were made beforehand, one thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keylender::base::{Clock, Secret};
use keylender::proto::hawk::{Header, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

/// A head and a claim fit; a long list takes several.
const READ_LEN: usize = 64 << 10;
/// A round takes seconds.
const ROUND_TIMEOUT: Duration = Duration::from_secs(120);

/// Whose name requests are signed with.
pub const CLIENT: &str = "bench";
/// A claim that is equal every time.
const CLAIM: &str = r#"{"expires":"2099-01-01T00:00:00.000Z","contact":"someone@example.com"}"#;

/// A claim of the namespace that the path ends in, signed now. `number` is another one each time.
pub fn claim(token: &Secret, address: SocketAddr, number: usize, path: &str) -> Vec<u8> {
    let (ts, nonce) = (Clock::system().now().as_seconds().to_string(), format!("{number:06x}"));
    let header = Header { id: CLIENT, ts: &ts, nonce: &nonce, ..Header::default() };
    let host = address.ip().to_string();
    let target = Target { method: "POST", resource: path, host: &host, port: address.port() };
    let authorization = header.signed(token, &target);
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{CLAIM}",
        CLAIM.len()
    )
    .into_bytes()
}

/// Sends every request once over that many connections. Returns the requests per second, and the time in milliseconds in
/// which 99 of 100 were answered. Any answer but 200 ends the bench.
pub fn load(address: SocketAddr, connections: usize, requests: Vec<Vec<u8>>) -> (f64, f64) {
    let count = requests.len();
    // A thread of its own: an appliance in this process keeps all of its runtime.
    let load = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(ROUND_TIMEOUT, send_all(address, connections, requests)).await })
    });
    let (elapsed, mut latencies) = load.join().unwrap().expect("the appliance does not answer");
    latencies.sort_unstable();
    let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default();
    (count as f64 / elapsed.as_secs_f64(), p99.as_secs_f64() * 1e3)
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
