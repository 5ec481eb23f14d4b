//! HTTP by hand: requests whose every byte a test decides, and answers as they come.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A test that waits longer than this has found a fault.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: String,
    pub target: String,
    pub version: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

impl Ask {
    /// A request without a body, to the host `keylender.test`.
    pub fn new(method: &str, target: &str) -> Self {
        let ask =
            Self { method: method.into(), target: target.into(), version: "HTTP/1.1", headers: Vec::new(), body: None };
        ask.with("Host", "keylender.test")
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST of a JSON text.
    pub fn post(target: &str, json: &str) -> Self {
        Self::new("POST", target).with("Content-Type", "application/json").body(json)
    }

    /// The claim of a namespace at the legacy mount.
    pub fn claim(namespace: &str, json: &str) -> Self {
        Self::post(&format!("/v1/namespace/{namespace}"), json)
    }

    /// Adds a header, instead of any of that name.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Takes a header away.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self
    }

    /// With this body and its length.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { body: Some(body.clone()), ..self.with("Content-Length", &body.len().to_string()) }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The request as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} {}\r\n", self.method, self.target, self.version);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        [text.into_bytes(), self.body.clone().unwrap_or_default()].concat()
    }
}

/// An answer as it came; names of headers in lower case.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Status and code of an error body.
    pub fn error(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap().to_owned())
    }
}

/// What a connection is spoken over: TCP, or TLS on it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One connection.
pub struct Talk {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
}

impl Talk {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    pub fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), received: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        // A server that answers early may hang up before it has read all.
        drop(self.stream.write_all(bytes).await);
    }

    /// The next answer; `None` when the other side hung up instead.
    pub async fn answer(&mut self, method: &str) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer(method)).await.expect("an answer in time")
    }

    /// Waits until a text has come, and returns all that came since the last one.
    pub async fn until(&mut self, text: &str) -> String {
        let came = |received: &[u8]| received.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        while !came(&self.received) {
            assert!(self.more().await, "it hung up before it said {text:?}");
        }
        String::from_utf8(std::mem::take(&mut self.received)).unwrap()
    }

    /// Waits until the other side hangs up, and returns what it said before.
    pub async fn end(mut self) -> Vec<u8> {
        let ended = async { while self.more().await {} };
        tokio::time::timeout(PATIENCE, ended).await.expect("an end in time");
        self.received
    }

    async fn read_answer(&mut self, method: &str) -> Option<Answer> {
        let end = loop {
            match self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if self.more().await => {}
                None => return None,
            }
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        let mut answer = Answer { status, headers: lines.map(header).collect(), body: Vec::new() };
        if method != "HEAD" && !matches!(status, 204 | 304) {
            let has_any_length = answer.header("content-type") == Some("application/jsonl");
            if has_any_length && answer.header("content-length").is_none() {
                answer.body = self.read_chunks().await;
                return Some(answer);
            }
            let len: usize = answer.header("content-length").map_or(0, |len| len.parse().unwrap());
            assert_eq!(answer.header("transfer-encoding"), None, "answers say their length");
            while self.received.len() < len && self.more().await {}
            answer.body = self.received.drain(..len).collect();
        }
        Some(answer)
    }

    /// A body of any length.
    async fn read_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.received.windows(2).position(|bytes| bytes == b"\r\n") {
                    Some(at) => break at,
                    None => assert!(self.more().await, "it broke off"),
                }
            };
            let len: String = self.received.drain(..end + 2).take(end).map(char::from).collect();
            let len = usize::from_str_radix(&len, 16).unwrap();
            while self.received.len() < len + 2 {
                assert!(self.more().await, "it broke off");
            }
            body.extend(self.received.drain(..len + 2).take(len));
            if len == 0 {
                return body;
            }
        }
    }

    async fn more(&mut self) -> bool {
        let mut chunk = vec![0; 64 << 10];
        let len = self.stream.read(&mut chunk).await.unwrap_or(0);
        self.received.extend_from_slice(&chunk[..len]);
        len > 0
    }
}

/// Sends bytes over a connection of their own and returns the one answer.
pub async fn exchange(address: SocketAddr, method: &str, bytes: &[u8]) -> Answer {
    let mut talk = Talk::connect(address).await;
    talk.send(bytes).await;
    talk.answer(method).await.expect("an answer")
}

/// Speaks HTTP/2 without TLS, as to a server that is known to understand it. The Host of the request goes where HTTP/2
/// has it, into the target.
pub async fn http_2(address: SocketAddr, ask: &Ask) -> (u16, HeaderMap, String) {
    http_2_over(TcpStream::connect(address).await.unwrap(), ask).await
}

/// The same over any connection.
pub async fn http_2_over(stream: impl Stream + 'static, ask: &Ask) -> (u16, HeaderMap, String) {
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{}{}", ask.header("host").unwrap(), ask.target);
    let mut request = Request::builder().method(&*ask.method).uri(uri);
    for (name, value) in ask.headers.iter().filter(|(name, _)| !["Host", "Content-Length"].contains(&name.as_str())) {
        request = request.header(name, value);
    }
    let body = Full::new(hyper::body::Bytes::from(ask.body.clone().unwrap_or_default()));
    let (head, body) = sender.send_request(request.body(body).unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status.as_u16(), head.headers, String::from_utf8(body.into()).unwrap())
}
