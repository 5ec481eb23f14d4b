//! A client that costs little: requests that were made beforehand, and answers whose length is learnt once.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;

use crate::upstream::{BIG, SINK, micros};

/// Bytes that are read or written at once.
pub const PART_LEN: usize = 256 << 10;
/// A small answer with everything that a proxy adds.
const SMALL_LEN_MAX: usize = 16 << 10;

/// How fast small requests were answered.
#[derive(Clone, Copy, Default)]
pub struct Load {
    /// In a second.
    pub rate: f64,
    /// The time of one half of them.
    pub p50: Duration,
    /// The time of 99 of 100.
    pub p99: Duration,
}

/// How fast a body went by.
#[derive(Clone, Copy, Default)]
pub struct Passage {
    /// Millions of bytes in a second, from the request to the end.
    pub mb_per_s: f64,
    /// From the request to the first byte of the body, at its other end.
    pub first: Duration,
}

/// A connection on which the same request is sent again and again.
pub struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
    answer_len: usize,
}

/// How long the head at the beginning of these bytes is, with its empty line.
pub fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
}

/// The length of the body behind a head.
pub fn content_len(head: &[u8]) -> u64 {
    let head = std::str::from_utf8(head).unwrap();
    let found = head.lines().filter_map(|line| line.split_once(": "));
    let len = found.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    len.unwrap_or_else(|| panic!("no length in {head}")).1.parse().unwrap()
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: taskcluster\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n").into_bytes()
}

fn assert_is_200(answer: &[u8]) {
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(answer));
}

impl Connection {
    /// Connects and asks once. An error says that nobody answers yet.
    pub fn open(address: SocketAddr, target: &str) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let request = get(target);
        stream.write_all(&request)?;
        let (mut buffer, mut filled) = (vec![0; SMALL_LEN_MAX], 0);
        let head_len = loop {
            filled += some(stream.read(&mut buffer[filled..])?)?;
            if let Some(len) = head_len(&buffer[..filled]) {
                break len;
            }
        };
        assert_is_200(&buffer[..filled]);
        let answer_len = head_len + usize::try_from(content_len(&buffer[..head_len])).unwrap();
        stream.read_exact(&mut buffer[filled..answer_len])?;
        Ok(Self { stream, request, buffer, answer_len })
    }

    /// Asks so often, one after the other.
    pub fn load(&mut self, count: usize) -> Load {
        let mut latencies = Vec::with_capacity(count);
        let begun = Instant::now();
        for _ in 0..count {
            let sent = Instant::now();
            self.stream.write_all(&self.request).unwrap();
            self.stream.read_exact(&mut self.buffer[..self.answer_len]).unwrap();
            latencies.push(sent.elapsed());
        }
        let elapsed = begun.elapsed();
        assert_is_200(&self.buffer[..self.answer_len]);
        Load::of(latencies, elapsed)
    }
}

impl Load {
    fn of(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        let within = |percent: usize| latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)];
        Self { rate: latencies.len() as f64 / elapsed.as_secs_f64(), p50: within(50), p99: within(99) }
    }
}

/// Asks so often over that many connections, each of which waits for its answer.
pub fn load(address: SocketAddr, target: &str, connections: usize, count: usize) -> Load {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open = (0..connections).map(|_| Connection::open(address, target).unwrap());
    let open: Vec<Connection> = open.collect();
    let left = Rc::new(Cell::new(count));
    let mut latencies = Vec::with_capacity(count);
    let begun = Instant::now();
    LocalSet::new().block_on(&runtime, async {
        let tasks = open.into_iter().map(|connection| tokio::task::spawn_local(converse(connection, left.clone())));
        for task in tasks.collect::<Vec<_>>() {
            latencies.append(&mut task.await.unwrap());
        }
    });
    Load::of(latencies, begun.elapsed())
}

async fn converse(connection: Connection, left: Rc<Cell<usize>>) -> Vec<Duration> {
    let Connection { stream, request, mut buffer, answer_len } = connection;
    stream.set_nonblocking(true).unwrap();
    let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let mut latencies = Vec::new();
    while left.get() > 0 {
        left.set(left.get() - 1);
        let sent = Instant::now();
        stream.write_all(&request).await.unwrap();
        stream.read_exact(&mut buffer[..answer_len]).await.unwrap();
        latencies.push(sent.elapsed());
    }
    assert_is_200(&buffer[..answer_len]);
    latencies
}

/// Takes a body of so many bytes.
pub fn download(address: SocketAddr, count: u64) -> Passage {
    let mut stream = TcpStream::connect(address).unwrap();
    let (mut buffer, mut filled) = (vec![0; PART_LEN], 0);
    let begun = Instant::now();
    stream.write_all(&get(&format!("{BIG}{count}"))).unwrap();
    let head_len = loop {
        filled += some(stream.read(&mut buffer[filled..]).unwrap()).unwrap();
        // The first byte of the body, not of the head.
        if let Some(len) = head_len(&buffer[..filled]).filter(|len| *len < filled) {
            break len;
        }
    };
    let first = begun.elapsed();
    assert_is_200(&buffer[..head_len]);
    assert_eq!(content_len(&buffer[..head_len]), count);
    let mut missing = count - (filled - head_len) as u64;
    while missing > 0 {
        missing -= some(stream.read(&mut buffer).unwrap()).unwrap() as u64;
    }
    Passage { mb_per_s: count as f64 / 1e6 / begun.elapsed().as_secs_f64(), first }
}

/// Sends a body of so many bytes and waits for the answer.
pub fn upload(address: SocketAddr, count: u64) -> Passage {
    let mut stream = TcpStream::connect(address).unwrap();
    let part = vec![b'x'; PART_LEN];
    let begun = (Instant::now(), micros());
    let head = format!("PUT {SINK} HTTP/1.1\r\nHost: taskcluster\r\nContent-Length: {count}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut missing = count;
    while missing > 0 {
        let len = missing.min(PART_LEN as u64);
        stream.write_all(&part[..usize::try_from(len).unwrap()]).unwrap();
        missing -= len;
    }
    let (mut buffer, mut filled) = (vec![0; SMALL_LEN_MAX], 0);
    let body = loop {
        filled += some(stream.read(&mut buffer[filled..]).unwrap()).unwrap();
        let Some(len) = head_len(&buffer[..filled]) else { continue };
        let body = &buffer[len..filled];
        if body.len() as u64 == content_len(&buffer[..len]) {
            break body;
        }
    };
    let elapsed = begun.0.elapsed();
    assert_is_200(&buffer[..filled]);
    let first: u128 = std::str::from_utf8(body).unwrap().parse().unwrap();
    let first = Duration::from_micros(u64::try_from(first.saturating_sub(begun.1)).unwrap());
    Passage { mb_per_s: count as f64 / 1e6 / elapsed.as_secs_f64(), first }
}

fn some(read: usize) -> std::io::Result<usize> {
    if read == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
}
