//! This host, as far as we need it: this process in `/proc`, the files of a directory and the room on their disk, whether
//! we could listen on an address, and how many files we may open.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::Rlimit;

/// What this process takes. Absent where there is no `/proc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Memory in use, in bytes.
    pub resident_bytes: Option<u64>,
    /// Open files, sockets included.
    pub files_open: Option<u64>,
    /// How many may be open.
    pub files_max: Option<u64>,
}

impl Process {
    /// As it is now.
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").ok();
        let resident = status.as_deref().and_then(|status| status.lines().find_map(|line| line.strip_prefix("VmRSS:")));
        let kilobytes = resident.and_then(|resident| resident.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Self {
            resident_bytes: kilobytes.map(|kilobytes| kilobytes * 1024),
            // The directory itself is open while it is read.
            files_open: fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1)),
            files_max: limit(OPEN_FILES).and_then(|limit| limit.current),
        }
    }
}

/// The number of a user, as the file of users below a root says it. Users of directory services are not in it.
pub fn user_id(root: &Path, name: &str) -> Option<u32> {
    id_in(&root.join("etc/passwd"), name)
}

/// The same of a group.
pub fn group_id(root: &Path, name: &str) -> Option<u32> {
    id_in(&root.join("etc/group"), name)
}

fn id_in(path: &Path, name: &str) -> Option<u32> {
    let file = fs::read_to_string(path).ok()?;
    let line = file.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split(':').nth(1)?.parse().ok()
}

/// A file or directory, as a check of its safety sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Its name in the directory; empty for the directory itself.
    pub name: String,
    /// The permission bits.
    pub mode: u32,
    /// Whose it is.
    pub owner: u32,
    /// Bytes in it.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Entries of a directory that are looked at. The data directory has a handful.
const ENTRIES_MAX: usize = 1000;

/// A directory and what lies directly in it; at most a thousand entries.
pub fn directory(path: &Path) -> io::Result<Vec<FileState>> {
    let mut all = vec![state(String::new(), &fs::symlink_metadata(path)?)];
    for entry in fs::read_dir(path)?.take(ENTRIES_MAX) {
        let entry = entry?;
        match entry.metadata() {
            Ok(meta) => all.push(state(entry.file_name().to_string_lossy().into_owned(), &meta)),
            // It went away meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

/// One file; `None` when it is not there.
pub fn file(path: &Path) -> io::Result<Option<FileState>> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(state(String::new(), &meta))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn state(name: String, meta: &fs::Metadata) -> FileState {
    FileState { name, mode: meta.mode() & 0o7777, owner: meta.uid(), len: meta.len(), is_dir: meta.is_dir() }
}

/// The room on a file system, for users like us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes there are.
    pub total: u64,
}

/// The room where a path lies.
pub fn room(path: &Path) -> io::Result<Room> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Room { free: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
}

/// Removes a file, if it is there.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The user that this process is.
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Why nobody could listen on an address now, in words for operators. It listens there for a moment.
pub fn cannot_listen(address: SocketAddr) -> Option<String> {
    let error: io::Error = TcpListener::bind(address).err()?;
    Some(match error.kind() {
        ErrorKind::AddrInUse => "another process listens there: stop that, or set PORT".into(),
        ErrorKind::AddrNotAvailable => "this host has no such address: see BIND".into(),
        ErrorKind::PermissionDenied => {
            "ports below 1024 need a right: set PORT, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the service".into()
        }
        _ => error.to_string(),
    })
}

/// How many files this process may open if it asks for more; `None` is without a limit.
pub fn files_max() -> Option<u64> {
    limit(OPEN_FILES)?.maximum
}

/// Name of the limit of open files.
pub const OPEN_FILES: &str = "Max open files";
/// Name of the limit of the size of core dumps.
pub const CORE: &str = "Max core file size";

/// A limit of this process by its name in `/proc/self/limits`; `None` where that cannot be read. The system call for it
/// (`prlimit64`) came with Linux 2.6.36, and rustix panics without it.
pub fn limit(name: &str) -> Option<Rlimit> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let mut words = limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace();
    let mut next = || match words.next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    };
    Some(Rlimit { current: next()?, maximum: next()? })
}
