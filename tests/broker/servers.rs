//! Servers that are not quite a broker: scripted answers, and a proxy that hides the broker behind a path.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::node::node;

/// A server that answers each request with what a script says, byte by byte, and then hangs up.
pub struct Scripted {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// The script gets method and path, such as `GET /api/users`, and how many requests were before.
    pub async fn start(script: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&requests), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                tokio::spawn(async move {
                    let head = read_head(&mut stream).await;
                    let line = head.split(" HTTP/").next().unwrap_or_default().to_owned();
                    let before = {
                        let mut log = log.lock().unwrap();
                        log.push(line.clone());
                        log.len() - 1
                    };
                    // The client may have enough before the script has.
                    drop(stream.write_all(&script(&line, before)).await);
                });
            }
        });
        Self { address, requests }
    }

    /// Method and path of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A whole answer.
pub fn answer(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A whole answer in JSON.
pub fn json(status: &str, body: &str) -> Vec<u8> {
    answer(status, "application/json", body)
}

/// A server that accepts, and never says a word.
pub async fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

/// The broker's management API behind `/rabbit` instead of at the root; everything else is a web page.
pub async fn behind_a_path() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = read_head(&mut client).await;
                if !head.contains(" /rabbit/api/") {
                    drop(client.write_all(&answer("404 Not Found", "text/html", "<h1>404</h1>")).await);
                    return;
                }
                let head = head.replacen(" /rabbit/", " /", 1).replacen("\r\n", "\r\nconnection: close\r\n", 1);
                let mut broker = TcpStream::connect(("127.0.0.1", node().management_port)).await.unwrap();
                broker.write_all(head.as_bytes()).await.unwrap();
                drop(copy_bidirectional(&mut client, &mut broker).await);
            });
        }
    });
    address
}

/// What becomes of a request at a [`Gate`].
#[derive(Clone, Debug)]
pub enum Fate {
    /// The broker answers it.
    Passes,
    /// The connection is cut before the broker hears of it.
    Lost,
    /// The broker does it, and the answer is lost.
    Unanswered,
    /// Nobody ever answers.
    Hangs,
    /// The broker does not hear of it, and somebody else answers this.
    Instead(Vec<u8>),
}

/// What stands before a request whose answer the broker gave, and nobody got.
pub const LOST: &str = "LOST";

/// A gate before the broker's management API, at which a test decides the fate of each request.
pub struct Gate {
    pub address: SocketAddr,
    rule: Arc<Mutex<Rule>>,
    requests: Arc<Mutex<Vec<String>>>,
}

type Rule = Arc<dyn Fn(&str) -> Fate + Send + Sync>;

impl Gate {
    /// A gate that is open.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Arc::new(|_| Fate::Passes)));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (rules, log) = (Arc::clone(&rule), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&rules), Arc::clone(&log)));
            }
        });
        Self { address, rule, requests }
    }

    /// Method and path of every request since this was asked last.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// From now on this is the fate of requests; the rule gets method and path.
    pub fn decide(&self, rule: impl Fn(&str) -> Fate + Send + Sync + 'static) {
        *self.rule.lock().unwrap() = Arc::new(rule);
    }
}

async fn pass(mut client: TcpStream, rules: Arc<Mutex<Rule>>, requests: Arc<Mutex<Vec<String>>>) {
    let head = read_head(&mut client).await;
    let rule = Arc::clone(&rules.lock().unwrap());
    let line = head.split(" HTTP/").next().unwrap_or_default();
    requests.lock().unwrap().push(line.to_owned());
    let fate = rule(line);
    match &fate {
        Fate::Lost => return,
        Fate::Instead(answer) => return drop(client.write_all(answer).await),
        Fate::Hangs => std::future::pending().await,
        Fate::Passes | Fate::Unanswered => {}
    }
    // One request for each connection, so that each meets the rule.
    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let mut broker = TcpStream::connect(("127.0.0.1", node().management_port)).await.unwrap();
    broker.write_all(head.as_bytes()).await.unwrap();
    match fate {
        Fate::Passes => drop(copy_bidirectional(&mut client, &mut broker).await),
        _ => {
            let (mut rest, _) = client.split();
            let ((mut answer, mut to_broker), mut lost) = (broker.split(), Vec::new());
            tokio::select! {
                _ = copy(&mut rest, &mut to_broker) => {}
                _ = answer.read_to_end(&mut lost) => {}
            }
            requests.lock().unwrap().push(format!("{LOST} {line}"));
        }
    }
}

/// Reads up to the end of a request's head, and perhaps some of its body.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(len) if len > 0 => head.extend_from_slice(&chunk[..len]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
