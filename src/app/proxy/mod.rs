//! The task proxy as one process for one task, without a store. Alone it holds what it was given, answers on its port, and
//! writes down each call as a line of its log. Attached to an appliance it passes everything to a session there.

mod appliance;
mod attached;
mod keeper;
mod lines;
mod passage;

pub use appliance::{Appliance, By, Wanted};
pub use lines::{Log, Style};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::{Clock, Error, Kind, Result, Scope};
use crate::domain::proxy::{OnMint, Opened, Opener, PAUSES_S, Queue, Recorder, Token};
use crate::ports::upstream::{Client, Networks, Pins, Way};
use crate::proto::proxy::declaration::Declared;
use crate::proto::proxy::delegation::Delegation;
use crate::proto::proxy::go;
use crate::web::proxy::{Entrance, Face, Peers, Plane, Taskcluster, UPGRADES_MAX, serve};

/// What a session is called that has no name.
const ALONE: &str = "alone";

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

impl Alone {
    /// With a log of its own. Places that whoever starts the program names may be in networks of organizations; `pins` says
    /// where names are that DNS is not asked for.
    pub fn new(clock: Clock, style: Style, zone: TimeZone, pins: Pins) -> Self {
        let (recorder, calls) = Recorder::lines();
        let log = Log::start(clock.clone(), zone.clone(), style, calls);
        let client = Client::new(Way { networks: Networks::of_organizations(), pins, ..Way::default() });
        Self { clock, zone, addresses: Vec::new(), peers: Peers::default(), log, client, recorder }
    }

    /// The scopes of a task, as the queue tells everybody. A queue that is unwell is asked again for a minute.
    pub async fn scopes_of(&self, queue: &str, task_id: &str) -> Result<Vec<Scope>> {
        let queue = Queue::new(self.client.clone(), queue);
        let mut outcome = queue.task(task_id).await;
        for pause in PAUSES_S {
            match outcome {
                Ok(task) => return Ok(task.scopes),
                Err(error) if error.kind() == Kind::Unavailable => {
                    self.log.say(&format!("{}; it is asked again in {pause} s", error.chain()));
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_secs(pause)).await;
            outcome = queue.task(task_id).await;
        }
        outcome.map(|task| task.scopes)
    }

    /// Answers like taskcluster-proxy, for ever.
    pub async fn taskcluster(self, declared: &Declared, delegation: Delegation) -> Result<()> {
        let face = declared.deployment.clone().map(|base| Taskcluster::new(base, true));
        let permissions: Vec<String> = delegation.authorized.iter().flatten().map(ToString::to_string).collect();
        let opened = self.opener().open(declared, permissions, self.client.clone(), None, Some(delegation))?;
        self.serve(opened, face).await
    }

    /// Answers like relengapi-proxy, for ever.
    pub async fn relengapi(self, declared: &Declared, permissions: Vec<String>) -> Result<()> {
        let opened = self.opener().open(declared, permissions, self.client.clone(), None, None)?;
        self.serve(opened, None).await
    }

    fn opener(&self) -> Opener {
        let (log, zone) = (self.log.clone(), self.zone.clone());
        let on_mint: OnMint = Arc::new(move |minted| {
            match minted {
                Ok(Token { ends, .. }) => {
                    let ends = go::rfc3339_nano(ends, &zone);
                    log.say(&format!("Generating new temporary token; expires at {ends}"));
                }
                Err(cause) => log.say(&format!("No temporary token: {cause}")),
            }
            Box::pin(std::future::ready(Ok(())))
        });
        Opener { clock: self.clock.clone(), zone: self.zone.clone(), session: ALONE.into(), on_mint }
    }

    async fn serve(self, opened: Opened, taskcluster: Option<Taskcluster>) -> Result<()> {
        let Self { clock, addresses, peers, log, recorder, .. } = self;
        let plane = Plane {
            session: ALONE.into(),
            clock,
            opened: vec![opened],
            of: None,
            upgrades: Arc::new(Semaphore::new(UPGRADES_MAX)),
            taskcluster,
            recorder,
        };
        let (plane, listening) = (Arc::new(plane), TaskTracker::new());
        for address in addresses {
            let listener = listen(address).await?;
            log.serving(address);
            let entrance = Entrance::Port(listener);
            listening.spawn(serve(entrance, peers.clone(), Face::Http(plane.clone()), CancellationToken::new()));
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
