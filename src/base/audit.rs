//! The vocabulary of the audit log: who did what to what, and how it ended.

mod actions;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::names::{ClientId, HostName, OperatorName};
use super::secret::Secret;
use super::session_id::ProxySessionId;

pub use actions::{Action, COMMON_DETAILS};

/// Who acted. The loops are actors too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A client that proved its id.
    Client(ClientId),
    /// Somebody without an id, by the grace of the remote authority.
    Anonymous,
    /// A machine that DNS confirmed.
    Host(HostName),
    /// A user of this host, through the control socket or the store itself.
    Local(String),
    /// A person who signed in to the console.
    Operator(OperatorName),
    /// A session of the task proxy, and with it the task that has it.
    Session(ProxySessionId),
    /// A loop, by its name.
    Loop(String),
    /// The appliance itself: start, migration.
    Appliance,
}

impl Actor {
    /// Its kind, and its name within it; empty for those that are the only one.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Client(id) => ("client", id.as_str()),
            Self::Anonymous => ("anonymous", ""),
            Self::Host(name) => ("host", name.as_str()),
            Self::Local(user) => ("local", user),
            Self::Operator(name) => ("operator", name.as_str()),
            Self::Session(id) => ("session", id.as_str()),
            Self::Loop(name) => ("loop", name),
            Self::Appliance => ("appliance", ""),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (kind, "") => f.write_str(kind),
            (kind, name) => write!(f, "{kind} {name}"),
        }
    }
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is so now.
    Done,
    /// It was not allowed.
    Refused,
    /// It was tried and did not work; the details say why.
    Failed,
}

/// Where the store leaves the number of an entry. Clones share one place, so of several entries the last one counts.
#[derive(Clone, Debug, Default)]
pub struct Receipt(Arc<AtomicU64>);

impl Receipt {
    /// Only the store knows the number. It counts once the write that the entry came with has succeeded.
    pub(crate) fn fill(&self, seq: u64) {
        self.0.store(seq, Ordering::Relaxed);
    }

    /// The number of the entry, if one was written. Numbers begin at 1.
    pub fn number(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|seq| *seq > 0)
    }
}

/// One entry before the store gives it a number, a time and its place in the chain.
#[derive(Debug)]
pub struct Note {
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// To what: the name of the thing.
    pub object: String,
    /// With which end.
    pub outcome: Outcome,
    /// The id of the request that caused it, when one did.
    pub request_id: Option<String>,
    /// Secrets this entry is about. Only their HMAC is kept, so that "was this very password lent?" has an answer.
    pub secrets: Vec<Secret>,
    /// What else an operator wants to know. Never a secret.
    pub details: Map<String, Value>,
    /// Who wants to know its number.
    pub receipt: Option<Receipt>,
}

impl Note {
    /// A note of something done.
    pub fn done(actor: Actor, action: Action, object: impl fmt::Display) -> Self {
        Self {
            actor,
            action,
            object: object.to_string(),
            outcome: Outcome::Done,
            request_id: None,
            secrets: Vec::new(),
            details: Map::new(),
            receipt: None,
        }
    }

    /// The same note with another end.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds a detail. Never a secret.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        debug_assert!(self.action.has(key), "{} is listed without the detail {key}", self.action);
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a reference to a secret.
    #[must_use]
    pub fn about(mut self, secret: &Secret) -> Self {
        self.secrets.push(secret.clone());
        self
    }

    /// Adds the id of the request.
    #[must_use]
    pub fn request(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }
}
