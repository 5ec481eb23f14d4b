//! The task proxy without an appliance: one process for one task, without a store. It holds what it was given, answers on
//! its port, and writes down each call as a line of its log.

mod lines;

pub use lines::{Log, Style};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::Request;
use jiff::tz::TimeZone;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::{Clock, Error, Result, Scope, Secret, text};
use crate::domain::proxy::{Base, Key, Minted, Recorder, Signer, Token, permission_set, presets};
use crate::ports::upstream::{Client, Networks, Outgoing, Pins, Way};
use crate::proto::proxy::delegation::Delegation;
use crate::proto::proxy::go;
use crate::web::proxy::{Entrance, Opened, Peers, Plane, Taskcluster, serve};

/// What a session is called that has no name.
const ALONE: &str = "alone";
/// Bytes of the definition of a task. The queue takes 48 MiB of payload at the very most, and nobody writes that.
const TASK_LEN_MAX: usize = 4 << 20;
/// Pauses between the tries to read a task: a minute in all, since a worker waits 90 seconds for the port.
const TASK_PAUSES_S: [u64; 6] = [1, 2, 4, 8, 15, 30];

/// What is needed for any of them.
pub struct Alone {
    /// What time it is.
    pub clock: Clock,
    /// The place whose time the log tells.
    pub zone: TimeZone,
    /// The addresses to listen on.
    pub addresses: Vec<SocketAddr>,
    /// Who may ask.
    pub peers: Peers,
    /// The log.
    pub log: Log,
    /// The way to upstreams.
    pub client: Client,
    recorder: Recorder,
}

/// The task, as far as it matters here.
#[derive(Deserialize)]
struct Task {
    #[serde(default)]
    scopes: Vec<Scope>,
}

impl Alone {
    /// With a log of its own. Places that whoever starts the program names may be in networks of organizations; `pins` says
    /// where names are that DNS is not asked for.
    pub fn new(clock: Clock, style: Style, pins: Pins) -> Self {
        let zone = TimeZone::system();
        let (recorder, calls) = Recorder::lines();
        let log = Log::start(clock.clone(), zone.clone(), style, calls);
        let client = Client::new(Way { networks: Networks::of_organizations(), pins, ..Way::default() });
        Self { clock, zone, addresses: Vec::new(), peers: Peers::default(), log, client, recorder }
    }

    /// The scopes of a task, as the queue tells everybody. A queue that is unwell is asked again for a minute.
    pub async fn scopes_of(&self, queue: &str, task_id: &str) -> Result<Vec<Scope>> {
        let url = format!("{queue}/v1/task/{}", text::url_encoded(task_id));
        let mut outcome = self.task(&url).await;
        for pause in TASK_PAUSES_S {
            match outcome {
                Ok(Some(task)) => return Ok(task.scopes),
                Ok(None) => self.log.say(&format!("{url}: the queue is unwell; it is asked again in {pause} s")),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_secs(pause)).await;
            outcome = self.task(&url).await;
        }
        outcome?.map(|task| task.scopes).ok_or_else(|| Error::unavailable("the queue is unwell for more than a minute"))
    }

    /// The task; nothing when another try may find it.
    async fn task(&self, url: &str) -> Result<Option<Task>> {
        let request = Request::get(url).body(Outgoing::None);
        let request = request.map_err(|e| Error::invalid("no URL of a task").because(e))?;
        let Ok(response) = self.client.send(request).await else { return Ok(None) };
        let status = response.status();
        if status.is_server_error() {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(Error::not_found(format!("the queue answered {}", status.as_u16())));
        }
        let Ok(body) = Limited::new(response.into_body(), TASK_LEN_MAX).collect().await else { return Ok(None) };
        let task = serde_json::from_slice(&body.to_bytes());
        task.map(Some).map_err(|e| Error::invalid("the queue answered no task").because(e))
    }

    /// Answers like taskcluster-proxy, for ever.
    pub async fn taskcluster(self, base: Base, delegation: Delegation) -> Result<()> {
        let face = Taskcluster::new(base, true, &delegation);
        let permissions = hash(delegation.authorized.as_deref().unwrap_or_default());
        let key = Key::Hawk(Signer::new(delegation));
        let opened = Opened { upstream: presets::taskcluster(), key, permissions, client: self.client.clone() };
        self.serve(opened, Some(face)).await
    }

    /// Answers like relengapi-proxy, for ever.
    pub async fn relengapi(self, issuing: Secret, permissions: Vec<String>) -> Result<()> {
        let hashed = hash(&permissions);
        let mint = presets::relengapi_mint(issuing, permissions, self.zone.clone())?;
        let (log, zone) = (self.log.clone(), self.zone.clone());
        let on_mint = Arc::new(move |minted: Result<&Token, &Error>| match minted {
            Ok(token) => {
                let ends = go::rfc3339_nano(token.ends, &zone);
                log.say(&format!("Generating new temporary token; expires at {ends}"));
            }
            Err(error) => log.say(&format!("No temporary token: {}", error.chain())),
        });
        let key = Key::Minted(Minted::new(mint, self.client.clone(), self.clock.clone(), on_mint));
        let opened = Opened { upstream: presets::relengapi()?, key, permissions: hashed, client: self.client.clone() };
        self.serve(opened, None).await
    }

    async fn serve(self, opened: Opened, taskcluster: Option<Taskcluster>) -> Result<()> {
        let Self { clock, addresses, peers, log, recorder, .. } = self;
        let plane = Plane { session: ALONE.into(), clock, opened: vec![opened], taskcluster, recorder };
        let (plane, listening) = (Arc::new(plane), TaskTracker::new());
        for address in addresses {
            let listener = listen(address).await?;
            log.serving(address);
            let entrance = Entrance::Port(listener);
            listening.spawn(serve(entrance, peers.clone(), plane.clone(), CancellationToken::new()));
        }
        listening.close();
        listening.wait().await;
        Ok(())
    }
}

/// Listens on an address; on all of them where it names none, in both families where the host has both.
async fn listen(address: SocketAddr) -> Result<TcpListener> {
    if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        && let Ok(listener) = TcpListener::bind((Ipv6Addr::UNSPECIFIED, address.port())).await
    {
        return Ok(listener);
    }
    let failed = |e: std::io::Error| Error::unavailable(format!("Failed to listen on {address}: {e}"));
    TcpListener::bind(address).await.map_err(failed)
}

/// By what a set of permissions is known in records, in the order in which it was granted.
fn hash<T: ToString>(permissions: &[T]) -> Arc<str> {
    permission_set(permissions.iter().map(ToString::to_string)).into()
}
