//! The data directory: who may read it, the room on its disk, the store and its key.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Finding, Grade};
use crate::domain::health::{Health, Places};
use crate::ports::system::{self, FileState, Room};
use crate::store::FILE_NAME;

/// Looking takes microseconds; a file system over a network that hangs must not hang the doctor.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Below this much room nothing can be relied on: a day of a busy audit log is as long.
const FREE_MIN: u64 = 100 << 20;
/// Below a tenth of the disk somebody should look, …
const FREE_SHARE_MIN: u64 = 10;
/// … unless that is plenty.
const FREE_PLENTY: u64 = 10 << 30;
/// Permission bits of others than the owner.
const OTHERS: u32 = 0o077;
/// The right to go through a directory to a name that one knows.
const ENTER: u32 = 0o011;
/// The administrator of this host, whose commands look at files that are not its own.
const ROOT: u32 = 0;

impl Health {
    pub(super) async fn file_findings(&self) -> Vec<Finding> {
        let places = self.around.places.clone();
        let looked = tokio::task::spawn_blocking(move || look(&places));
        match tokio::time::timeout(LOOK_TIMEOUT, looked).await {
            Ok(Ok(findings)) => findings,
            _ => vec![Finding::new("data directory", Grade::Problem, "its file system does not answer in time")],
        }
    }
}

fn look(places: &Places) -> Vec<Finding> {
    let cannot = |about, e: io::Error| Finding::new(about, Grade::Problem, format!("it cannot be looked at: {e}"));
    let dir = &places.data_dir;
    let entries = match system::directory(dir) {
        Ok(entries) => entries,
        Err(e) => return vec![cannot("data directory", e)],
    };
    let mut findings = vec![modes(dir, &entries, system::user())];
    let store_len = entries.iter().find(|entry| entry.name == FILE_NAME).map(|entry| entry.len);
    match system::room(dir) {
        Ok(room) => findings.extend([disk(room), copy(store_len.unwrap_or(0), room)]),
        Err(e) => findings.push(cannot("disk", e)),
    }
    findings.push(match &places.key_file {
        None => Finding::new("key", Grade::Well, "it is made of KEY_PASSPHRASE, which no file beside the store holds"),
        Some(path) => system::file(path).map_or_else(|e| cannot("key", e), |file| key(dir, path, file)),
    });
    findings
}

/// Nobody but the owner of the directory reads it or anything in it.
fn modes(dir: &Path, entries: &[FileState], user: u32) -> Finding {
    let about = "data directory";
    let owner = entries.first().map_or(user, |directory| directory.owner);
    let shown = |entry: &FileState| match entry.name.as_str() {
        "" => dir.display().to_string(),
        name => dir.join(name).display().to_string(),
    };
    if user != ROOT && user != owner {
        let text = format!("{} belongs to user {owner}, and this is user {user}: chown it", dir.display());
        return Finding::new(about, Grade::Problem, text);
    }
    // A directory in it may be one that tasks enter, to a socket whose name they know.
    let entered = |entry: &&FileState| entry.is_dir && !entry.name.is_empty();
    let bits = |entry: &&FileState| if entered(entry) { OTHERS & !ENTER } else { OTHERS };
    let open: Vec<&FileState> = entries.iter().filter(|entry| entry.mode & bits(entry) != 0).collect();
    if !open.is_empty() {
        // The directory keeps others away from what somebody else put there.
        let is_secret = |entry: &&FileState| matches!(entry.name.as_str(), "" | FILE_NAME | "key");
        let grade = if open.iter().any(is_secret) { Grade::Problem } else { Grade::Warning };
        let mode = |entry: &FileState| if entry.is_dir { "700" } else { "600" };
        let commands: Vec<_> = open.iter().map(|entry| format!("chmod {} {}", mode(entry), shown(entry))).collect();
        return Finding::new(about, grade, format!("others may enter or read it: {}", commands.join("; ")));
    }
    match entries.iter().find(|entry| entry.owner != owner) {
        Some(entry) => {
            let text = format!("{} belongs to user {}, not to user {owner}: chown it", shown(entry), entry.owner);
            Finding::new(about, Grade::Problem, text)
        }
        None => Finding::new(about, Grade::Well, "only its owner may enter and read it"),
    }
}

fn disk(room: Room) -> Finding {
    let (free, total) = (bytes(room.free), bytes(room.total));
    let (grade, text) = match room.free {
        less if less < FREE_MIN => {
            (Grade::Problem, format!("only {free} of {total} are free: make room, or nothing is lent"))
        }
        less if less < room.total / FREE_SHARE_MIN && less < FREE_PLENTY => {
            (Grade::Warning, format!("only {free} of {total} are free: make room in time"))
        }
        _ => (Grade::Well, format!("{free} of {total} are free")),
    };
    Finding::new("disk", grade, text)
}

/// A copy of the store, as a backup or an upgrade makes one, needs as much room again.
fn copy(store_len: u64, room: Room) -> Finding {
    let len = bytes(store_len);
    if store_len > room.free {
        Finding::new("store file", Grade::Warning, format!("it has {len}, and there is no room for a copy beside it"))
    } else {
        Finding::new("store file", Grade::Well, format!("it has {len}"))
    }
}

fn key(dir: &Path, path: &Path, file: Option<FileState>) -> Finding {
    let shown = path.display();
    match file {
        None => {
            Finding::new("key", Grade::Problem, format!("{shown} is missing: without it the store does not open again"))
        }
        Some(file) if file.mode & OTHERS != 0 => {
            Finding::new("key", Grade::Problem, format!("others may read it: chmod 600 {shown}"))
        }
        Some(_) if path.starts_with(dir) => Finding::new(
            "key",
            Grade::Warning,
            "it lies beside the store, so that a copy of the directory holds both and opens: keep it elsewhere with \
             KEY_FILE or KEY_PASSPHRASE, or leave it out of backups and keep it apart",
        ),
        Some(_) => Finding::new("key", Grade::Well, "only its owner may read it, and it lies apart from the store"),
    }
}

/// A number of bytes for people.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut rest = count;
    while rest >= 10 * 1024 && unit + 1 < UNITS.len() {
        (rest, unit) = (rest / 1024, unit + 1);
    }
    format!("{rest} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, mode: u32, owner: u32) -> FileState {
        FileState { name: name.into(), mode, owner, len: 1, is_dir: name.is_empty() }
    }

    #[test]
    fn a_directory_that_others_may_enter_is_a_problem_with_its_commands() {
        let dir = Path::new("/data");
        let well = [entry("", 0o700, 7), entry("key", 0o600, 7), entry("control.sock", 0o600, 7)];
        assert_eq!(modes(dir, &well, 7).grade, Grade::Well);
        assert_eq!(modes(dir, &well, ROOT).grade, Grade::Well);
        assert_eq!(modes(dir, &well, 8).grade, Grade::Problem);
        let open = [entry("", 0o750, 7), entry("key", 0o644, 7)];
        assert_eq!(modes(dir, &open, 7).text, "others may enter or read it: chmod 700 /data; chmod 600 /data/key");
        let stray = [entry("", 0o700, 7), entry("notes", 0o644, 7)];
        assert_eq!(modes(dir, &stray, 7).grade, Grade::Warning);
        let foreign = [entry("", 0o700, 7), entry("key", 0o600, 8)];
        assert_eq!(modes(dir, &foreign, 7).text, "/data/key belongs to user 8, not to user 7: chown it");
    }

    #[test]
    fn room_is_judged_by_share_and_by_floor() {
        for (free, total, grade) in [
            (FREE_MIN - 1, 1 << 30, Grade::Problem),
            (FREE_MIN, 1 << 40, Grade::Warning),
            (FREE_MIN, FREE_MIN * 5, Grade::Well),
            (FREE_PLENTY, 1 << 50, Grade::Well),
        ] {
            assert_eq!(disk(Room { free, total }).grade, grade, "{free} of {total}");
        }
        assert_eq!(copy(11, Room { free: 10, total: 100 }).grade, Grade::Warning);
        assert_eq!(copy(10, Room { free: 10, total: 100 }).text, "it has 10 bytes");
    }

    #[test]
    fn a_key_is_read_by_its_owner_and_lies_apart() {
        let dir = Path::new("/data");
        let state = |mode| Some(entry("key", mode, 7));
        assert_eq!(key(dir, Path::new("/data/key"), state(0o600)).grade, Grade::Warning);
        assert_eq!(key(dir, Path::new("/etc/key"), state(0o600)).grade, Grade::Well);
        assert_eq!(key(dir, Path::new("/etc/key"), state(0o640)).grade, Grade::Problem);
        assert_eq!(key(dir, Path::new("/etc/key"), None).grade, Grade::Problem);
    }
}
