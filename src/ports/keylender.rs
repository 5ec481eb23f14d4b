//! A client of a running appliance, over its control socket or the network.

use std::path::Path;
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, TryStreamExt};
use hyper::body::Bytes;

use super::resolve::Resolver;
use super::tls::http_client;
use crate::base::{Error, Result};

/// For all of a call. A claim waits for the broker, which has its own, shorter limits.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// For work that visits every namespace, such as a run of a loop.
pub const WORK_TIMEOUT: Duration = Duration::from_secs(3600);
/// For lines of any number, to whatever reads them: a slow disk takes long for some GiB.
pub const LINES_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// An answer: a page of a thousand audit entries fits many times.
const ANSWER_LEN_MAX: usize = 64 << 20;

/// A client of one appliance.
pub struct KeylenderClient {
    http: reqwest::Client,
    base_url: String,
}

/// What an appliance answered.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer of any length, read as it comes.
pub struct Incoming {
    /// The status code.
    pub status: u16,
    parts: BoxStream<'static, Result<Bytes>>,
}

impl Incoming {
    /// One whose body comes in these parts.
    pub fn new(status: u16, parts: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self { status, parts: parts.boxed() }
    }

    /// The next part of it; none behind the last one. `Unavailable` when it breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        self.parts.try_next().await
    }

    /// All of it, where it is short.
    pub async fn whole(mut self) -> Result<Answer> {
        let mut body = Vec::new();
        while let Some(part) = self.next().await? {
            if body.len() + part.len() > ANSWER_LEN_MAX {
                return Err(Error::unavailable("the answer is too long"));
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status: self.status, body })
    }
}

fn incoming(response: reqwest::Response) -> Incoming {
    let broken_off = |e| Error::unavailable("the answer breaks off: see the log of the appliance").because(e);
    let status = response.status().as_u16();
    let parts = stream::try_unfold(response, move |mut response| async move {
        let part = response.chunk().await.map_err(broken_off)?;
        Ok(part.map(|part| (part, response)))
    });
    Incoming::new(status, parts)
}

impl KeylenderClient {
    /// The appliance behind a control socket.
    pub fn control(socket: &Path) -> Result<Self> {
        // Nothing is proven to a file of ours by a certificate.
        Self::build("http://localhost".into(), http_client().tls_certs_only([]).unix_socket(socket))
    }

    /// The appliance at a URL.
    pub fn network(base_url: &str) -> Result<Self> {
        let builder = http_client().dns_resolver(std::sync::Arc::new(Resolver::system()?));
        Self::build(base_url.trim_end_matches('/').into(), builder)
    }

    fn build(base_url: String, builder: reqwest::ClientBuilder) -> Result<Self> {
        let http = builder.build().map_err(|e| Error::internal("making a client", e))?;
        Ok(Self { http, base_url })
    }

    /// The URL of a path, as it must be signed.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Calls a method. `Unavailable` when nobody answers within `timeout`.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: Option<String>,
        timeout: Duration,
    ) -> Result<Answer> {
        self.open(method, path, authorization, body, timeout).await?.whole().await
    }

    /// The same up to the head of the answer. `timeout` is for all of it.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: Option<String>,
        timeout: Duration,
    ) -> Result<Incoming> {
        let method = method.parse().map_err(|e| Error::internal("naming an HTTP method", e))?;
        let url: reqwest::Url =
            self.url(path).parse().map_err(|e| Error::invalid("not a URL of an appliance").because(e))?;
        let mut request = self.http.request(method, url).timeout(timeout);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let away = |e: reqwest::Error| Error::unavailable("the appliance does not answer").because(e);
        request.send().await.map(incoming).map_err(away)
    }
}
