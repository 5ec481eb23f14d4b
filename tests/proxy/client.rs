//! The client of a vector: sends its request as it stands there, and keeps whatever comes back.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::wire::{self, Body, Framing, Headers, Reader};

/// How long a client waits for an answer if its vector does not say.
const WAIT_S: f64 = 30.0;
/// And how long at most: what the ancestors answered after a quarter of an hour, ours must answer sooner.
const WAIT_MAX_S: f64 = 120.0;
/// How long a client that expects an interim answer waits for one before it sends its body anyway.
const INTERIM_WAIT: Duration = Duration::from_secs(3);
/// A shell that is another user, and passes on what comes and goes: the proxy asks the system whose a connection is, so
/// that the socket must be made by such a process.
const RELAY: &str = "exec 3<>/dev/tcp/$0/$1; cat <&0 >&3 & cat <&3";

/// What came back.
#[derive(Default)]
pub struct Answer {
    pub interim: Vec<String>,
    /// The status, once there is one.
    pub status: Option<u16>,
    pub headers: Headers,
    pub framing: Option<Framing>,
    pub body: Body,
    /// The client gave up.
    pub is_late: bool,
    /// The client hung up before it could know.
    pub is_abandoned: bool,
    pub seconds: f64,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Seconds of a vector, at most as many as we have.
pub fn seconds(value: &Value, without: f64) -> Duration {
    Duration::from_secs_f64(value.as_f64().unwrap_or(without).min(WAIT_MAX_S))
}

/// Sends a request to the proxy, as a user of the system if there is one, and reads its answer.
pub async fn ask(request: &Value, uid: Option<u32>, proxy: SocketAddr) -> Answer {
    let begin = Instant::now();
    let mut answer = Answer::default();
    let talk = async {
        if let Some(stream) = connect(proxy, uid).await {
            talk(stream, request, proxy, &mut answer).await;
        }
    };
    let is_late = timeout(seconds(&request["wait"], WAIT_S), talk).await.is_err();
    Answer { is_late, seconds: begin.elapsed().as_secs_f64(), ..answer }
}

async fn connect(proxy: SocketAddr, uid: Option<u32>) -> Option<Box<dyn Stream>> {
    let Some(uid) = uid else {
        return Some(Box::new(TcpStream::connect(proxy).await.ok()?));
    };
    let mut relay = Command::new("bash");
    relay.args(["-c", RELAY, &proxy.ip().to_string(), &proxy.port().to_string()]).uid(uid).kill_on_drop(true);
    let mut relay = relay.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash runs as another user");
    let (input, output) = (relay.stdin.take()?, relay.stdout.take()?);
    // The shell ends with the connection.
    tokio::spawn(async move { relay.wait().await });
    Some(Box::new(tokio::io::join(output, input)))
}

async fn talk(stream: Box<dyn Stream>, request: &Value, proxy: SocketAddr, answer: &mut Answer) {
    let method = request["m"].as_str().unwrap_or("GET");
    let (head, body) = written(request, method, proxy);
    let (read, mut write) = tokio::io::split(stream);
    let mut reader = Reader::new(read);
    if request["abandon"] == true {
        answer.is_abandoned = write.write_all(&[head, body].concat()).await.is_ok();
        return;
    }
    let rest = if request["expect"] == true {
        let is_sent = write.write_all(&head).await.is_ok();
        let _ = timeout(INTERIM_WAIT, interim(&mut reader, answer)).await;
        if is_sent && answer.status.is_none() { body } else { Vec::new() }
    } else {
        [head, body].concat()
    };
    // A server may answer before it has all, and stop reading.
    let send = async {
        let _ = write.write_all(&rest).await;
        std::future::pending::<()>().await
    };
    tokio::select! {
        () = receive(&mut reader, method, answer) => {}
        () = send => {}
    }
}

/// The head of a request, and its body as it is framed.
fn written(request: &Value, method: &str, proxy: SocketAddr) -> (Vec<u8>, Vec<u8>) {
    if let Some(raw) = request["raw"].as_str() {
        return (wire::bytes(raw), Vec::new());
    }
    let mut headers = wire::headers(&request["h"]);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        headers.insert(0, ("Host".into(), proxy.to_string()));
    }
    let mut body = Vec::new();
    if let Some(parts) = request["chunks"].as_array() {
        headers.push(("Transfer-Encoding".into(), "chunked".into()));
        let parts: Vec<Vec<u8>> = parts.iter().map(wire::body).collect();
        body = wire::chunked(parts.iter().map(Vec::as_slice), &Headers::new());
    } else if !request["body"].is_null() {
        body = wire::body(&request["body"]);
        headers.push(("Content-Length".into(), body.len().to_string()));
    }
    let target = request["t"].as_str().unwrap_or_default();
    let head = format!("{method} {target} HTTP/1.1\r\n{}\r\n", wire::lines(&headers));
    (wire::bytes(&head), body)
}

/// Reads one head. Of one that is not final only the first line counts.
async fn interim<R: AsyncRead + Unpin>(reader: &mut Reader<R>, answer: &mut Answer) -> Option<()> {
    let head = reader.head().await?;
    let (_, line) = head.line.split_once(' ')?;
    let status: u16 = line.split(' ').next()?.parse().ok()?;
    if (100..200).contains(&status) && status != 101 {
        answer.interim.push(line.to_owned());
        return Some(());
    }
    answer.status = Some(status);
    let without = if status == 204 || status == 304 { Framing::None } else { Framing::Close };
    answer.framing = Some(head.framing(without));
    answer.headers = head.headers;
    Some(())
}

async fn receive<R: AsyncRead + Unpin>(reader: &mut Reader<R>, method: &str, answer: &mut Answer) {
    while answer.status.is_none() {
        if interim(reader, answer).await.is_none() {
            return;
        }
    }
    if method == "HEAD" {
        answer.framing = Some(Framing::None);
    }
    reader.body(answer.framing.unwrap_or(Framing::Close), &mut answer.body).await;
}
