//! Who had what, and when: told by the audit log alone, so that it is true for any moment that the log reaches back to.
//!
//! The log is read entry by entry and folded as it comes: in memory is what was held at one moment, and what is asked
//! for. The log is read to its end, because a clock that was set back makes later entries older.

mod fold;
mod holding;
#[cfg(test)]
mod tests;

pub use fold::{Fold, Wanted};
pub use holding::{End, Holding, HoldingKind};

use crate::base::{Error, Result, Timestamp};
use crate::store::Store;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
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
    pub seq: u64,
    pub time: Timestamp,
}

/// Folds the whole log, as it is at one moment: what is pruned meanwhile is still read. How long that takes grows with
/// the log.
pub async fn of(store: &Store, wanted: Wanted) -> Result<History> {
    let survey = store.survey(|tx| {
        let mut reader = Reader::new(wanted);
        tx.each_entry(|seq, bytes| reader.take(seq, bytes))?;
        Ok(reader.finish())
    });
    survey.await
}

/// What takes up one entry after the other.
struct Reader {
    fold: Fold,
    begins: Option<Begins>,
    is_first: bool,
    unreadable: u64,
}

impl Reader {
    fn new(wanted: Wanted) -> Self {
        Self { fold: Fold::new(wanted), begins: None, is_first: true, unreadable: 0 }
    }

    fn take(&mut self, seq: u64, bytes: &[u8]) -> Result<()> {
        if std::mem::take(&mut self.is_first) && seq > 1 {
            self.begins = Some(Begins { seq, time: Timestamp::MIN });
        }
        // The first one may be one that cannot be read.
        if let Some(begins) = self.begins.as_mut().filter(|begins| begins.time == Timestamp::MIN) {
            begins.time = fold::time_of(bytes).unwrap_or(Timestamp::MIN);
        }
        self.unreadable += u64::from(!self.fold.read(bytes));
        if self.fold.is_too_much() {
            Err(Error::invalid("too many hold something to tell of all: say of which object or holder"))
        } else {
            Ok(())
        }
    }

    fn finish(self) -> History {
        let (holdings, more) = self.fold.finish();
        History { holdings, more, begins: self.begins, unreadable: self.unreadable }
    }
}
