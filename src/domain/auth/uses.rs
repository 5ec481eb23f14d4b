//! When and from where each client of the own store was last believed. Written once a minute for a client and an
//! address, so that a request in between costs a look into memory: it neither commits nor waits for a lock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Auth;
use crate::base::{ClientId, Result, Timestamp};
use crate::store::{ReadTx, Survey, Table, WriteTx};

/// Between two writes of one client from one address: people ask about days.
const WRITE_PERIOD: Duration = Duration::from_secs(60);
/// Clients and addresses in memory. Beyond it they begin anew, with one write each.
const NOTED_MAX: usize = 20_000;
/// Addresses of one client that are remembered, the last ones.
const USES_MAX: usize = 16;

const USES: Table<ClientId, Vec<Use>> = Table::plain("clients_seen");

/// That a client was believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    pub from: IpAddr,
    /// When last, less up to a minute.
    pub last: Timestamp,
}

/// What was written lately: by the steady clock, in milliseconds.
#[derive(Default)]
pub(super) struct Uses(RwLock<HashMap<(ClientId, IpAddr), AtomicU64>>);

impl Uses {
    /// Whether this use should be written, which is then taken for done.
    fn is_due(&self, key: (ClientId, IpAddr), elapsed: Duration) -> bool {
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let next = |written: u64| written.saturating_add(WRITE_PERIOD.as_secs() * 1000);
        if let Some(written) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            let before = written.load(Ordering::Relaxed);
            // Of many at once only one writes.
            return now >= next(before)
                && written.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= NOTED_MAX {
            all.clear();
        }
        all.insert(key, AtomicU64::new(now)).is_none()
    }
}

impl Auth {
    /// Notes that a client was believed. A store that does not take it keeps nobody out: this is for operators.
    pub(super) async fn note_use(&self, id: ClientId, from: IpAddr) {
        if !self.uses.is_due((id.clone(), from), self.store.clock().elapsed()) {
            return;
        }
        let noted = self.store.write(move |tx| {
            let mut uses = tx.get(&USES, &id)?.unwrap_or_default();
            uses.retain(|other| other.from != from);
            uses.truncate(USES_MAX - 1);
            uses.insert(0, Use { from, last: tx.now() });
            tx.put(&USES, &id, &uses)
        });
        if let Err(error) = noted.await {
            tracing::debug!("could not note that a client was here: {}", error.chain());
        }
    }
}

/// From where a client came, the latest first.
pub(super) fn of(tx: &ReadTx<'_>, id: &ClientId) -> Result<Vec<Use>> {
    Ok(tx.get(&USES, id)?.unwrap_or_default())
}

/// The same of all clients.
pub(super) fn all(tx: &Survey<'_>) -> Result<HashMap<ClientId, Vec<Use>>> {
    let mut all = HashMap::new();
    tx.each(&USES, |id, uses| {
        all.insert(id, uses);
    })?;
    Ok(all)
}

/// Forgets a client that is gone: a new one of its name was never here.
pub(super) fn forget(tx: &mut WriteTx<'_, '_>, id: &ClientId) {
    tx.delete(&USES, id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_uses_one_a_minute_is_written() {
        let uses = Uses::default();
        let key = || (ClientId::parse("builds").unwrap(), "192.0.2.7".parse().unwrap());
        let due = |seconds| (0..1000).filter(|_| uses.is_due(key(), Duration::from_secs(seconds))).count();
        assert_eq!([due(0), due(59), due(60), due(61)], [1, 0, 1, 0]);
        let elsewhere = (ClientId::parse("builds").unwrap(), "192.0.2.8".parse().unwrap());
        assert!(uses.is_due(elsewhere, Duration::from_secs(61)), "another address is news");
    }
}
