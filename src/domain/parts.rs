//! All parts of the appliance that work when they are asked, in one list: who needs many of them takes this.

use super::accounts::{Accounts, Administrator};
use super::agents::Agents;
use super::archives::Archives;
use super::audit::Audit;
use super::auth::Auth;
use super::backups::Backups;
use super::connections::Connections;
use super::exchanges::Exchanges;
use super::hosts::Hosts;
use super::keys::SealingKey;
use super::leases::Leases;
use super::monitor::Monitor;
use super::namespaces::Namespaces;
use super::notices::Notices;
use super::operators::{OidcSignIn, Operators};
use super::proxy::Proxy;
use super::queues::Queues;
use super::relay::Relay;
use super::services::Services;
use super::wraps::Wraps;
use crate::base::Clock;
use crate::store::Store;

/// Each is a handle with no state of its own beside what its clones share. `app::build` makes this list, once.
pub struct Parts {
    pub store: Store,
    pub clock: Clock,
    pub auth: Auth,
    pub accounts: Accounts,
    pub administrator: Administrator,
    pub namespaces: Namespaces,
    pub hosts: Hosts,
    pub monitor: Monitor,
    pub connections: Connections,
    pub exchanges: Exchanges,
    pub queues: Queues,
    pub relay: Relay,
    pub agents: Agents,
    pub proxy: Proxy,
    pub services: Services,
    pub notices: Notices,
    pub leases: Leases,
    pub wraps: Wraps,
    pub audit: Audit,
    pub archives: Archives,
    pub backups: Backups,
    pub keys: SealingKey,
    pub operators: Operators,
    /// `None` while no issuer is configured.
    pub oidc: Option<OidcSignIn>,
}
