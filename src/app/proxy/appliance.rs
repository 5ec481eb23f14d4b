//! The appliance of a proxy that is attached to one, as its worker asks it: a session is opened, kept alive and closed.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::app::caller::Caller;
use crate::base::{Clock, Error, Kind, ProxySessionId, Result, Scope, Timestamp};
use crate::domain::proxy::{Credentials, TaskRun};
use crate::ports::keylender::CALL_TIMEOUT;
use crate::ports::{sockets, system};
use crate::proto::hawk::mac::Target;
use crate::proto::proxy::delegation::Delegation;
use crate::proto::proxy::upstream::Base;

/// How long the appliance waits to hear of us before it ends the session. A host that restarts takes no longer.
const HEARD_WITHIN: Duration = Duration::from_secs(60);
/// How often we say it: two times may be lost.
pub(super) const ALIVE_EVERY: Duration = Duration::from_secs(20);
/// For what the appliance has to say of it, well within that.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the end of a session. Workers kill what does not end soon, and then it ends by our silence.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a session for scopes is to last: as long as the appliance allows, since it ends with us anyway. One for a task
/// ends at the task's deadline.
const LASTS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// An appliance, and who we are there.
pub struct Appliance {
    /// Where it is.
    pub url: Base,
    caller: Caller,
}

/// By what a session is judged.
pub enum By {
    /// These scopes, of which those count that the client of the appliance holds.
    Scopes(Vec<Scope>),
    /// The scopes of this task.
    Task(TaskRun),
}

/// The session that is wanted.
pub struct Wanted {
    /// The one upstream that it is for.
    pub upstream: &'static str,
    /// By what it is judged.
    pub by: By,
    /// Credentials of the task, for an upstream that is signed for.
    pub credentials: Option<Credentials>,
    /// The deployment that it must be for.
    pub root_url: Option<Base>,
    /// What is said of its permissions before they are named.
    pub granted_words: &'static str,
}

/// A session that was opened.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opened {
    pub session: ProxySessionId,
    address: String,
    pub ends: Timestamp,
    #[serde(default)]
    pub not_held: Vec<Scope>,
    #[serde(default)]
    pub root_url: Option<String>,
    upstreams: Vec<Granted>,
}

#[derive(Deserialize)]
struct Granted {
    permissions: Vec<String>,
}

impl Opened {
    /// Where it is asked.
    pub fn address(&self) -> Result<SocketAddr> {
        let address = self.address.strip_prefix("http://").and_then(|address| address.parse().ok());
        address.ok_or_else(|| Error::unavailable("the appliance answers with a session that is at no port"))
    }

    /// What was granted.
    pub fn permissions(&self) -> Vec<&str> {
        self.upstreams.iter().flat_map(|upstream| &upstream.permissions).map(String::as_str).collect()
    }
}

impl Appliance {
    /// One at a URL without a path. Requests are signed: that works whatever knows its clients, and shows the token to nobody.
    pub fn new(url: Base, who: Delegation, clock: Clock) -> Result<Self> {
        let caller = Caller::signing(&url, who, clock)?;
        Ok(Self { url, caller })
    }

    /// Opens a session that ends with us, for this process and nobody else.
    pub(super) async fn open(&self, wanted: &Wanted) -> Result<Opened> {
        let mut input = json!({
            "upstreams": [wanted.upstream],
            "listen": { "on": "port", "users": [system::user()], "networks": self.networks().await },
            "heardWithinSeconds": HEARD_WITHIN.as_secs(),
        });
        match &wanted.by {
            By::Scopes(scopes) => {
                input["scopes"] = json!(scopes);
                input["lastsSeconds"] = LASTS.as_secs().into();
            }
            By::Task(TaskRun { task_id, run_id }) => {
                input["taskId"] = task_id.as_str().into();
                input["runId"] = (*run_id).into();
            }
        }
        if let Some(Credentials { client_id, access_token, certificate }) = &wanted.credentials {
            let (token, certificate) = (access_token.expose(), certificate.as_deref());
            input["credentials"] = json!({ "clientId": client_id, "accessToken": token, "certificate": certificate });
            input["takesCredentials"] = true.into();
        }
        let opened = self.caller.call("POST", "/proxy/sessions", Some(input), CALL_TIMEOUT).await;
        let opened = opened.map_err(|error| error.reworded(|words| format!("no session at the appliance: {words}")))?;
        serde_json::from_value(opened)
            .map_err(|e| Error::unavailable("the appliance answers with no session: is it too old?").because(e))
    }

    /// Says that we live. `NotFound`: the appliance knows the session no more, and another one may be opened.
    pub(super) async fn alive(&self, session: &ProxySessionId) -> Result<()> {
        let path = format!("/proxy/sessions/{session}/alive");
        self.caller.call("POST", &path, None, ALIVE_TIMEOUT).await.map(|_| ())
    }

    /// Ends a session. One that is over already is fine.
    pub(super) async fn close(&self, session: &ProxySessionId) -> Result<()> {
        match self.caller.call("DELETE", &format!("/proxy/sessions/{session}"), None, CLOSE_TIMEOUT).await {
            Err(error) if error.kind() != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// From where a process is us whose user the appliance cannot tell: our own addresses towards it, such as that of our
    /// container. Where none can be found out, only our user of the same host is let in.
    async fn networks(&self) -> Vec<String> {
        let url = self.caller.url("/");
        let Ok(Target { host, port, .. }) = Target::of_url("GET", &url) else { return Vec::new() };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let own = sockets::own_addresses(host, port).await.unwrap_or_default();
        let mut networks: Vec<_> =
            own.into_iter().filter(|own| !own.is_loopback()).map(|own| ipnet::IpNet::from(own).to_string()).collect();
        networks.sort();
        networks.dedup();
        networks
    }
}
