//! Where lines of the log go, other than to standard output. A line that cannot be written is lost and counted: the
//! log never stops what it tells about.

mod file;
mod syslog;
mod tail;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use file::LogFile;
pub use syslog::{Facility, Sender, Severity, Syslog, SyslogSettings, Target};
pub use tail::Tail;

/// Lines that were lost since somebody was told.
#[derive(Debug, Default)]
pub struct Losses {
    lines: AtomicU64,
    /// Whether lines are still being lost; the one that tells would be lost as well.
    goes_on: AtomicBool,
}

impl Losses {
    /// How many lines were lost, once lines can be written again. Whoever asks tells: the count begins anew.
    pub fn take(&self) -> u64 {
        if self.goes_on.load(Ordering::Relaxed) { 0 } else { self.lines.swap(0, Ordering::Relaxed) }
    }

    fn add(&self) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.goes_on.store(true, Ordering::Relaxed);
    }

    fn end(&self) {
        self.goes_on.store(false, Ordering::Relaxed);
    }
}
