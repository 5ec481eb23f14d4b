//! One HTTP conversation with the management API: bounded in time, size and number, and repeated where that helps.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity, Method, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::calls::Calls;
use super::logins::{Logins, OurLogin};
use super::{ManagementSettings, advice, require_reachable, versions};
use crate::base::{Error, Result, Timestamp};
use crate::ports::resolve::Resolver;
use crate::ports::tls::{Tls, http_client};
use crate::proto::formats;

/// For a connection to be made. A black hole shows itself in the first seconds or never.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For a small call with all its repetitions. They take milliseconds; a hung node takes 60 s (rabbitmq.md, fact 9).
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// For a list. 20,000 users or queues take up to 5 s on a busy machine.
const LIST_DEADLINE: Duration = Duration::from_secs(30);
/// How many changes are under way at once; the broker gets no faster beyond (rabbitmq.md 3).
const WRITES_MAX: usize = 8;
/// The same for connections kept alive.
const IDLE_CONNECTIONS_MAX: usize = WRITES_MAX;
/// A connection is given up before the broker does it, after 60 s: a call on one it just closed would fail.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The answer to a small call is some kB: a queue with many consumers is the longest.
const ANSWER_LEN_MAX: usize = 1 << 20;
/// A list of 11,000 queues is 0.4 MB with our columns; an old broker may ignore them and send 15.5 MB.
const LIST_LEN_MAX: usize = 64 << 20;
/// Of an error only the reason is read.
const ERROR_LEN_MAX: usize = 64 << 10;
/// The logins that a call is tried with: the given one, that of the settings, and one that we became meanwhile.
const LOGINS_MAX: usize = 3;
/// The first try and two more.
const ATTEMPTS_MAX: u32 = 3;
/// Before the second try; the third waits four times as long. Both give up to half of it to chance, so that the
/// appliance's calls do not return in step.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// AMQP carries the reason, with a prefix of the broker's, in 255 bytes.
const REASON_LEN_MAX: usize = 200;

const REASON: HeaderName = HeaderName::from_static("x-reason");

/// Everything but the unreserved characters of RFC 3986 is encoded: names hold `/`, `%`, `+`, `?` and worse.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> Result<String> {
    require_reachable(name)?;
    Ok(utf8_percent_encode(name, RESERVED).to_string())
}

/// The purge of a queue has no JSON, and answers with 406 whoever takes nothing else.
const ACCEPTED: &str = "application/json, */*;q=0.1";

/// A call. All of ours are idempotent, so all of them may be repeated.
pub(super) struct Call {
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
    reason: Option<HeaderValue>,
    deadline: Duration,
    answer_len_max: usize,
    /// Whether a 503 is the answer, as from a health check, and not a reason to try again.
    answers_503: bool,
}

impl Call {
    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            body: None,
            reason: None,
            deadline: CALL_DEADLINE,
            answer_len_max: ANSWER_LEN_MAX,
            answers_503: false,
        }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    pub(super) fn list(path: impl Into<String>) -> Self {
        Self { deadline: LIST_DEADLINE, answer_len_max: LIST_LEN_MAX, ..Self::get(path) }
    }

    pub(super) fn health_check(path: impl Into<String>) -> Self {
        Self { answers_503: true, ..Self::get(path) }
    }

    pub(super) fn put(path: String, body: &impl serde::Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(|e| Error::internal("encoding a request to the broker", e))?;
        Ok(Self { body: Some(body), ..Self::new(Method::PUT, path) })
    }

    pub(super) fn delete(path: String) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Tells the closed clients why: one line, cut to what AMQP carries.
    pub(super) fn because(self, reason: &str) -> Self {
        let line: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = &line[..line.floor_char_boundary(REASON_LEN_MAX)];
        Self { reason: HeaderValue::from_bytes(line.as_bytes()).ok(), ..self }
    }
}

/// An answer that the call may interpret: a success, a 400 or a 404 of the broker's own, or what it asked for.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// What time it is at the other end.
    pub(super) time: Option<Timestamp>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn is_for_the_call(&self, call: &Call) -> bool {
        match self.status {
            StatusCode::BAD_REQUEST => true,
            StatusCode::NOT_FOUND => versions::is_own_not_found(&self.body),
            StatusCode::SERVICE_UNAVAILABLE => call.answers_503,
            status if call.method == Method::GET => status.is_success(),
            status => versions::is_done(status),
        }
    }

    /// Whether the broker looked at the login and refused it.
    fn refuses_login(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED && versions::refusal(&self.body) == versions::Refusal::Login
    }

    fn is_passing_trouble(&self, call: &Call) -> bool {
        match self.status.as_u16() {
            500 => self.body.is_empty(),
            503 => !call.answers_503,
            status => matches!(status, 502 | 504),
        }
    }
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
        let outcome =
            self.within(&call, self.attempts(&call)).await.and_then(|answer| match answer.is_for_the_call(&call) {
                true => Ok(answer),
                false => Err(advice::unexpected(&answer)),
            });
        self.calls.count_answer(&outcome, begun.elapsed());
        outcome
    }

    /// Asks something as somebody else. `None` when that login is refused.
    pub(super) async fn ask_as(&self, login: OurLogin, call: Call) -> Result<Option<Answer>> {
        let login = Arc::new(login);
        let answer = self.within(&call, self.attempts_as(&login, &call)).await?;
        match answer.refuses_login() {
            true => Ok(None),
            false if answer.is_for_the_call(&call) => Ok(Some(answer)),
            false => Err(advice::unexpected(&answer)),
        }
    }

    async fn within(&self, call: &Call, asked: impl Future<Output = Result<Answer, Failure>>) -> Result<Answer> {
        match timeout(call.deadline, asked).await {
            Err(_) => Err(advice::too_slow(call.deadline)),
            Ok(Err(Failure::TooLong(len_max))) => Err(advice::too_long(len_max)),
            Ok(Err(Failure::Transport(error))) => Err(advice::transport(error, self.has_certificate)),
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
                Ok(answer) => answer.is_passing_trouble(call),
                Err(Failure::Transport(error)) => !is_about_tls(error),
                Err(Failure::TooLong(_)) => false,
            };
            if !may_pass || attempt == ATTEMPTS_MAX {
                return outcome;
            }
            let pause = RETRY_PAUSE * 4_u32.pow(attempt - 1);
            sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
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
        let mut response = request.send().await?;
        let status = response.status();
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let time = date.and_then(|date| formats::http_date(date).ok());
        let is_error = !status.is_success();
        let len_max = if is_error { ERROR_LEN_MAX } else { call.answer_len_max };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > len_max {
                match is_error {
                    true => break,
                    false => return Err(Failure::TooLong(len_max)),
                }
            }
            body.extend_from_slice(&chunk);
        }
        if is_error {
            body = login.redact(&body);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_one_segment() {
        assert_eq!(segment("/").unwrap(), "%2F");
        assert_eq!(segment("a/b %+?#ü~-._").unwrap(), "a%2Fb%20%25%2B%3F%23%C3%BC~-._");
        assert!(["", ".", ".."].into_iter().all(|name| segment(name).is_err()));
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let call = Call::delete("connections/x".into()).because(&format!("a\r\nb: {}", "ü".repeat(200)));
        let reason = call.reason.unwrap();
        assert!(reason.as_bytes().starts_with(b"a  b: "));
        assert!(reason.len() <= REASON_LEN_MAX && std::str::from_utf8(reason.as_bytes()).is_ok());
    }
}
