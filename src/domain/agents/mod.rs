//! The agents of a fleet (mig.md): who they are by their heartbeats, who of them is let in, and an account for each.
//!
//! Heartbeats are read beside the scheduler, and judged as it judges them. What they say is believed of nobody but their
//! sender, who over AMQP is whoever may publish. What is proven comes from elsewhere: an enrolled agent has the account of its
//! own host, which DNS or a token has proven, and over HTTP the address of a heartbeat is.

mod account;
mod enrol;
mod gone;
mod heard;
mod heartbeats;
mod keep;
mod leases;
mod list_file;
mod locations;
mod look;
mod meters;
mod over_http;
mod pending;
mod reading;
mod record;
mod revoke;
mod rules;
mod tokens;
mod trouble;
mod view;

use std::sync::Arc;

use crate::base::{Clock, Error, Result};
use crate::domain::accounts::Accounts;
use crate::domain::hosts::Hosts;
use crate::domain::relay::Relay;
use crate::ports::broker::{Bus, Handle, Subscriptions};
use crate::proto::relay_profile;
use crate::store::Store;
use meters::Meters;

pub use account::QUEUE_PREFIX;
pub use enrol::{Enrolment, Wanted};
pub use gone::{GoneAgent, Proposal};
pub use keep::Kept;
pub use leases::AgentLease;
pub use list_file::ListFile;
pub use look::Looks;
pub use meters::{Fate, Reading};
pub use pending::{Decision, Looked, PendingAgent};
pub use reading::{QUEUE, subscription};
pub use record::{About, Event, EventKind, QueueFate, Tag};
pub use rules::{AgentRule, AgentRuled};
pub use tokens::{LASTS, LASTS_MAX, NewToken};
pub use trouble::{AgentFigures, FleetTrouble};
pub use view::{AgentLine, AgentView, EnrolmentView, Standing, newest_first};

/// The name of the loop, in the audit log and on the console.
const LOOP: &str = "agents";

/// Keeps agents. Cheap to clone.
#[derive(Clone)]
pub struct Agents {
    store: Store,
    clock: Clock,
    accounts: Accounts,
    hosts: Hosts,
    relay: Relay,
    bus: Handle<dyn Bus>,
    subscriptions: Handle<dyn Subscriptions>,
    meters: Arc<Meters>,
}

impl Agents {
    /// Keeps nothing while the profile of the relay declares no agents.
    pub fn new(
        (store, accounts): (Store, Accounts),
        hosts: Hosts,
        relay: Relay,
        (bus, subscriptions): (Handle<dyn Bus>, Handle<dyn Subscriptions>),
    ) -> Self {
        Self { clock: store.clock(), store, accounts, hosts, relay, bus, subscriptions, meters: Arc::default() }
    }

    /// What is declared of agents.
    ///
    /// # Errors
    /// `NotFound` when nothing is.
    pub fn agents(&self) -> Result<Arc<relay_profile::Agents>> {
        let declared = self.relay.declared()?;
        let none = || Error::not_found("the profile of the relay declares no agents: see its section [agents]");
        declared.profile.agents().cloned().map(Arc::new).ok_or_else(none)
    }
}
