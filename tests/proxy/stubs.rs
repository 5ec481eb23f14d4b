//! What is behind the proxy: the root URL's server, and one that is every other host by TLS. They write down each
//! request and play the answers that a vector scripts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::authority::Servers;
use crate::wire::{self, Body, Framing, Head, Reader};

/// Within this time a client that does not wait for `100 Continue` has sent its body.
const EXPECT_WAIT: Duration = Duration::from_millis(200);
/// Who mints tokens.
const TOKENS: &str = "tokens.";
/// Where a task is read.
const TASK: &str = "/v1/task/";

/// A request as it came.
#[derive(Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub head: Arc<Head>,
    pub body: Vec<u8>,
    pub is_chunked: bool,
    /// It expected `100 Continue`, and did not send its body before.
    pub has_waited: bool,
    pub is_tls: bool,
}

/// What is played, and who came meanwhile.
#[derive(Default)]
pub struct Scene {
    pub upstream: Role,
    pub tokens: Role,
    pub tasks: Role,
    /// Tasks by their ids.
    known_tasks: Value,
}

/// One of the three that a proxy talks to.
#[derive(Default)]
pub struct Role {
    /// Scripted answers, of which the last one repeats.
    script: Vec<Value>,
    pub seen: Vec<Seen>,
}

/// The servers of one proxy. They end when this is dropped.
pub struct Stubs {
    pub root: SocketAddr,
    pub hosts: SocketAddr,
    /// Its certificate is for another name than anybody asks for.
    pub wrong: SocketAddr,
    scene: Arc<Mutex<Scene>>,
    _servers: JoinSet<()>,
}

impl Stubs {
    pub async fn start(servers: &Servers) -> Self {
        let scene = Arc::new(Mutex::new(Scene::default()));
        let mut running = JoinSet::new();
        let root = listen(&mut running, &scene, None).await;
        let hosts = listen(&mut running, &scene, Some(servers.right.clone())).await;
        let wrong = listen(&mut running, &scene, Some(servers.wrong.clone())).await;
        Self { root, hosts, wrong, scene, _servers: running }
    }

    /// Begins a step: nobody came yet, and this is what is played.
    pub fn play(&self, step: &Value, tasks: &Value) {
        let role = |name: &str| Role { script: step[name].as_array().cloned().unwrap_or_default(), seen: Vec::new() };
        let (upstream, tokens) = (role("upstream"), role("token"));
        *self.scene() = Scene { upstream, tokens, tasks: role("task"), known_tasks: tasks.clone() };
    }

    pub fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().expect("no stub panics while it writes down")
    }
}

impl Scene {
    /// Whom a request is for, the answer that is next, and the body if that names none. Nobody is written down yet.
    fn next(&mut self, seen: &Seen) -> (&mut Role, Value, String) {
        let task = seen.target.split_once(TASK).map(|(_, id)| id).filter(|id| !id.contains('/'));
        let is_anonymous = seen.head.header("authorization").is_none();
        let is_mint = seen.is_tls && seen.head.header("host").is_some_and(|host| host.starts_with(TOKENS));
        let (role, body) = match task.filter(|_| is_anonymous && seen.method == "GET") {
            _ if is_mint => {
                let token = format!("tmp-token-{}", self.tokens.seen.len() + 1);
                (&mut self.tokens, json!({ "result": { "token": token } }))
            }
            Some(id) => {
                let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
                (&mut self.tasks, self.known_tasks[&*id].clone())
            }
            None => (&mut self.upstream, Value::Null),
        };
        let next = role.script.get(role.seen.len()).or(role.script.last()).cloned().unwrap_or_default();
        let body = if body.is_null() || next["status"].as_u64().is_some_and(|status| status >= 300) {
            r#"{"ok":true}"#.into()
        } else {
            body.to_string()
        };
        (role, next, body)
    }
}

async fn listen(running: &mut JoinSet<()>, scene: &Arc<Mutex<Scene>>, tls: Option<TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let scene = scene.clone();
    running.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (scene, tls) = (scene.clone(), tls.clone());
            connections.spawn(async move {
                // Whoever breaks off is none of our business.
                let _ = match tls {
                    None => serve(stream, &scene, false).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => serve(stream, &scene, true).await,
                        Err(error) => Err(error),
                    },
                };
            });
        }
    });
    address
}

/// Answers one request after the other.
async fn serve<S: AsyncRead + AsyncWrite>(stream: S, scene: &Mutex<Scene>, is_tls: bool) -> std::io::Result<()> {
    let (read, mut write) = tokio::io::split(stream);
    let mut reader = Reader::new(read);
    while let Some(head) = reader.head().await {
        let mut words = head.line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let framing = head.framing(Framing::None);
        let is_last = head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let expects = head.header("expect").is_some();
        let is_chunked = framing == Framing::Chunked;
        let head = Arc::new(head);
        let mut seen = Seen { method, target, head, body: Vec::new(), is_chunked, has_waited: false, is_tls };
        let (_, next, without) = scene.lock().expect("no stub panics").next(&seen);
        if expects && !reader.has_more() {
            seen.has_waited = timeout(EXPECT_WAIT, reader.more()).await.is_err();
        }
        if next["continue"] == true {
            write.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let is_refused = expects && next["status"].as_u64().is_some_and(|status| status >= 400);
        if !is_refused && next["act"] != "close-early" {
            let mut body = Body::default();
            reader.body(framing, &mut body).await;
            seen.body = body.bytes;
        }
        let method = seen.method.clone();
        scene.lock().expect("no stub panics").next(&seen).0.seen.push(seen);
        sleep(Duration::from_secs_f64(next["delay"].as_f64().unwrap_or_default())).await;
        if next["act"].is_string() {
            return write.shutdown().await;
        }
        write.write_all(&answer(&next, &without, &method)).await?;
        let ends = ["short", "raw"].iter().any(|member| !next[member].is_null()) || next["framing"] == "close";
        if is_last || is_refused || ends {
            return write.shutdown().await;
        }
    }
    Ok(())
}

/// The bytes of an answer. One that is to be cut short says that it is longer.
fn answer(next: &Value, without: &str, method: &str) -> Vec<u8> {
    if let Some(raw) = next["raw"].as_str() {
        return wire::bytes(raw);
    }
    let status = next["status"].as_u64().unwrap_or(200);
    let reason = next["reason"].as_str().unwrap_or(if status == 200 { "OK" } else { "Reason" });
    let mut headers = wire::headers(&next["headers"]);
    if next["headers"].is_null() {
        headers.push(("Content-Type".into(), "application/json".into()));
    }
    let has_body = !(300..400).contains(&status) && status != 204;
    let body = match &next["body"] {
        Value::Null if has_body => without.into(),
        body => wire::body(body),
    };
    let has_length = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut written = body.clone();
    match next["framing"].as_str().unwrap_or("length") {
        "chunked" => {
            headers.push(("Transfer-Encoding".into(), "chunked".into()));
            written = wire::chunked([&*body], &wire::headers(&next["trailers"]));
        }
        "length" if !has_length && status != 204 && status != 304 => {
            let len = body.len() as u64 + next["short"].as_u64().unwrap_or_default();
            headers.push(("Content-Length".into(), len.to_string()));
        }
        _ => {}
    }
    let before = next["informational"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut text: String = before.map(|before| format!("{before}\r\n\r\n")).collect();
    text.push_str(&format!("HTTP/1.1 {status} {reason}\r\n{}\r\n", wire::lines(&headers)));
    let mut bytes = wire::bytes(&text);
    if method != "HEAD" {
        bytes.extend(written);
    }
    bytes
}
