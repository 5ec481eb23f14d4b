//! Leases: everything that is lent now, whoever lends it, and taking it back.
//!
//! A lease is one credential that somebody holds: a password of a namespace, the temporary credentials of a host, the
//! access token of an API client, a hand-over link that was not opened, a password of an account of the relay or of an agent,
//! a session of the task proxy.

mod filter;
mod revoke;

use std::net::IpAddr;

pub use filter::{Filter, Place};
pub use revoke::{Planned, Revocation, Revoked};

use crate::base::{AccountName, ClientId, HostName, NamespaceName, ProxySessionId, Result, Timestamp};
use crate::domain::agents::{AgentLease, Agents};
use crate::domain::auth::{Auth, ClientView};
use crate::domain::hosts::{HostLease, Hosts};
use crate::domain::namespaces::{AccountCounts, Connected, HeldBy, NamespaceLease, Namespaces};
use crate::domain::proxy::{Proxy, SessionLease};
use crate::domain::relay::{AccountLease, Relay};
use crate::domain::wraps::{WrapId, WrapView as Wrap, Wraps};
use crate::store::{Store, Survey};

/// What kind of thing is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeaseKind {
    /// A password of a namespace.
    Namespace,
    /// Temporary credentials of a host.
    Host,
    /// An access token of a client of the own store.
    Client,
    Wrap,
    /// A password of an account of the relay.
    Relay,
    /// A password of an agent's account.
    Agent,
    /// A session of the task proxy.
    Proxy,
}

impl LeaseKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Host => "host",
            Self::Client => "client",
            Self::Wrap => "wrap",
            Self::Relay => "relay",
            Self::Agent => "agent",
            Self::Proxy => "proxy",
        }
    }

    /// The kind that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Namespace, Self::Host, Self::Client, Self::Wrap, Self::Relay, Self::Agent, Self::Proxy];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What is taken back as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Both users of a namespace.
    Namespace(NamespaceName),
    /// All that a host has.
    Host(HostName),
    Client(ClientId),
    Wrap(WrapId),
    /// All users of an account of the relay.
    Relay(AccountName),
    /// The account of this host's agent.
    Agent(HostName),
    /// A session of the task proxy.
    Proxy(ProxySessionId),
}

impl Target {
    pub fn kind(&self) -> LeaseKind {
        match self {
            Self::Namespace(_) => LeaseKind::Namespace,
            Self::Host(_) => LeaseKind::Host,
            Self::Client(_) => LeaseKind::Client,
            Self::Wrap(_) => LeaseKind::Wrap,
            Self::Relay(_) => LeaseKind::Relay,
            Self::Agent(_) => LeaseKind::Agent,
            Self::Proxy(_) => LeaseKind::Proxy,
        }
    }

    pub fn name(&self) -> String {
        match self {
            Self::Namespace(name) => name.to_string(),
            Self::Host(name) => name.to_string(),
            Self::Client(id) => id.to_string(),
            Self::Wrap(id) => id.to_string(),
            Self::Relay(name) => name.to_string(),
            Self::Agent(host) => host.to_string(),
            Self::Proxy(id) => id.to_string(),
        }
    }
}

/// One credential that somebody holds.
#[derive(Clone, Debug)]
pub struct Lease {
    /// What would be taken back.
    pub target: Target,
    /// Which one of it: the broker user of a password, the namespace of a link.
    pub part: Option<String>,
    /// Who was lent it, as the audit log names them; unknown for what an earlier version lent.
    pub holder: Option<String>,
    /// Where they asked from; nowhere for users of this host.
    pub from: Option<IpAddr>,
    /// When it was lent first.
    pub since: Timestamp,
    /// When it was lent last.
    pub last: Timestamp,
    /// Until when it was promised, or is accepted.
    pub until: Timestamp,
    /// When it was last seen in use, where that can be known.
    pub last_used: Option<Timestamp>,
    /// From where it was used, as far as it is known.
    pub used_from: Vec<(IpAddr, Timestamp)>,
}

/// All that is lent. Cheap to clone.
#[derive(Clone)]
pub struct Leases {
    pub store: Store,
    pub auth: Auth,
    pub hosts: Hosts,
    pub namespaces: Namespaces,
    pub wraps: Wraps,
    pub relay: Relay,
    pub agents: Agents,
    pub proxy: Proxy,
}

impl Leases {
    /// The leases that fit, by kind and name. As many as there are: the tables that they come from are bounded.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Lease>> {
        self.look(filter, |leases| leases).await
    }

    /// What is to be known of the leases that fit.
    async fn look<T: Send + 'static>(
        &self,
        filter: &Filter,
        of: impl FnOnce(Vec<Lease>) -> T + Send + 'static,
    ) -> Result<T> {
        let (this, filter, counts) = (self.clone(), filter.clone(), self.namespaces.counts().await?);
        self.store.survey(move |tx| Ok(of(this.fitting(tx, &filter, &counts)?))).await
    }

    fn fitting(&self, tx: &Survey<'_>, filter: &Filter, counts: &AccountCounts) -> Result<Vec<Lease>> {
        let filter = &filter.ready(&self.hosts, tx.now())?;
        let mut leases = Vec::new();
        let mut look = |lease: Lease| {
            if filter.fits(&lease) {
                leases.push(lease);
            }
        };
        if filter.is_about(LeaseKind::Namespace) {
            self.namespaces.leases(tx, counts, |lease| of_namespace(lease).into_iter().for_each(&mut look))?;
        }
        if filter.is_about(LeaseKind::Host) {
            Hosts::leases(tx, |name, address, lease| {
                // What our own verification refuses is over for us. An authority elsewhere does not know.
                if lease.revoked.is_none() || self.auth.is_remote() {
                    look(of_host(name, address, lease));
                }
            })?;
        }
        if filter.is_about(LeaseKind::Client) {
            let clients = Auth::all_clients(tx)?.into_iter();
            clients.filter(|client| !client.disabled && client.expires >= tx.now()).map(of_client).for_each(&mut look);
        }
        if filter.is_about(LeaseKind::Wrap) {
            Wraps::open_ones(tx)?.into_iter().map(of_wrap).for_each(&mut look);
        }
        if filter.is_about(LeaseKind::Relay) {
            self.relay.leases(tx, counts, |lease| look(of_account(lease)))?;
        }
        if filter.is_about(LeaseKind::Agent) {
            Agents::leases(tx, counts, |lease| look(of_agent(lease)))?;
        }
        if filter.is_about(LeaseKind::Proxy) {
            self.proxy.leases().into_iter().map(of_session).for_each(&mut look);
        }
        Ok(leases)
    }
}

fn of_namespace(lease: NamespaceLease) -> Vec<Lease> {
    let NamespaceLease { namespace, account, created, until, holders, connected, .. } = lease;
    let used_from = used_from(connected.as_ref());
    let lease = Lease {
        target: Target::Namespace(namespace),
        part: Some(account.to_string()),
        holder: None,
        from: None,
        since: created,
        last: created,
        until,
        last_used: connected.map(|connected| connected.last),
        used_from,
    };
    // One that an earlier version lent has a holder whom only the audit log knows.
    let Some(mut holders) = holders else { return vec![lease] };
    let of = |held: HeldBy, lease: Lease| Lease {
        holder: Some(held.holder),
        from: held.from,
        since: held.since,
        last: held.last,
        ..lease
    };
    // Most have one: it need not be copied.
    let Some(last) = holders.pop() else { return Vec::new() };
    let mut leases: Vec<Lease> = holders.into_iter().map(|held| of(held, lease.clone())).collect();
    leases.push(of(last, lease));
    leases
}

fn of_account(lease: AccountLease) -> Lease {
    let AccountLease { account, user, until, held, connected } = lease;
    of_user(Target::Relay(account), &user, until, held, connected)
}

fn of_agent(lease: AgentLease) -> Lease {
    let AgentLease { host, account, until, held, connected } = lease;
    of_user(Target::Agent(host), &account, until, held, connected)
}

fn of_session(SessionLease { id, session }: SessionLease) -> Lease {
    Lease {
        target: Target::Proxy(id),
        part: session.task.map(|task| task.task_id),
        holder: Some(session.opener),
        from: None,
        since: session.opened,
        last: session.opened,
        until: session.ends,
        last_used: None,
        used_from: Vec::new(),
    }
}

/// Of a broker user that somebody has, apart from namespaces.
fn of_user(target: Target, user: &AccountName, until: Timestamp, held: HeldBy, connected: Option<Connected>) -> Lease {
    let HeldBy { holder, from, since, last, .. } = held;
    Lease {
        target,
        part: Some(user.to_string()),
        holder: Some(holder),
        from,
        since,
        last,
        until,
        used_from: used_from(connected.as_ref()),
        last_used: connected.map(|connected| connected.last),
    }
}

/// From where a broker user was last seen connected.
fn used_from(connected: Option<&Connected>) -> Vec<(IpAddr, Timestamp)> {
    let from = |connected: &Connected| Some((connected.from.as_ref()?.parse().ok()?, connected.last));
    connected.and_then(from).into_iter().collect()
}

fn of_host(name: HostName, address: IpAddr, lease: HostLease) -> Lease {
    Lease {
        holder: Some(format!("host {name}")),
        target: Target::Host(name),
        part: Some(lease.client_id.to_string()),
        from: Some(address),
        since: lease.since,
        last: lease.last,
        until: lease.until,
        // Whoever takes them does not tell us; a machine that fetches new ones uses them.
        last_used: Some(lease.last),
        used_from: Vec::new(),
    }
}

fn of_client(client: ClientView) -> Lease {
    let ClientView { client_id, created, expires, lent, uses, .. } = client;
    let at = lent.as_ref().map_or(created, |lent| lent.at);
    Lease {
        target: Target::Client(client_id),
        part: None,
        from: lent.as_ref().and_then(|lent| lent.from),
        holder: lent.map(|lent| lent.by),
        since: at,
        last: at,
        until: expires,
        last_used: uses.first().map(|each| each.last),
        used_from: uses.into_iter().map(|each| (each.from, each.last)).collect(),
    }
}

fn of_wrap(wrap: Wrap) -> Lease {
    Lease {
        target: Target::Wrap(wrap.id),
        part: Some(wrap.handed.to_string()),
        holder: Some(wrap.by),
        from: wrap.from,
        since: wrap.made,
        last: wrap.made,
        until: wrap.until,
        last_used: None,
        used_from: Vec::new(),
    }
}
