//! What handlers work with: the domain, and the few settings that are about HTTP.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::BodyRoom;
use super::api::pulse::ListCache;
use super::crowd::{Crowd, Presence};
use super::metrics::Meters;
use super::peer::{Peer, TrustProxy};
use crate::base::{Clock, Secret};
use crate::domain::accounts::Administrator;
use crate::domain::alarms::Alarms;
use crate::domain::audit::Audit;
use crate::domain::auth::Auth;
use crate::domain::backups::Backups;
use crate::domain::guard::Guard;
use crate::domain::hosts::Hosts;
use crate::domain::keys::SealingKey;
use crate::domain::leases::Leases;
use crate::domain::loops::Loops;
use crate::domain::namespaces::Namespaces;
use crate::domain::notices::Notices;
use crate::domain::operators::{Elsewhere, Operators};
use crate::domain::vitals::Vitals;
use crate::domain::wraps::Wraps;
use crate::store::Store;

/// The value in force of one setting, for people. Secrets are masked.
#[derive(Clone, Debug)]
pub struct ShownSetting {
    /// The name.
    pub name: &'static str,
    /// The value as it was written.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: String,
    /// One line of help.
    pub help: &'static str,
}

/// Everything behind the routes. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// The doorkeeper.
    pub auth: Auth,
    /// Who we are to the broker.
    pub administrator: Administrator,
    /// The namespaces.
    pub namespaces: Namespaces,
    /// All that is lent.
    pub leases: Leases,
    /// Hand-over links.
    pub wraps: Wraps,
    /// The machines.
    pub hosts: Hosts,
    /// What keeps the broker from overflowing.
    pub guard: Guard,
    /// What people should hear.
    pub notices: Notices,
    /// What needs somebody.
    pub alarms: Alarms,
    /// What runs by itself.
    pub loops: Loops,
    /// The state of the appliance.
    pub vitals: Vitals,
    /// The store, for the audit log.
    pub store: Store,
    /// The keeper of the audit log.
    pub audit: Audit,
    /// The keeper of the backups.
    pub backups: Backups,
    /// The keeper of the sealing key.
    pub keys: SealingKey,
    /// The people who use the console.
    pub operators: Operators,
    /// Their sign-ins by an issuer, if there is one.
    pub elsewhere: Option<Elsewhere>,
    /// The settings, for people.
    pub settings: Vec<ShownSetting>,
    /// What time it is.
    pub clock: Clock,
    /// What clients are told our address is; from the request when not set.
    pub public_url: Option<url::Url>,
    /// Whether plain requests are sent to https.
    pub force_ssl: bool,
    /// What opens the metrics from elsewhere.
    pub metrics_token: Option<Secret>,
    /// What is counted of requests.
    pub meters: Meters,
    /// Which hops may speak for others.
    pub trust_proxy: TrustProxy,
    /// Room for requests.
    pub in_hand: InHand,
    /// For all of a request's body to arrive.
    pub body_timeout: Duration,
    /// For the bodies of all requests at once.
    pub body_room: BodyRoom,
    /// Work that outlives the request that asked for it, and whatever else the stop awaits.
    pub tasks: TaskTracker,
    /// Cancelled when the appliance stops: answers that go on by themselves end then.
    pub stop: CancellationToken,
    /// Places of the streams that keep pages fresh.
    pub streams: Arc<Semaphore>,
    /// The public list of namespaces in its wire form.
    pub list_cache: ListCache,
}

/// Room for requests: some for each address, and some for all.
pub struct InHand {
    all: Arc<Semaphore>,
    crowd: Crowd,
}

/// The room that one request takes.
pub struct Room {
    _permit: OwnedSemaphorePermit,
    _presence: Option<Presence>,
}

impl InHand {
    /// Room for so many, and so many of each address.
    pub fn new(max: usize, each_max: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(max)), crowd: Crowd::new(each_max) }
    }

    /// Room for a request of this peer; `None` when there is none left for it.
    pub fn room(&self, peer: &Peer) -> Option<Room> {
        let _permit = self.all.clone().try_acquire_owned().ok()?;
        let _presence = if peer.is_on_host { None } else { Some(self.crowd.enter(peer.address)?) };
        Some(Room { _permit, _presence })
    }
}

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
