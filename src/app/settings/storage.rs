//! Settings of the data directory: the key that seals its secrets, its backups, and archives of queues.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::mode::by_mode;
use super::parse;
use super::reader::Reader;
use super::setting::{Optional, Setting, Values};
use crate::base::Secret;
use crate::domain::{archives, backups};
use crate::store::{ArchiveDirectory, BackupDirectory, KeySource};

pub(super) const DATA_DIR: Setting<PathBuf> = Setting::new(
    "DATA_DIR",
    "data-dir",
    "./data in development; in production /var/lib/NAME, as settings are in /etc/NAME.conf",
    parse::path,
)
// Instances of a host keep apart what their settings files do not.
.follows(|values| by_mode(values, "./data", &format!("/var/lib/{}", values.instance)))
.help("directory of the store and its key");
pub(super) const KEY_FILE: Setting<PathBuf> = Setting::new("KEY_FILE", "key-file", "<DATA_DIR>/key", parse::path)
    .follows(|values| in_data_dir(values, "key"))
    .help("file with the key that seals secrets at rest");
pub(super) const KEY_PASSPHRASE: Optional<Secret> = Optional::secret(
    ["KEY_PASSPHRASE", "KEY_PASSPHRASE_FILE"],
    ["key-passphrase", "key-passphrase-file"],
    parse::secret,
)
.help("passphrase that seals secrets at rest, instead of the key file");
pub(super) const BACKUP_DIR: Setting<PathBuf> =
    Setting::new("BACKUP_DIR", "backup-dir", "<DATA_DIR>/backups", parse::path)
        .follows(|values| in_data_dir(values, "backups"))
        .help("directory of backups; another disk is better");
pub(super) const BACKUP_PERIOD: Setting<Duration> =
    Setting::new("BACKUP_PERIOD", "backup-period", "1 day", parse::period).help("how often a backup is taken");
/// At most thirty years of daily ones.
pub(super) const BACKUP_KEEP: Setting<usize> =
    Setting::new("BACKUP_KEEP", "backup-keep", "7", |text| parse::within(text, "a number", 1..=9999))
        .help("how many backups are kept");

pub(super) const ARCHIVE_SIZE_MAX: Setting<u64> =
    Setting::new("ARCHIVE_SIZE_MAX", "archive-size-max", "10 GiB", parse::size)
        .help("room that all archives of queues may take");
pub(super) const ARCHIVE_KEEP: Setting<Duration> =
    Setting::new("ARCHIVE_KEEP", "archive-keep", "30 days", |text| match text.trim() {
        "0" => Ok(Duration::ZERO),
        _ => parse::period(text),
    })
    .help("how long archives of queues are kept; 0 is for ever");

/// Where archives of queues lie, in the data directory.
const ARCHIVES: &str = "archives";
/// Where the restore drill makes its store, in the data directory.
const DRILL: &str = "drill";

pub(super) fn key(read: &mut Reader) -> KeySource {
    let file = read.get(&KEY_FILE);
    let Some(passphrase) = read.find(&KEY_PASSPHRASE) else { return KeySource::File(file) };
    read.refuse(&KEY_FILE.info, "KEY_PASSPHRASE is set as well; set one of them");
    KeySource::Passphrase(passphrase)
}

pub(super) fn backups(read: &mut Reader, data_dir: &Path) -> backups::Config {
    backups::Config {
        directory: BackupDirectory::new(read.get(&BACKUP_DIR)),
        aside: data_dir.join(DRILL),
        period: read.get(&BACKUP_PERIOD),
        keep: read.get(&BACKUP_KEEP),
    }
}

pub(super) fn archives(read: &mut Reader, data_dir: &Path) -> archives::Config {
    archives::Config {
        directory: ArchiveDirectory::new(data_dir.join(ARCHIVES)),
        bytes_max: read.get(&ARCHIVE_SIZE_MAX),
        keep: read.get(&ARCHIVE_KEEP),
        free_min: archives::FREE_MIN,
    }
}

fn in_data_dir(values: &Values, name: &str) -> String {
    format!("{}/{name}", values.text(&DATA_DIR.info).unwrap_or_default().trim_end_matches('/'))
}
