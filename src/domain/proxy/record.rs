//! Sessions as they are stored: also those that are over, for a month.

use serde::{Deserialize, Serialize};

use crate::base::{ProxySessionId, Scope, Timestamp};
use crate::domain::auth::Caller;
use crate::store::Table;

pub(super) const SESSIONS: Table<ProxySessionId, Session> = Table::audited("proxy_sessions");

/// Why a session ended at its time.
pub(super) const OUT_OF_TIME: &str = "its time is over";

/// A session: what a task may reach through its own listener, and until when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Who opened it, as the audit log names them.
    pub opener: String,
    /// The task, if it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskRun>,
    /// The scopes by which it was judged.
    pub scopes: Vec<Scope>,
    /// What it may reach.
    pub upstreams: Vec<Grant>,
    /// Where it is asked: a URL, or the path of a socket.
    pub address: String,
    /// Who may ask there, in words.
    pub peers: String,
    /// Since when.
    pub opened: Timestamp,
    /// Until when at the latest.
    pub ends: Timestamp,
    /// How it came to its end, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A run of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRun {
    /// The task.
    pub task_id: String,
    /// Which of its runs.
    pub run_id: u32,
}

/// What a session may do at an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The upstream.
    pub upstream: String,
    /// What it may do there.
    pub permissions: Vec<String>,
    /// By which that is known in records.
    pub set: String,
}

/// An end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// By whom, as the audit log names them.
    pub by: String,
    /// Why.
    pub cause: String,
    /// Calls that were made.
    pub calls: u64,
}

/// A caller as sessions keep them.
pub(super) fn by(caller: &Caller) -> String {
    let actor = caller.actor();
    let (kind, name) = actor.parts();
    format!("{kind} {name}")
}
