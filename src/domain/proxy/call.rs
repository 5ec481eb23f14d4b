//! One call, as records have it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

/// One call, as it is written down.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Call {
    /// The session.
    #[serde(serialize_with = "as_text")]
    pub session: Arc<str>,
    /// Who asked: an address with a port, or a user.
    #[serde(serialize_with = "as_text")]
    pub peer: Arc<str>,
    /// The upstream.
    pub upstream: String,
    /// The method.
    pub method: String,
    /// The URL without its query.
    pub url: String,
    /// A hash of the query, if there was one: the same queries can be told, and not what they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What the token was limited to, as a hash of the permissions.
    #[serde(serialize_with = "as_text")]
    pub permissions: Arc<str>,
    /// The status that the task got.
    pub status: u16,
    /// Why it was not the upstream's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// By what the upstream's log calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// What is known of a call only at its end.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Settled {
    /// Bytes of the request's body.
    pub sent_bytes: u64,
    /// Bytes of the answer's body.
    pub received_bytes: u64,
    /// From the request to the end of the answer.
    pub took_ms: u64,
    /// Whether either body broke off.
    pub is_broken: bool,
}

impl Settled {
    /// With the time that a call took.
    #[must_use]
    pub fn after(mut self, took: Duration) -> Self {
        self.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self
    }
}
