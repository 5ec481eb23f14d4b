//! Sessions as they are stored: also those that are over, for a month.

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::base::{ImageId, ProxySessionId, RoleId, Scope, ServiceSetId, Timestamp, WorkerType};
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
    /// The service beside the task whose session it is, if it is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskRun {
    /// The task.
    pub task_id: String,
    /// Which of its runs.
    pub run_id: u32,
}

/// A service beside a task, as it was decided on before it ran.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    /// The services that run together.
    pub set: ServiceSetId,
    /// Its name, which is its alias for the task.
    pub name: String,
    /// The image as the payload has it.
    pub image: String,
    /// What the engine of the worker calls that image: what is run, whatever a tag says later.
    pub local_id: ImageId,
    /// By which the image was delegated to, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// How that was decided, in words.
    pub decision: String,
    /// Whose worker runs it.
    pub worker_type: WorkerType,
    /// The role whose scopes it holds, if an image was delegated to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleId>,
    /// What that role stands for, and its worker holds: all that this service may pass for.
    pub held: Vec<Scope>,
    /// What the role stands for beside that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_held: Vec<Scope>,
    /// Its network.
    pub network: Ipv4Net,
    /// That of the task.
    pub task_network: Ipv4Net,
    /// What the task may do, where that is known: the service can read it, to judge by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_scopes: Option<Vec<Scope>>,
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
