//! Which leases: those that fit all that is given.

use std::net::IpAddr;
use std::time::Duration;

use super::{Lease, LeaseKind, Target};
use crate::base::{Error, HostName, Result, Timestamp};
use crate::domain::hosts::Hosts;

/// What is written once a minute may be that much older than what it is about.
const COARSE: Duration = Duration::from_secs(60);

/// Which leases to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this kind.
    pub kind: Option<LeaseKind>,
    /// Only what has this name, or is this part of it.
    pub name: Option<String>,
    /// Only what has a name that begins so.
    pub prefix: Option<String>,
    /// Only what they hold: as the audit log names them (`client builds`), or the name alone.
    pub holder: Option<String>,
    /// Only what was lent to, or used from, this machine.
    pub host: Option<Place>,
    /// Only what was lent or used since then.
    pub since: Option<Timestamp>,
    /// Only what was lent that long ago, and was not used within.
    pub unused: Option<Duration>,
}

/// A machine, by address or by DNS name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address; an IPv4-mapped one is an IPv4 address here.
    Address(IpAddr),
    /// A name, and with it the addresses that it last asked for credentials from.
    Name(HostName),
}

impl std::str::FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Address(address.to_canonical())),
            Err(_) => {
                let name = HostName::of_dns(text);
                Ok(Self::Name(name.map_err(|_| Error::invalid("expected an address or the DNS name of a host"))?))
            }
        }
    }
}

/// A filter with the addresses of its host, and the present moment.
pub(super) struct Ready<'f> {
    filter: &'f Filter,
    addresses: Vec<IpAddr>,
    now: Timestamp,
}

impl Filter {
    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn ready(&self, hosts: &Hosts, now: Timestamp) -> Result<Ready<'_>> {
        let addresses = match &self.host {
            None => Vec::new(),
            Some(Place::Address(address)) => vec![*address],
            Some(Place::Name(name)) => hosts.addresses_of(name)?,
        };
        Ok(Ready { filter: self, addresses, now })
    }
}

impl Ready<'_> {
    /// Whether leases of this kind need to be looked at.
    pub fn is_about(&self, kind: LeaseKind) -> bool {
        self.filter.kind.is_none_or(|wanted| wanted == kind)
    }

    pub fn fits(&self, lease: &Lease) -> bool {
        let Filter { kind: _, name, prefix, holder, host, since, unused } = self.filter;
        let own_name = lease.target.name();
        name.as_ref().is_none_or(|name| *name == own_name || lease.part.as_ref() == Some(name))
            && prefix.as_ref().is_none_or(|prefix| own_name.starts_with(prefix.as_str()))
            && holder.as_ref().is_none_or(|holder| is_held_by(lease, holder))
            && (host.is_none() || self.was_at(lease, *since))
            && (host.is_some() || since.is_none_or(|since| lease.last.plus(COARSE) >= since))
            && unused.is_none_or(|span| self.is_unused(lease, span))
    }

    /// Whether it was lent to this machine, or used from there, since then.
    fn was_at(&self, lease: &Lease, since: Option<Timestamp>) -> bool {
        let is_late = |moment: Timestamp| since.is_none_or(|since| moment.plus(COARSE) >= since);
        let is_named =
            matches!((&self.filter.host, &lease.target), (Some(Place::Name(name)), Target::Host(host)) if name == host);
        let is_here = |address: &IpAddr| self.addresses.contains(address);
        let was_lent = (is_named || lease.from.as_ref().is_some_and(is_here)) && is_late(lease.last);
        was_lent || lease.used_from.iter().any(|(address, last)| is_here(address) && is_late(*last))
    }

    fn is_unused(&self, lease: &Lease, span: Duration) -> bool {
        let limit = self.now.minus(span);
        lease.since <= limit && lease.last_used.is_none_or(|used| used <= limit)
    }
}

/// Whether somebody holds a lease. A client holds its own access token, whoever was shown it.
fn is_held_by(lease: &Lease, wanted: &str) -> bool {
    let is_named = |holder: &str| holder == wanted || holder.split_once(' ').is_some_and(|(_, name)| name == wanted);
    let is_itself = || match &lease.target {
        Target::Client(id) => id.as_str() == wanted || wanted.strip_prefix("client ") == Some(id.as_str()),
        _ => false,
    };
    lease.holder.as_deref().is_some_and(is_named) || is_itself()
}
