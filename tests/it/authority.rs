//! The auth service of a deployment, as a script: it notes what it is asked and says what the test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use keylender::app::settings::Settings;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One question as it came.
#[derive(Clone, Debug)]
pub struct Question {
    /// The head, in lower case.
    pub head: String,
    /// The document.
    pub body: Value,
}

/// A server that answers every request by the same script and then hangs up.
pub struct ScriptedAuthority {
    address: SocketAddr,
    questions: Arc<Mutex<Vec<Question>>>,
}

impl ScriptedAuthority {
    /// The script writes whole answers, byte by byte.
    pub async fn start(script: impl Fn(&Question) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let questions = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&questions), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                tokio::spawn(async move {
                    let Some(question) = read(&mut stream).await else { return };
                    log.lock().unwrap().push(question.clone());
                    // The asker may have enough before the script has.
                    drop(stream.write_all(&script(&question)).await);
                });
            }
        });
        Self { address, questions }
    }

    /// One that always answers with this document.
    pub async fn saying(answer: Value) -> Self {
        Self::start(move |_| json("200 OK", &answer.to_string())).await
    }

    /// One that accepts and never says a word.
    pub async fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let questions = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&questions);
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let question = read(&mut stream).await;
                log.lock().unwrap().extend(question);
                held.push(stream);
            }
        });
        Self { address, questions }
    }

    /// Makes an appliance ask this authority.
    pub fn settle(&self, settings: &mut Settings) {
        settings.root_url = Some(format!("http://{}", self.address).parse().unwrap());
    }

    /// The questions since the last call.
    pub fn questions(&self) -> Vec<Question> {
        std::mem::take(&mut *self.questions.lock().unwrap())
    }
}

/// A whole answer in JSON.
pub fn json(status: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    let head = "content-type: application/json\r\nconnection: close";
    format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {len}\r\n\r\n{body}").into_bytes()
}

async fn read(stream: &mut TcpStream) -> Option<Question> {
    let mut received = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let len = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() >= len.unwrap_or(0) {
                return Some(Question { head, body: serde_json::from_str(body).unwrap_or_default() });
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(len) if len > 0 => received.extend_from_slice(&chunk[..len]),
            _ => return None,
        }
    }
}
