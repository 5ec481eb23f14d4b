//! Which host is meant to be at which location: looked up for each heartbeat, and so a table of its own.

use serde::{Deserialize, Serialize};

use super::record::{ABOUT, HEARD};
use crate::base::{HostName, Queueloc, Result};
use crate::store::{ReadTx, Table, WriteTx};

/// Written with the enrolments, whose entries cover it.
const LOCATIONS: Table<Queueloc, Location> = Table::plain("agents_locations");

/// The host that was enrolled for a location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Location {
    pub host: HostName,
    /// Whether it was cut off.
    pub is_revoked: bool,
}

/// Who was enrolled for a location.
pub(super) fn of(tx: &ReadTx<'_>, queueloc: &Queueloc) -> Result<Option<Location>> {
    tx.get(&LOCATIONS, queueloc)
}

/// Notes it.
pub(super) fn note(tx: &mut WriteTx<'_, '_>, queueloc: &Queueloc, location: &Location) -> Result<()> {
    tx.put(&LOCATIONS, queueloc, location)
}

/// Forgets it, with what was heard from there: a location that is nobody's any more counts for nothing.
pub(super) fn forget(tx: &mut WriteTx<'_, '_>, queueloc: &Queueloc) {
    tx.delete(&LOCATIONS, queueloc);
    tx.delete(&HEARD, queueloc);
    tx.delete(&ABOUT, queueloc);
}
