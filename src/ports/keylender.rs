//! A client of a running appliance, over its control socket or the network.

use std::path::Path;
use std::time::Duration;

use super::http;
use super::resolve::Resolver;
use super::tls::http_client;
use crate::base::{Error, Result};

/// For all of a call. A claim waits for the broker, which has its own, shorter limits.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// For work that visits every namespace, such as a run of a loop.
pub const WORK_TIMEOUT: Duration = Duration::from_secs(3600);
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
        let response = request.send().await.map_err(away)?;
        let status = response.status().as_u16();
        let body = http::read(response, ANSWER_LEN_MAX).await.map_err(away)?;
        if !body.is_whole {
            return Err(Error::unavailable("the answer is too long"));
        }
        Ok(Answer { status, body: body.bytes })
    }
}
