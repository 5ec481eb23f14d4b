//! What handlers work with: the domain, and the few settings that are about HTTP.

use std::ops::Deref;
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
use crate::base::Secret;
use crate::domain::Domain;

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
pub struct App(Arc<State>);

/// What an [`App`] is made of: the domain, and what is about HTTP.
pub struct State {
    /// The appliance without its faces.
    pub domain: Domain,
    /// The settings, for people.
    pub settings: Vec<ShownSetting>,
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
    pub fn new(state: State) -> Self {
        Self(Arc::new(state))
    }
}

impl Deref for App {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl Deref for State {
    type Target = Domain;

    fn deref(&self) -> &Domain {
        &self.domain
    }
}
