//! Settings of backups.

use std::path::PathBuf;
use std::time::Duration;

use super::parse;
use super::typed::Reader;

/// Where backups lie, how often one is taken, and how many are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSettings {
    /// Their directory; it need not exist yet.
    pub dir: PathBuf,
    /// How often one is taken.
    pub period: Duration,
    /// How many are kept; at least one.
    pub keep: usize,
}

pub(super) fn backup(read: &mut Reader) -> BackupSettings {
    BackupSettings {
        dir: read.required("BACKUP_DIR", parse::path),
        period: read.required("BACKUP_PERIOD", parse::period),
        keep: read.required("BACKUP_KEEP", count),
    }
}

/// Most backups that may be kept: thirty years of daily ones.
const KEEP_MAX: usize = 9999;

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=KEEP_MAX) => Ok(count),
        _ => Err(format!("expected a number from 1 to {KEEP_MAX}, not {text:?}")),
    }
}
