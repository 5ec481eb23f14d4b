//! What handlers work with: the domain, and the few settings that are about HTTP.

use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::{BodyBudget, Reply};
use super::metrics::Meters;
use super::peer::{Peer, TrustProxy};
use super::per_address::{AddressPermit, PerAddress};
use crate::base::Secret;
use crate::domain::Domain;

/// The value in force of one setting, for people. Secrets are masked.
#[derive(Clone, Debug)]
pub struct SettingView {
    pub name: &'static str,
    /// The value as it was written.
    pub value: Option<String>,
    pub source: String,
    pub help: &'static str,
}

/// Everything behind the routes. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<State>);

/// What an [`App`] is made of: the domain, and what is about HTTP.
pub struct State {
    /// The appliance without its faces.
    pub domain: Domain,
    pub settings: Vec<SettingView>,
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
    /// How many requests may be in hand.
    pub admission: Admission,
    /// For all of a request's body to arrive.
    pub body_timeout: Duration,
    /// For the bodies of all requests at once.
    pub body_budget: BodyBudget,
    /// Work that outlives the request that asked for it, and whatever else the stop awaits.
    pub tasks: TaskTracker,
    /// Cancelled when the appliance stops: answers that go on by themselves end then.
    pub stop: CancellationToken,
    /// Places of the streams that keep pages fresh.
    pub streams: Arc<Semaphore>,
    /// The first page of the public list of namespaces in its wire form, as of one version of the table: everybody asks
    /// for this one.
    pub first_page: Mutex<Option<(u64, Reply)>>,
}

/// How many requests may be in hand: of each address, and of all.
pub struct Admission {
    all: Arc<Semaphore>,
    per_address: PerAddress,
}

/// Lets one request in, until it is dropped.
pub struct RequestPermit {
    _permit: OwnedSemaphorePermit,
    _address_permit: Option<AddressPermit>,
}

impl Admission {
    /// So many of all, and so many of each address.
    pub fn new(max: usize, each_max: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(max)), per_address: PerAddress::new(each_max) }
    }

    /// Lets a request of this peer in; `None` when too many are in hand.
    pub fn admit(&self, peer: &Peer) -> Option<RequestPermit> {
        let _permit = self.all.clone().try_acquire_owned().ok()?;
        let _address_permit = if peer.is_on_host { None } else { Some(self.per_address.acquire(peer.address)?) };
        Some(RequestPermit { _permit, _address_permit })
    }
}

impl App {
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
