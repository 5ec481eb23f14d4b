//! The documents of the task proxy's API.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::{NamespaceName, ProxySessionId, Scope, Timestamp};
use crate::domain::proxy::{CallRecord, Grant, Open, View, Worth};

/// A session that was opened, with what its worker gives to the task.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    pub session: ProxySessionId,
    /// A URL, or the path of a socket.
    pub address: String,
    pub ends: Timestamp,
    /// The deployment that is signed for, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_url: Option<String>,
    /// For the environment of the task.
    pub environment: BTreeMap<String, String>,
    /// Scopes that were asked for and that the caller does not hold itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_held: Vec<Scope>,
    pub upstreams: Vec<Granted>,
}

/// What a session may do at an upstream.
#[derive(Serialize, JsonSchema)]
pub struct Granted {
    pub upstream: String,
    pub permissions: Vec<String>,
    /// By which these permissions are known in records.
    pub set: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Sessions {
    pub sessions: Vec<Session>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    pub session: ProxySessionId,
    pub opener: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<u32>,
    pub scopes: Vec<Scope>,
    pub upstreams: Vec<Granted>,
    pub address: String,
    /// Who may ask, in words.
    pub peers: String,
    pub opened: Timestamp,
    pub ends: Timestamp,
    /// When it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Who ended it, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    pub calls: u64,
    /// Tokens that work now.
    pub tokens: Vec<Alive>,
    /// Namespaces that it was lent, which end with it.
    pub namespaces: Vec<NamespaceName>,
}

#[derive(Serialize, JsonSchema)]
pub struct Alive {
    pub upstream: String,
    pub ends: Timestamp,
}

impl From<View> for Session {
    fn from(View { id, session, calls, tokens, namespaces }: View) -> Self {
        let (task_id, run_id) = session.task.map(|task| (task.task_id, task.run_id)).unzip();
        let (ended, by) = session.ended.map(|ended| (ended.at, (ended.by, ended.cause))).unzip();
        let (ended_by, cause) = by.unzip();
        let grants = session.upstreams.into_iter();
        Self {
            session: id,
            opener: session.opener,
            task_id,
            run_id,
            scopes: session.scopes,
            upstreams: grants.map(Granted::from).collect(),
            address: session.address,
            peers: session.peers,
            opened: session.opened,
            ends: session.ends,
            ended,
            ended_by,
            cause,
            calls,
            tokens: tokens.into_iter().map(|(upstream, ends)| Alive { upstream, ends }).collect(),
            namespaces,
        }
    }
}

impl From<Grant> for Granted {
    fn from(Grant { upstream, permissions, set }: Grant) -> Self {
        Self { upstream, permissions, set }
    }
}

/// Calls that are over.
#[derive(Serialize, JsonSchema)]
pub struct Calls {
    /// In their order.
    pub calls: Vec<Made>,
}

/// A call that is over.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    pub ended: Timestamp,
    pub peer: String,
    pub upstream: String,
    pub method: String,
    /// Without its query.
    pub url: String,
    /// A hash of the query, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What the task got.
    pub status: u16,
    /// Why it was not the upstream's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What the call said it is called, for the upstream's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub took_ms: u64,
    pub is_broken: bool,
}

impl From<CallRecord> for Made {
    fn from(call: CallRecord) -> Self {
        let CallRecord { ended, peer, upstream, method, url, query, status, cause, request_id, settled } = call;
        let (sent_bytes, received_bytes) = (settled.sent_bytes, settled.received_bytes);
        let (took_ms, is_broken) = (settled.took_ms, settled.is_broken);
        Self {
            request_id,
            ended,
            peer,
            upstream,
            method,
            url,
            query,
            status,
            cause,
            sent_bytes,
            received_bytes,
            took_ms,
            is_broken,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub struct Explained {
    pub upstreams: Vec<Explanation>,
}

#[derive(Serialize, JsonSchema)]
pub struct Explanation {
    pub upstream: String,
    /// What lets the proxy in.
    pub kind: &'static str,
    pub permissions: Vec<String>,
    pub reasons: Vec<String>,
    /// What would help, when nothing is granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl From<Worth> for Explanation {
    fn from(Worth { upstream, kind, permissions, reasons, missing }: Worth) -> Self {
        Self { upstream, kind, permissions, reasons, missing }
    }
}

#[derive(Serialize, JsonSchema)]
pub struct Upstreams {
    /// `settings` or `store`.
    pub from: &'static str,
    pub upstreams: Vec<Upstream>,
}

#[derive(Serialize, JsonSchema)]
pub struct Upstream {
    pub upstream: String,
    /// What lets the proxy in.
    pub kind: &'static str,
    /// Where it is reached, and what that leads to.
    pub paths: Vec<Leads>,
    /// None is any.
    pub methods: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Leads {
    pub path: String,
    pub to: String,
}

impl From<&Open> for Upstream {
    fn from(Open { declared, .. }: &Open) -> Self {
        Self {
            upstream: declared.upstream.name.clone(),
            kind: declared.kind(),
            paths: declared.leads().into_iter().map(|(path, to)| Leads { path, to }).collect(),
            methods: declared.upstream.methods.clone(),
        }
    }
}
