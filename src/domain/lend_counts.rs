//! How much was lent in each of the last hours, counted in the transaction that lends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{Result, Timestamp};
use crate::store::{Store, Table, WriteTx};

/// Hours that are told: a day shows the rhythm of everything that comes again daily.
pub const HOURS: u64 = 24;
const HOUR_MS: u64 = 60 * 60 * 1000;
/// By the number of the hour since 1970. Rows of other hours than the last ones go when a new hour begins.
static LENT: Table<u64, Lent> = Table::plain("lent_by_hour");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LendKind {
    /// A user on the message bus, by a claim.
    Namespace,
    Host,
}

/// How much was lent in an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    pub namespaces: u64,
    pub hosts: u64,
}

/// Counts something that this transaction lends.
pub(super) fn count(tx: &mut WriteTx<'_, '_>, what: LendKind) -> Result<()> {
    let hour = hour(tx.now());
    let counted = tx.get(&LENT, &hour)?;
    if counted.is_none() {
        // Also those that a clock which ran ahead has left.
        let rows = tx.scan(&LENT, usize::try_from(HOURS * 2).unwrap_or(usize::MAX))?;
        for (known, _) in rows.into_iter().filter(|(known, _)| *known > hour || known + HOURS <= hour) {
            tx.delete(&LENT, &known);
        }
    }
    let mut lent: Lent = counted.unwrap_or_default();
    match what {
        LendKind::Namespace => lent.namespaces += 1,
        LendKind::Host => lent.hosts += 1,
    }
    tx.put(&LENT, &hour, &lent)
}

/// The last hours, each with when it began, the oldest first and the present one last.
pub fn last_hours(store: &Store, now: Timestamp) -> Result<Vec<(Timestamp, Lent)>> {
    let present = hour(now);
    let hours = (0..HOURS).rev().filter_map(|back| present.checked_sub(back));
    store.read(|tx| hours.map(|hour| Ok((begin(hour), tx.get(&LENT, &hour)?.unwrap_or_default()))).collect())
}

fn hour(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0) / HOUR_MS
}

fn begin(hour: u64) -> Timestamp {
    Timestamp::from_millis(0).plus(Duration::from_millis(hour * HOUR_MS))
}
