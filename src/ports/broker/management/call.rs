//! A call of the management API, and the answer to one.

use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};

use crate::base::text::url_encoded;
use crate::base::{Error, Result, Timestamp, VhostName};
use crate::ports::broker::names::require_reachable;
use crate::ports::broker::versions;

/// For a small call with all its repetitions. They take milliseconds; a hung node takes 60 s (rabbitmq.md, fact 9).
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// For a list. 20,000 users or queues take up to 5 s on a busy machine.
const LIST_DEADLINE: Duration = Duration::from_secs(30);
/// The answer to a small call is some kB: a queue with many consumers is the longest.
const ANSWER_LEN_MAX: usize = 1 << 20;
/// A list of 11,000 queues is 0.4 MB with our columns; an old broker may ignore them and send 15.5 MB.
const LIST_LEN_MAX: usize = 64 << 20;

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> Result<String> {
    require_reachable(name)?;
    Ok(url_encoded(name))
}

/// The path of a thing in a vhost.
pub(super) fn path_in(kind: &str, vhost: &VhostName, name: &str) -> Result<String> {
    Ok(format!("{kind}/{}/{}", segment(vhost.as_str())?, segment(name)?))
}

/// A call. All of ours are idempotent, so all of them may be repeated.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Vec<u8>>,
    pub(super) reason: Option<HeaderValue>,
    pub(super) deadline: Duration,
    pub(super) answer_len_max: usize,
    /// Whether a 405 is the answer, of a broker that is too old for this call.
    pub(super) answers_405: bool,
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
            answers_405: false,
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

    /// Adds something that has no name. Once more changes nothing.
    pub(super) fn post(path: String, body: &impl serde::Serialize) -> Result<Self> {
        Ok(Self { method: Method::POST, ..Self::put(path, body)? })
    }

    pub(super) fn delete(path: String) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Lets the call read that the broker is too old for it.
    pub(super) fn if_offered(self) -> Self {
        Self { answers_405: true, ..self }
    }

    /// Tells the closed clients why.
    pub(super) fn because(self, reason: &str) -> Self {
        Self { reason: HeaderValue::try_from(versions::readable_reason(reason)).ok(), ..self }
    }

    /// Whether an answer is one that this call interprets.
    pub(super) fn interprets(&self, answer: &Answer) -> bool {
        match answer.status {
            StatusCode::BAD_REQUEST => true,
            StatusCode::NOT_FOUND => versions::is_own_not_found(&answer.body),
            StatusCode::METHOD_NOT_ALLOWED => self.answers_405,
            StatusCode::SERVICE_UNAVAILABLE => self.answers_503,
            status if self.method == Method::GET => status.is_success(),
            status => versions::is_done(status),
        }
    }

    /// Whether the same call may have a better answer in a moment.
    pub(super) fn may_be_repeated_after(&self, answer: &Answer) -> bool {
        match answer.status.as_u16() {
            500 => answer.body.is_empty(),
            503 => !self.answers_503,
            status => matches!(status, 502 | 504),
        }
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
    /// Whether the broker looked at the login and refused it.
    pub(super) fn refuses_login(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED && versions::refusal(&self.body) == versions::Refusal::Login
    }
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
}
