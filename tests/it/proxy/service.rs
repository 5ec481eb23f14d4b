//! A protected service and the token service before it, on one port of this host: it writes down what it is asked, and
//! answers what a story wants.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What it answers: by target, the first that fits; otherwise 200 and `{"ok":true}`.
type Script = Vec<(String, u16, String)>;

#[derive(Default)]
struct Inner {
    asked: Vec<Asked>,
    script: Script,
    minted: usize,
    /// How long tokens take.
    mint_delay: Duration,
    /// Tokens that are refused.
    refused: Vec<String>,
}

/// The service. It ends when this is dropped.
pub struct Service {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    serving: AbortHandle,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Service {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, inner) = (listener.local_addr().unwrap(), Arc::<Mutex<Inner>>::default());
        let of = inner.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let of = of.clone();
                let service = service_fn(move |request| answer(of.clone(), request));
                tokio::spawn(async move {
                    // A client that goes away is a story's own matter.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, inner, serving: serving.abort_handle() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything that it was asked, tokens and tasks apart.
    pub fn asked(&self) -> Vec<Asked> {
        let is_own =
            |asked: &&Asked| !asked.target.starts_with("/tokens") && !asked.target.contains("/api/queue/v1/task/");
        self.inner().asked.iter().filter(is_own).cloned().collect()
    }

    /// What it was asked for tokens.
    pub fn mints(&self) -> Vec<Asked> {
        self.inner().asked.iter().filter(|asked| asked.target.starts_with("/tokens")).cloned().collect()
    }

    /// Answers this to every target that begins so, until something else is said of it.
    pub fn answers(&self, target: &str, status: u16, body: &Value) {
        let mut inner = self.inner();
        inner.script.retain(|(own, ..)| own != target);
        inner.script.push((target.to_owned(), status, body.to_string()));
    }

    pub fn forget_answers(&self) {
        self.inner().script.clear();
    }

    pub fn mints_slowly(&self, delay: Duration) {
        self.inner().mint_delay = delay;
    }

    /// Refuses this token from now on.
    pub fn refuses(&self, token: &str) {
        self.inner().refused.push(token.to_owned());
    }

    /// A task that runs, with these scopes.
    pub fn has_task(&self, id: &str, scopes: &[&str]) {
        self.answers(&format!("/api/queue/v1/task/{id}/status"), 200, &status("running"));
        self.answers(&format!("/api/queue/v1/task/{id}"), 200, &json!({ "scopes": scopes }));
    }

    pub fn ends_task(&self, id: &str) {
        self.answers(&format!("/api/queue/v1/task/{id}/status"), 200, &status("completed"));
    }
}

fn status(state: &str) -> Value {
    json!({ "status": { "runs": [{ "runId": 0, "state": state }] } })
}

async fn answer(of: Arc<Mutex<Inner>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let asked = Asked { method: parts.method.to_string(), target, headers: parts.headers, body };
    let is_mint = asked.target == "/tokens" && asked.method == "POST";
    let delay = if is_mint { of.lock().unwrap().mint_delay } else { Duration::ZERO };
    tokio::time::sleep(delay).await;
    let mut inner = of.lock().unwrap();
    inner.asked.push(asked.clone());
    // Of the longest target that fits, so that a status is not taken for its task.
    let fits = inner.script.iter().filter(|(target, ..)| asked.target.starts_with(target.as_str()));
    let scripted = fits.max_by_key(|(target, ..)| target.len()).map(|(_, status, body)| (*status, body.clone()));
    let shown = asked.header("authorization").unwrap_or_default();
    let is_refused = inner.refused.iter().any(|token| shown == format!("Bearer {token}") || shown == token);
    let (status, body) = match scripted {
        Some(scripted) => scripted,
        None if is_mint => {
            inner.minted += 1;
            (200, json!({ "result": { "token": format!("token-{}", inner.minted) } }).to_string())
        }
        None if is_refused => (401, json!({ "message": "no" }).to_string()),
        None => (200, json!({ "ok": true }).to_string()),
    };
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::new(body.into())).unwrap())
}
