//! The auth service of a Taskcluster deployment: it judges signed requests (taskcluster.md 3).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::http;
use super::resolve::Resolver;
use crate::base::{ClientId, Error, Kind, Result, Scope, Secret, Timestamp};
use crate::proto::hawk::{Header, Question, Target};
use crate::proto::urls::RootUrl;

/// Tries after the first one, as the ancestor's client had (taskcluster.md 3.3).
const RETRIES: u32 = 5;
/// An answer holds a few scopes; a client with thousands still fits.
const ANSWER_LEN_MAX: usize = 4 << 20;
/// Longest part of a host's name (RFC 1035).
const LABEL_LEN_MAX: usize = 63;

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one try.
    pub try_timeout: Duration,
    /// For all tries together.
    pub total_timeout: Duration,
    /// Before the second try. It doubles each time, spread by a quarter so that many askers do not come back together.
    pub pause: Duration,
}

impl Default for Patience {
    /// The service answers in milliseconds, so one that takes five seconds is stuck; after twelve a caller hears 503
    /// before its own patience ends.
    fn default() -> Self {
        let (try_timeout, total_timeout) = (Duration::from_secs(5), Duration::from_secs(12));
        Self { try_timeout, total_timeout, pause: Duration::from_millis(100) }
    }
}

/// The authority's word for a request that it believes.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who signed; nobody for anonymous scopes.
    pub client_id: Option<ClientId>,
    /// Their scopes, expanded.
    pub scopes: Vec<Scope>,
    /// The signed payload hash, still to be compared.
    pub hash: Option<String>,
}

/// The remote authority. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    http: reqwest::Client,
    /// Where requests are judged.
    url: String,
    /// Where roles are expanded.
    expand_url: String,
    patience: Patience,
}

/// Scopes on the wire.
#[derive(Deserialize)]
struct ScopeSet {
    scopes: Vec<Scope>,
}

/// The answer on the wire. Unknown statuses and a success without scopes are failures (taskcluster.md 11.11).
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Wire {
    AuthSuccess { scopes: Vec<Scope>, client_id: ClientId, hash: Option<String> },
    NoAuth { scopes: Vec<Scope> },
    AuthFailed { message: String },
}

/// Why one try did not give an answer.
enum Failure {
    /// It may go better in a moment.
    Passing(String),
    /// It will not.
    Lasting(String),
    /// It may not be asked.
    Refused(String),
}

impl Authority {
    /// The auth service of a deployment.
    pub fn new(root_url: &RootUrl, resolver: Resolver, patience: Patience) -> Result<Self> {
        let http = http::client(resolver, patience.try_timeout)?;
        let (url, expand_url) =
            (root_url.api("auth", "v1", "authenticate-hawk"), root_url.api("auth", "v1", "scopes/expand"));
        Ok(Self { http, url, expand_url, patience })
    }

    /// Asks whose request this is. `Unauthenticated` for a host that the authority takes no question about, and, in
    /// the authority's words, when it is nobody's; `Unavailable` when the authority gives no usable answer in time.
    pub async fn authenticate_hawk(&self, question: &Question<'_>, source_ip: IpAddr) -> Result<Answer> {
        if !is_hostname(question.host) {
            return Err(Error::unauthenticated(format!(
                "the auth service knows no host `{}`: sign for one of letters, digits, hyphens and dots",
                question.host
            ))
            .with_code("AuthenticationFailed"));
        }
        let mut body = json!({
            "method": question.method.to_ascii_lowercase(),
            "resource": question.resource,
            "host": question.host,
            "port": question.port,
            "sourceIp": source_ip.to_string(),
        });
        if let (Some(authorization), Some(body)) = (question.authorization, body.as_object_mut()) {
            body.insert("authorization".into(), authorization.into());
        }
        // It asks nobody for scopes here: whoever refuses is not what was meant.
        let wire = self.ask(&self.url, &body.to_string()).await.map_err(|error| error.into_kind(Kind::Unavailable));
        match wire? {
            Wire::AuthSuccess { scopes, client_id, hash } => Ok(Answer { client_id: Some(client_id), scopes, hash }),
            Wire::NoAuth { scopes } => Ok(Answer { client_id: None, scopes, hash: None }),
            Wire::AuthFailed { message } => Err(Error::unauthenticated(message).with_code("AuthenticationFailed")),
        }
    }

    /// Whether it answers at all. A request that nobody signed is a question, too.
    pub async fn reach(&self) -> Result<()> {
        let question = Question { method: "GET", resource: "/", host: "localhost", port: 443, authorization: None };
        match self.authenticate_hawk(&question, IpAddr::V4(Ipv4Addr::LOCALHOST)).await {
            Err(error) if error.kind() != Kind::Unauthenticated => Err(error),
            _ => Ok(()),
        }
    }

    /// What a client may do, by the question whose a request of its own would be. `Unauthenticated` when the authority
    /// does not believe it.
    pub async fn scopes_of(&self, id: &ClientId, access_token: &Secret, now: Timestamp) -> Result<Vec<Scope>> {
        let (ts, nonce) = (now.as_seconds().to_string(), Secret::generate());
        let header = Header { id: id.as_str(), ts: &ts, nonce: nonce.expose(), ..Header::default() };
        let (method, resource, host, port) = ("GET", "/", "localhost", 443);
        let authorization = header.signed(access_token, &Target { method, resource, host, port });
        let question = Question { method, resource, host, port, authorization: Some(&authorization) };
        Ok(self.authenticate_hawk(&question, IpAddr::V4(Ipv4Addr::LOCALHOST)).await?.scopes)
    }

    /// Scopes, and all that their roles stand for there. Deployments let everybody ask that unless somebody took
    /// `auth:expand-scopes` from `anonymous` (`expandScopes` of the client taskcluster 101).
    pub async fn expand(&self, scopes: &[Scope]) -> Result<Vec<Scope>> {
        let body = json!({ "scopes": scopes }).to_string();
        let answer: Result<ScopeSet> = self.ask(&self.expand_url, &body).await;
        match answer {
            Ok(answer) => Ok(answer.scopes),
            Err(error) if error.kind() == Kind::Forbidden => Err(Error::conflict(
                "the deployment lets nobody expand roles: give `auth:expand-scopes` to its role anonymous",
            )),
            Err(error) => Err(error.reworded(|_| {
                "the auth service gives no answer: what roles stand for cannot be told now; ask again in a moment"
                    .into()
            })),
        }
    }

    /// Asks until there is an answer, as often and as long as it is waited for.
    async fn ask<T: DeserializeOwned>(&self, url: &str, body: &str) -> Result<T> {
        tokio::time::timeout(self.patience.total_timeout, self.ask_again(url, body))
            .await
            .unwrap_or_else(|_| Err(unreachable("no answer in time".into())))
    }

    async fn ask_again<T: DeserializeOwned>(&self, url: &str, body: &str) -> Result<T> {
        let mut pause = self.patience.pause;
        for tries_left in (0..=RETRIES).rev() {
            match self.ask_once(url, body).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Passing(cause)) if tries_left > 0 => {
                    tracing::debug!("the auth service failed, asking again: {cause}");
                    tokio::time::sleep(spread(pause)).await;
                    pause *= 2;
                }
                Err(Failure::Passing(cause) | Failure::Lasting(cause)) => return Err(unreachable(cause)),
                Err(Failure::Refused(cause)) => return Err(unreachable(cause).into_kind(Kind::Forbidden)),
            }
        }
        Err(unreachable("no try was left".into()))
    }

    async fn ask_once<T: DeserializeOwned>(&self, url: &str, body: &str) -> std::result::Result<T, Failure> {
        let request = self.http.post(url).header("content-type", "application/json").body(body.to_owned());
        let response = request.send().await.map_err(|e| Failure::Passing(causes(&e)))?;
        let status = response.status();
        let answer = http::read(response, ANSWER_LEN_MAX).await.map_err(|e| Failure::Passing(causes(&e)))?;
        if !answer.is_whole {
            return Err(Failure::Lasting("the answer is too long".into()));
        }
        match status {
            status if status.is_server_error() => Err(Failure::Passing(format!("it answered {status}"))),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(Failure::Refused(format!("it answered {status}")))
            }
            status if !status.is_success() => Err(Failure::Lasting(format!("it answered {status}"))),
            _ => serde_json::from_slice(&answer.bytes)
                .map_err(|e| Failure::Lasting(format!("its answer is no answer: {e}"))),
        }
    }
}

/// Whether this is the `hostname` of the authority's schema (taskcluster.md 3.1 and 11.13).
fn is_hostname(host: &str) -> bool {
    host.split('.').all(|label| {
        (1..=LABEL_LEN_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

fn unreachable(cause: String) -> Error {
    Error::unavailable("the auth service gives no answer: who you are cannot be told now; ask again in a moment")
        .because(cause)
}

fn causes(error: &reqwest::Error) -> String {
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

#[expect(clippy::disallowed_methods, reason = "jitter needs no secrecy")]
fn spread(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + rand::random::<f64>() / 2.0)
}
