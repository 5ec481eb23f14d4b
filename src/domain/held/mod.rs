//! Who had what, and when: told by the audit log alone, so that it is true for any moment that the log reaches back to.
//!
//! The log is read in bounded pages and folded as it comes: in memory is what was held at one moment, and what is
//! asked for. The log is read to its end, because a clock that was set back makes later entries older.

mod fold;
#[cfg(test)]
mod tests;

pub use fold::{End, Fold, Holding, Kind, Wanted};

use crate::base::{Error, Result, Timestamp};
use crate::store::Store;

/// Entries read at once, so that memory stays flat.
const CHUNK: usize = 1000;

/// What the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What was held, by the time it began.
    pub holdings: Vec<Holding>,
    /// Whether there were more, which are left out.
    pub more: bool,
    /// Where the log begins, if not at the beginning: what was lent before and never again since is missing.
    pub begins: Option<Begins>,
    /// Entries that were of no use, because this version cannot read them.
    pub unreadable: u64,
}

/// The first entry of a log whose older ones were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begins {
    /// Its number.
    pub seq: u64,
    /// Its time.
    pub time: Timestamp,
}

/// Folds the whole log, as it is at one moment: what is pruned meanwhile is still read. How long that takes grows with
/// the log: not for a thread that answers others.
pub fn tell(store: &Store, wanted: Wanted) -> Result<Told> {
    store.read(|tx| tell_of(|from| tx.entries(from, CHUNK), wanted))
}

/// The same of a log that comes in pages, each from a number upwards; an empty one is its end.
fn tell_of(mut page: impl FnMut(u64) -> Result<Vec<(u64, Vec<u8>)>>, wanted: Wanted) -> Result<Told> {
    let (mut fold, mut begins, mut next, mut unreadable) = (Fold::new(wanted), None, 1, 0);
    loop {
        let entries = page(next)?;
        let Some((last, _)) = entries.last() else { break };
        let (first, is_first) = (entries.first().map_or(next, |(seq, _)| *seq), next == 1);
        next = last + 1;
        if is_first && first > 1 {
            let time = entries.iter().find_map(|(_, bytes)| fold::time_of(bytes));
            begins = Some(Begins { seq: first, time: time.unwrap_or(Timestamp::MIN) });
        }
        for (_, bytes) in &entries {
            unreadable += u64::from(!fold.read(bytes));
        }
        if fold.is_too_much() {
            return Err(Error::invalid("too many hold something to tell of all: say of which object or holder"));
        }
    }
    let (holdings, more) = fold.finish();
    Ok(Told { holdings, more, begins, unreadable })
}
