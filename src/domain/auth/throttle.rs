//! How often one caller may ask, and how often one address may be wrong about who it is.

use std::net::IpAddr;
use std::time::Duration;

use super::{Caller, Presented};
use crate::base::audit::Actor;
use crate::base::rate::RateLimit;
use crate::base::{ClientId, Clock, Error, Kind, Result};
use crate::proto::addresses::network;

/// How much one caller may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests of one client in a minute, and of one address that shows no credentials; 0 is no limit.
    pub requests: u32,
    /// Failed authentications of one address in a minute; 0 is no limit.
    pub failures: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Client(ClientId),
    Address(IpAddr),
}

/// Counts requests and failures. Who is on this host is not counted: they have the processor anyway, and a proxy here
/// that does not say for whom it speaks would be one address for all.
pub(super) struct Throttle {
    requests: RateLimit<Counted>,
    failures: RateLimit<IpAddr>,
    clock: Clock,
}

impl Throttle {
    pub fn new(limits: Limits, clock: Clock) -> Self {
        let Limits { requests, failures } = limits;
        Self { requests: RateLimit::new(requests), failures: RateLimit::new(failures), clock }
    }

    /// Refuses to look at the credentials of an address that was wrong too often.
    pub fn check_failures(&self, presented: &Presented<'_>) -> Result<()> {
        if presented.is_on_host {
            return Ok(());
        }
        let checked = self.failures.check(&network(presented.address), self.clock.elapsed());
        checked.map_err(|after| limited("this address showed wrong credentials too often: wait", after))
    }

    /// Counts what became of credentials.
    pub fn count(&self, presented: &Presented<'_>, outcome: Result<Caller>) -> Result<Caller> {
        if presented.is_on_host {
            return outcome;
        }
        let now = self.clock.elapsed();
        match outcome {
            Ok(caller) => {
                self.admit(&caller, presented.address, now)?;
                Ok(caller)
            }
            Err(error) if error.kind() == Kind::Unauthenticated => {
                // One that is too many is not looked at the next time.
                let _ = self.failures.admit(network(presented.address), now);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Counts a request by who is known to ask, or by where it comes from.
    fn admit(&self, caller: &Caller, address: IpAddr, now: Duration) -> Result<()> {
        let counted = match caller.actor() {
            Actor::Client(id) => Counted::Client(id),
            _ => Counted::Address(network(address)),
        };
        self.requests
            .admit(counted, now)
            .map_err(|after| limited("you ask too often: wait, and keep what you have", after))
    }

    /// Counts a request that needs no credentials.
    pub fn admit_stranger(&self, address: IpAddr) -> Result<()> {
        let admitted = self.requests.admit(Counted::Address(network(address)), self.clock.elapsed());
        admitted.map_err(|after| limited("this address asks too often: wait, and keep what you have", after))
    }
}

fn limited(message: &str, after: Duration) -> Error {
    Error::limited(message, after)
}
