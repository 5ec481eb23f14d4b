//! One HTTP conversation with the management API: bounded in time, size and number, and repeated where that helps.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity, Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::call::{Answer, Call};
use super::credentials::{Logins, OurLogin};
use super::{errors, wire};
use crate::base::{Error, Result, Secret};
use crate::ports::broker::metrics::Calls;
use crate::ports::http::{self, Body};
use crate::ports::resolve::Resolver;
use crate::ports::tls::{Tls, http_client};
use crate::proto::formats;

/// For a connection to be made. A black hole shows itself in the first seconds or never.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How many changes are under way at once; the broker gets no faster beyond (rabbitmq.md 3).
const WRITES_MAX: usize = 8;
/// The same for connections kept alive.
const IDLE_CONNECTIONS_MAX: usize = WRITES_MAX;
/// A connection is given up before the broker does it: 3.10.8 after 60 s, the others after 5 s (rabbitmq-versions.md). It also
/// closes one after its 100th (3.8.9) or 1 000th answer, so a call may meet the end all the same.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Of an error only the reason is read.
const ERROR_LEN_MAX: usize = 64 << 10;
/// The logins that a call is tried with: the given one, that of the settings, and one that we became meanwhile.
const LOGINS_MAX: usize = 3;
/// The first try and two more.
const ATTEMPTS_MAX: u32 = 3;
/// Before the second try; the third waits four times as long. Both give up to half of it to chance, so that the
/// appliance's calls do not return in step. A second try after a connection that broke comes at once: most often the broker
/// had closed it while it rested.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const REASON: HeaderName = HeaderName::from_static("x-reason");

/// The purge of a queue has no JSON, and answers with 406 whoever takes nothing else.
const ACCEPTED: &str = "application/json, */*;q=0.1";

/// Where the management API is, and who we are to it.
#[derive(Clone, Debug)]
pub struct ManagementSettings {
    /// The address with everything before `/users`, such as `https://broker.example:15671/api`; no login in it.
    pub url: Url,
    /// A broker user with the tag `administrator`.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// Trust and client certificate, when the address is https.
    pub tls: Tls,
}

/// Why there is no answer.
enum Failure {
    Transport(reqwest::Error),
    TooLong(usize),
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(error)
    }
}

/// The client: one pool of connections, one address, the logins.
pub(super) struct Http {
    client: Client,
    base: String,
    has_certificate: bool,
    writes: Semaphore,
    pub(super) logins: Logins,
    pub(super) calls: Calls,
}

impl Http {
    pub(super) fn new(settings: &ManagementSettings, resolver: Resolver) -> Result<Self> {
        let url = &settings.url;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_plain || url.fragment().is_some() {
            return Err(Error::invalid("the broker's address must look like https://host:15671/api, without a login"));
        }
        let client = http_client()
            .default_headers(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(ACCEPTED))]))
            .dns_resolver(resolver)
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
        let client = with_tls(client, url, &settings.tls)?
            .build()
            .map_err(|e| Error::invalid("the TLS settings for the broker do not work").because(e))?;
        Ok(Self {
            client,
            base: url.as_str().trim_end_matches('/').to_owned(),
            has_certificate: settings.tls.identity.is_some(),
            writes: Semaphore::new(WRITES_MAX),
            logins: Logins::new(OurLogin::new(&settings.username, &settings.password)?),
            calls: Calls::default(),
        })
    }

    /// Makes a call. The deadline counts from when it is this call's turn, not while it waits for others.
    pub(super) async fn send(&self, call: Call) -> Result<Answer> {
        let _turn = match call.method {
            Method::GET => None,
            _ => Some(self.writes.acquire().await.map_err(|e| Error::internal("waiting to ask the broker", e))?),
        };
        let begun = Instant::now();
        let outcome = self
            .within(&call, self.attempts(&call))
            .await
            .and_then(|answer| if call.interprets(&answer) { Ok(answer) } else { Err(errors::unexpected(&answer)) });
        count(&self.calls, &outcome, begun.elapsed());
        outcome
    }

    /// Asks something as somebody else. `None` when that login is refused.
    pub(super) async fn ask_as(&self, login: OurLogin, call: Call) -> Result<Option<Answer>> {
        let login = Arc::new(login);
        let answer = self.within(&call, self.attempts_as(&login, &call)).await?;
        if answer.refuses_login() {
            Ok(None)
        } else if call.interprets(&answer) {
            Ok(Some(answer))
        } else {
            Err(errors::unexpected(&answer))
        }
    }

    /// A list that is always there: a 404 means that this is not the management API.
    pub(super) async fn list<R: DeserializeOwned, T: From<R>>(&self, path: &str) -> Result<Vec<T>> {
        let answer = self.send(Call::list(path)).await?;
        if answer.status.is_success() {
            wire::parse_rows::<R, T>(path, &answer.body)
        } else {
            Err(errors::unexpected(&answer))
        }
    }

    /// A list of things in a vhost: a 404 means that there is no such vhost.
    pub(super) async fn list_in<R: DeserializeOwned, T: From<R>>(&self, path: &str) -> Result<Vec<T>> {
        let answer = self.send(Call::list(path)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Err(errors::unknown("vhost")),
            status if status.is_success() => wire::parse_rows::<R, T>(path, &answer.body),
            _ => Err(errors::unexpected(&answer)),
        }
    }

    /// One thing, or none.
    pub(super) async fn one<R: DeserializeOwned, T: From<R>>(&self, path: String) -> Result<Option<T>> {
        let answer = self.send(Call::get(path)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => wire::parse_one::<R, T>(&answer).map(Some),
        }
    }

    /// Deletes a thing. False when there was none.
    pub(super) async fn delete(&self, call: Call) -> Result<bool> {
        let answer = self.send(call).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::BAD_REQUEST => Err(errors::not_deletable(&answer)),
            _ => Ok(true),
        }
    }

    async fn within(&self, call: &Call, asked: impl Future<Output = Result<Answer, Failure>>) -> Result<Answer> {
        match timeout(call.deadline, asked).await {
            Err(_) => Err(errors::too_slow(call.deadline)),
            Ok(Err(Failure::TooLong(len_max))) => Err(errors::too_long(len_max)),
            Ok(Err(Failure::Transport(error))) => Err(errors::transport(error, self.has_certificate)),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    /// Tries with our login, and when that is refused with the other one.
    async fn attempts(&self, call: &Call) -> Result<Answer, Failure> {
        let mut login = self.logins.present();
        let mut answer = self.attempts_as(&login, call).await?;
        for _ in 1..LOGINS_MAX {
            let Some(other) = answer.refuses_login().then(|| self.logins.after_refusal(&login)).flatten() else {
                break;
            };
            login = other;
            answer = self.attempts_as(&login, call).await?;
        }
        Ok(answer)
    }

    async fn attempts_as(&self, login: &OurLogin, call: &Call) -> Result<Answer, Failure> {
        let mut attempt = 1;
        loop {
            let outcome = self.once(login, call).await;
            let may_pass = match &outcome {
                Ok(answer) => call.may_be_repeated_after(answer),
                Err(Failure::Transport(error)) => !is_about_tls(error),
                Err(Failure::TooLong(_)) => false,
            };
            if !may_pass || attempt == ATTEMPTS_MAX {
                return outcome;
            }
            if outcome.is_ok() || attempt > 1 {
                let pause = RETRY_PAUSE * 4_u32.pow(attempt - 1);
                sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            }
            attempt += 1;
        }
    }

    async fn once(&self, login: &OurLogin, call: &Call) -> Result<Answer, Failure> {
        let request = self.client.request(call.method.clone(), format!("{}/{}", self.base, call.path));
        let mut request = request.header(AUTHORIZATION, login.header());
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        if let Some(reason) = &call.reason {
            request = request.header(REASON, reason.clone());
        }
        let response = request.send().await?;
        let status = response.status();
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let time = date.and_then(|date| formats::http_date(date).ok());
        let is_error = !status.is_success();
        let len_max = if is_error { ERROR_LEN_MAX } else { call.answer_len_max };
        let Body { bytes, is_whole } = http::read(response, len_max).await?;
        if !is_whole && !is_error {
            return Err(Failure::TooLong(len_max));
        }
        let body = if is_error { login.redact(&bytes) } else { bytes };
        Ok(Answer { status, time, body })
    }
}

/// A certificate does not become right by asking again.
fn is_about_tls(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn with_tls(client: reqwest::ClientBuilder, url: &Url, tls: &Tls) -> Result<reqwest::ClientBuilder> {
    let client = match &tls.authorities {
        Some(pem) => {
            let wrong = "the broker's certificate authority is not in PEM";
            let authorities =
                Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| Error::invalid(wrong).because(e))?;
            if authorities.is_empty() {
                return Err(Error::invalid(wrong));
            }
            client.tls_certs_only(authorities)
        }
        // A plain address needs no trust.
        None if url.scheme() == "http" => client.tls_certs_only([]),
        None => client,
    };
    let Some(identity) = &tls.identity else { return Ok(client) };
    let pem = Zeroizing::new(format!("{}\n{}", identity.certificate, identity.key.expose()));
    let identity = Identity::from_pem(pem.as_bytes())
        .map_err(|e| Error::invalid("the client certificate for the broker or its key is not in PEM").because(e))?;
    Ok(client.identity(identity))
}

/// The broker's own 400 and 404 are for the call to read, and no failure of the broker's.
fn count(calls: &Calls, outcome: &Result<Answer>, took: Duration) {
    match outcome {
        Ok(answer) if answer.status.is_client_error() => calls.refused.one(),
        Ok(_) => calls.answered.one(),
        Err(_) => calls.failed.one(),
    }
    calls.took.add(took);
}
