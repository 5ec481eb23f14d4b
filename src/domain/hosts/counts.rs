//! How often addresses ask, counted in memory and written now and then: a write for each request would be the dearest
//! part of it. A crash loses the counts of about a second, never a lend, which is in the audit log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::base::{HostName, Timestamp};

/// Between two writes of one address's counts.
const WRITE_PERIOD: Duration = Duration::from_secs(1);
/// Addresses in memory. Beyond it all are written, and begin anew.
const ADDRESSES_MAX: usize = 20_000;

/// Requests that were counted and not written yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uncounted {
    pub last: Option<Timestamp>,
    pub lent: u64,
    pub refused: u64,
}

/// What is known of addresses that asked lately.
#[derive(Default)]
pub(super) struct Counts(Mutex<HashMap<IpAddr, Lately>>);

#[derive(Default)]
struct Lately {
    uncounted: Uncounted,
    /// When its counts were last written, on the steady clock.
    written: Option<Duration>,
    /// The name under which the store knows it as verified.
    name: Option<HostName>,
}

impl Counts {
    /// Counts a request. Returns what is to be written, when it is time for that.
    pub fn count(&self, address: IpAddr, is_lent: bool, now: Timestamp, elapsed: Duration) -> Option<Uncounted> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = all.entry(address).or_default();
        lately.uncounted.last = Some(now);
        *(if is_lent { &mut lately.uncounted.lent } else { &mut lately.uncounted.refused }) += 1;
        if lately.written.is_some_and(|written| elapsed < written + WRITE_PERIOD) {
            return None;
        }
        lately.written = Some(elapsed);
        Some(std::mem::take(&mut lately.uncounted))
    }

    /// What was counted of an address and not written yet.
    pub fn uncounted(&self, address: IpAddr) -> Uncounted {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&address).map(|lately| lately.uncounted).unwrap_or_default()
    }

    /// Whether the store is known to hold this address with this name.
    pub fn is_recorded(&self, address: IpAddr, name: &HostName) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&address).is_some_and(|lately| lately.name.as_ref() == Some(name))
    }

    /// Notes what the store holds of an address after a commit.
    pub fn recorded(&self, address: IpAddr, name: Option<&HostName>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(address).or_default().name = name.cloned();
    }

    /// Whether there are so many that they should be written now.
    pub fn is_full(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() >= ADDRESSES_MAX
    }

    /// Takes everything that is not written, and forgets the rest.
    pub fn take_all(&self) -> Vec<(IpAddr, Uncounted)> {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let uncounted = all.into_iter().map(|(address, lately)| (address, lately.uncounted));
        uncounted.filter(|(_, uncounted)| *uncounted != Uncounted::default()).collect()
    }
}
