//! Leases of machines: which host got temporary credentials that are not over.
//!
//! Bookkeeping beside the audit log, which has every lend: written at most once a second for a host, so `until` may be
//! a second early.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Hosts, NAMES};
use crate::base::audit::Action;
use crate::base::{ClientId, Error, HostName, Result, Timestamp};
use crate::domain::auth::{Auth, Caller};
use crate::store::{Survey, Table, WriteTx};

static LEASES: Table<Place, HostLease> = Table::plain("hosts_leases");
/// Between two writes for one host.
const NOTE_PERIOD: Duration = Duration::from_secs(1);
/// Leases forgotten in one transaction.
const FORGOTTEN_MAX: usize = 5000;

/// A host at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place(HostName, IpAddr);

/// Temporary credentials of a host: all that it has which are not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLease {
    /// The client id of the credentials.
    pub client_id: ClientId,
    /// When the first of those that follow one another without a gap were lent.
    pub since: Timestamp,
    /// When the last ones were lent.
    pub last: Timestamp,
    /// When the last ones are over.
    pub until: Timestamp,
    /// When they were revoked as far as they can be, if nothing was lent since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let place = text.split_once(' ').and_then(|(name, address)| Some((name.parse().ok()?, address.parse().ok()?)));
        place.map(|(name, address)| Self(name, address)).ok_or_else(|| Error::invalid("not a host at an address"))
    }
}

/// Notes that credentials are lent.
pub(super) fn note_lease(
    tx: &mut WriteTx<'_, '_>,
    name: &HostName,
    address: IpAddr,
    client_id: &ClientId,
    until: Timestamp,
) -> Result<()> {
    let (now, place) = (tx.now(), Place(name.clone(), address));
    let before = tx.get(&LEASES, &place)?.filter(|lease| lease.until > now && lease.revoked.is_none());
    if before.as_ref().is_some_and(|lease| lease.last <= now && now < lease.last.plus(NOTE_PERIOD)) {
        return Ok(());
    }
    let since = before.map_or(now, |lease| lease.since);
    let lease = HostLease { client_id: client_id.clone(), since, last: now, until, revoked: None };
    tx.put(&LEASES, &place, &lease)
}

impl Hosts {
    /// What hosts have that is not over, in the order of their names.
    pub fn leases(tx: &Survey<'_>, mut look: impl FnMut(HostName, IpAddr, HostLease)) -> Result<()> {
        tx.each(&LEASES, |Place(name, address), lease| {
            if lease.until > tx.now() {
                look(name, address, lease);
            }
        })
    }

    /// The addresses where a host was last seen, one of each family.
    pub fn addresses_of(&self, name: &HostName) -> Result<Vec<IpAddr>> {
        let places = self.store.read(|tx| tx.get(&NAMES, name))?.unwrap_or_default();
        Ok(places.v4.map(IpAddr::from).into_iter().chain(places.v6.map(IpAddr::from)).collect())
    }

    /// Takes back what a host has, as far as that is possible: our own verification refuses it from now on. The answer
    /// says what else an operator has to do.
    pub async fn revoke(&self, name: &HostName, auth: &Auth, caller: &Caller) -> Result<String> {
        let host = name.clone();
        let survey = self.store.survey(move |tx| {
            let mut held = Vec::new();
            Self::leases(tx, |name, address, lease| {
                if name == host {
                    held.push((Place(name, address), lease));
                }
            })?;
            Ok(held)
        });
        let held = survey.await?;
        let lending = self.config.lending.as_ref().map_err(|missing| super::not_configured(missing))?;
        let issuer = lending.issuer.clone();
        let until = held.iter().map(|(_, lease)| lease.until).max().unwrap_or(self.clock.now());
        let client_id = lending.identity(name)?.0;
        let moment = auth.revoke_issued(caller, issuer.clone(), client_id).await?;
        let note = caller.note(Action::HostRevoke, name).with("issuer", issuer.as_str());
        let note = note.with("is_refused", !auth.is_remote());
        self.store
            .write(move |tx| {
                for (place, _) in held {
                    let Some(present) = tx.get(&LEASES, &place)?.filter(|present| present.last <= moment) else {
                        continue;
                    };
                    tx.put(&LEASES, &place, &HostLease { revoked: Some(moment), ..present })?;
                }
                tx.audit(note);
                Ok(())
            })
            .await?;
        Ok(if auth.is_remote() {
            format!(
                "the deployment's auth service judges these credentials and accepts them until {until}: to end them \
                 now, reset the access token of `{issuer}` there and put the new one into TASKCLUSTER_ACCESS_TOKEN"
            )
        } else {
            format!(
                "this appliance refuses them from now on; another service that believes `{issuer}` accepts them until \
                 {until}, unless its access token is reset there"
            )
        })
    }

    /// Forgets leases that are over.
    pub(super) async fn forget_leases(&self) -> Result<()> {
        let survey = self.store.survey(|tx| {
            let mut over = Vec::new();
            tx.each(&LEASES, |place, lease| {
                if lease.until <= tx.now() && over.len() < FORGOTTEN_MAX {
                    over.push(place);
                }
            })?;
            Ok(over)
        });
        let over = survey.await?;
        if over.is_empty() {
            return Ok(());
        }
        self.store
            .write(move |tx| {
                for place in &over {
                    if tx.get(&LEASES, place)?.is_some_and(|lease| lease.until <= tx.now()) {
                        tx.delete(&LEASES, place);
                    }
                }
                Ok(())
            })
            .await
    }
}
