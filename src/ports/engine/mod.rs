//! A container engine of this host, Docker or podman, over its socket: images, networks and containers, as much of the Docker
//! Engine API as both have and mean alike.
//!
//! **Invariant:** every wait ends after a time that has a name, and no answer is held that is longer than its bound. What
//! removes may be repeated: what is gone is fine.

mod containers;
mod images;
mod logs;
mod networks;
mod words;

#[cfg(test)]
mod tests;

pub use containers::{Container, State};
pub use images::Image;
pub use logs::Logs;
pub use networks::Network;
pub use words::SUBNET_TAKEN;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::http::{Body, read};
use super::tls::http_client;
use crate::base::{Error, Kind, Result};

/// For an answer that an engine has at hand. A busy one takes seconds to make a network.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// For the first word: one that is there says at once who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// For a container to be killed and removed.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(30);
/// For an image to come. Some have many GiB.
pub const PULL_TIMEOUT: Duration = Duration::from_secs(3600);
/// For what lasts as long as a container does: its end, and its output.
pub const LIFE_TIMEOUT: Duration = Duration::from_secs(8 * 24 * 3600);
/// An answer: the description of a container has some 10 KiB, and a list of a thousand of them fits.
const ANSWER_LEN_MAX: usize = 16 << 20;
/// The version of the API that we speak, where the engine has it: Docker 29 takes none below, podman 5 has it.
const MINOR: u32 = 44;

/// A container engine.
#[derive(Clone, Debug)]
pub struct Engine {
    http: Client,
    socket: PathBuf,
    /// What every path begins with.
    base: String,
    version: Version,
}

/// What an engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `Docker`, or as it calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the API that is spoken with it.
    pub api: String,
}

/// How it is answered.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Hello {
    #[serde(default)]
    version: String,
    api_version: String,
    #[serde(rename = "MinAPIVersion", default)]
    min_api_version: String,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: String,
}

/// The number behind `1.`; anything else is none.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.parse().ok()
}

impl Hello {
    fn version(self) -> Result<Version> {
        let newest = minor(&self.api_version);
        let newest = newest.ok_or_else(|| {
            Error::unavailable("the container engine speaks no version of the Docker Engine API that is known here")
        })?;
        let spoken = MINOR.min(newest).max(minor(&self.min_api_version).unwrap_or(0));
        let is_podman = self.components.iter().any(|component| component.name.starts_with("Podman"));
        let name = if is_podman { "podman" } else { "Docker" };
        Ok(Version { name: name.into(), version: self.version, api: format!("1.{spoken}") })
    }
}

/// A podman that speaks no version above ours: what it speaks is known then without asking for the oldest that it takes.
fn podman(headers: &HeaderMap) -> Option<Version> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let version = text("server")?.strip_prefix("Libpod/")?.split(' ').next()?;
    let newest = minor(text("api-version")?).filter(|newest| *newest <= MINOR)?;
    Some(Version { name: "podman".into(), version: version.into(), api: format!("1.{newest}") })
}

impl Engine {
    /// The engine behind a socket. `Unavailable` when nobody answers there.
    pub async fn connect(socket: &Path) -> Result<Self> {
        // A connection for each call: an engine that was restarted would be found out by the next one otherwise. Nothing is
        // proven to a file of this host by a certificate.
        let http = http_client().tls_certs_only([]).unix_socket(socket).pool_max_idle_per_host(0).build();
        let http = http.map_err(|e| Error::internal("making a client", e))?;
        let unknown = Version { name: String::new(), version: String::new(), api: String::new() };
        let mut engine = Self { http, socket: socket.to_owned(), base: "http://engine".into(), version: unknown };
        engine.version = engine.hello().await?;
        engine.base = format!("http://engine/v{}", engine.version.api);
        Ok(engine)
    }

    /// Asks what it is. podman says the most in the headers of its shortest answer; to say all of it, podman 4.3 asks the programs that
    /// it runs and the packages of the system, for 0.3 s.
    async fn hello(&self) -> Result<Version> {
        let pinged = match self.open(Method::GET, "/_ping", None, HELLO_TIMEOUT).await {
            Ok(response) => podman(response.headers()),
            Err(error) if error.kind() == Kind::Unavailable => return Err(error),
            Err(_) => None,
        };
        match pinged {
            Some(version) => Ok(version),
            None => self.get::<Hello>("/version", HELLO_TIMEOUT).await?.version(),
        }
    }

    /// What it says of itself.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Where it is asked.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks, and hands on an answer that is a success.
    async fn open(&self, method: Method, path: &str, body: Option<&Value>, timeout: Duration) -> Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).timeout(timeout);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|e| self.away(e))?;
        let status = response.status().as_u16();
        // 304: it is so already.
        if response.status().is_success() || status == 304 {
            return Ok(response);
        }
        let Body { bytes, .. } = read(response, ANSWER_LEN_MAX).await.map_err(|e| self.away(e))?;
        Err(words::refusal(status, &bytes))
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>, timeout: Duration) -> Result<Vec<u8>> {
        let response = self.open(method, path, body, timeout).await?;
        let Body { bytes, is_whole } = read(response, ANSWER_LEN_MAX).await.map_err(|e| self.away(e))?;
        if is_whole { Ok(bytes) } else { Err(Error::unavailable("the answer of the container engine is too long")) }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, timeout: Duration) -> Result<T> {
        document(&self.call(Method::GET, path, None, timeout).await?)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: Option<&Value>, timeout: Duration) -> Result<T> {
        document(&self.call(Method::POST, path, body, timeout).await?)
    }

    fn away(&self, error: reqwest::Error) -> Error {
        let words = if error.is_timeout() { "did not answer in time" } else { "does not answer" };
        Error::unavailable(format!("the container engine at {} {words}", self.socket.display()))
            .because(error.without_url())
    }
}

fn document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::unavailable("the container engine answers with what is no answer").because(e))
}

/// A list of what has one of these labels, each `name` or `name=value`, as a filter.
fn filter(label: &str) -> String {
    segment(&serde_json::json!({ "label": [label] }).to_string())
}

/// A part of a path or of a query.
fn segment(text: &str) -> String {
    crate::base::text::url_encoded(text)
}
