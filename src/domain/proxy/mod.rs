//! The task proxy: what code in a task may reach, and by which right, without holding a credential.
//!
//! An upstream is declared (`declaration`); what scopes are worth there is a pure judgement (`grants`). A worker opens a
//! session for a task (`sessions`): each upstream of which something is granted is opened with a key (`opening`, `keys`,
//! `tokens`), and the session is asked at a listener of its own, which the web layer serves until the session's token ends
//! it. Nothing is answered that is not recorded (`calls`, `ledger`). What a session has of the broker of this appliance is
//! its own (`broker`, `lending`) or only used for it (`lender`). The loop `proxy` ends what is over (`sweep`).
//!
//! The programs that came before are the same without a store: what they need is opened once, and recorded as lines.

mod alive;
mod begin;
mod broker;
mod call;
mod calls;
mod declared;
mod grants;
mod heard;
mod keys;
mod leases;
mod ledger;
mod lender;
mod lending;
mod meters;
mod opening;
mod queue;
mod record;
mod sessions;
mod sweep;
mod tokens;
mod view;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::base::{Clock, Result};
use crate::domain::declarations::Declaration;
use crate::domain::namespaces::Namespaces;
use crate::domain::relay::Relay;
use crate::store::Store;

pub use begin::Ask;
pub use broker::{BrokerLogin, socket_name, tunnel_name};
pub use call::{Call, Settled};
pub use calls::{Line, Place, Recorder};
pub use declared::{Config, Open};
pub use grants::{Granted, judge, missing, permission_set};
pub use keys::{Authorization, Credentials, Key, Signer};
pub use leases::SessionLease;
pub use ledger::{CallRecord, Ledger, Waiting};
pub use lender::basic;
pub use meters::{Figures, Trouble};
pub use opening::{Opened, Opener, client, delegable, worth};
pub use queue::{PAUSES_S, Queue, Task};
pub use record::{Ended, Grant, Service, Session, TaskRun};
pub use sessions::Live;
pub use sweep::Swept;
pub use tokens::{Mint, Minted, OnMint, Token};
pub use view::{CALLS_MAX, View, Worth};

/// Keeps sessions. Cheap to clone.
#[derive(Clone)]
pub struct Proxy {
    store: Store,
    clock: Clock,
    relay: Relay,
    namespaces: Namespaces,
    /// That of the deployment, if there is one.
    queue: Option<Queue>,
    config: Arc<Config>,
    declaration: Arc<Declaration<Vec<Open>>>,
    ledger: Ledger,
    waiting: Arc<Mutex<Option<Waiting>>>,
    lively: Arc<sessions::Lively>,
    /// Nothing is opened any more.
    is_stopping: Arc<AtomicBool>,
    /// What a process before this one left was looked for.
    has_swept: Arc<AtomicBool>,
    /// There may be namespaces that are lent to sessions.
    has_lent: Arc<AtomicBool>,
}

impl Proxy {
    /// Has no session. Those that are stored as open are of a process that is gone: the loop ends them.
    pub fn new(
        store: Store,
        (relay, namespaces): (Relay, Namespaces),
        queue: Option<Queue>,
        config: Config,
    ) -> Result<Self> {
        let (clock, config) = (store.clock(), Arc::new(config));
        let (ledger, waiting) = Ledger::new();
        let waiting = Arc::new(Mutex::new(Some(waiting)));
        let declaration = Arc::new(declared::read(&store, &config)?);
        Ok(Self {
            store,
            clock,
            relay,
            namespaces,
            queue,
            config,
            declaration,
            ledger,
            waiting,
            lively: Arc::default(),
            is_stopping: Arc::default(),
            has_swept: Arc::default(),
            has_lent: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Records calls until `stop`, then ends every session and records what is left. Runs once, beside everything else.
    pub async fn keep(&self, stop: CancellationToken) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(waiting) = waiting else { return };
        let over = CancellationToken::new();
        let ending = async {
            stop.cancelled().await;
            self.end_all().await;
            over.cancel();
        };
        tokio::join!(waiting.keep(self.store.clone(), over.clone()), ending);
    }
}
