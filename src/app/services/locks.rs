//! Who of the runners lives: each holds a lock on a file of its own for as long as it does. The kernel lets go of it, however
//! a runner ends, so that another one may tell what is left over.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::base::{Error, Result, Secret};
use crate::ports::system;

const IDENTITY: &str = "identity";
const SUFFIX: &str = ".lock";
/// A copy of the file of hosts with the names of services, for a task on the host.
const HOSTS_SUFFIX: &str = ".hosts";

/// A directory of locks.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Tells it from all others, also from one at the same path in another container.
    pub(super) identity: String,
}

/// The lock of a runner.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

/// Whether the holder of a lock lives.
#[derive(Debug)]
pub(super) enum Holder {
    Lives,
    /// It is gone. The lock is ours while it is looked after what it left.
    Gone(Option<File>),
}

impl Directory {
    /// The directory at a path, which is made where there is none. Only we may use it.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::unavailable("the directory of runners cannot be used").because(format!("{}: {e}", path.display()))
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let meta = fs::symlink_metadata(path).map_err(failed)?;
        if !meta.is_dir() || meta.uid() != system::user() || meta.mode() & 0o077 != 0 {
            let words = "it must be a directory of ours that nobody else may use (mode 700)";
            return Err(failed(io::Error::other(words)));
        }
        let identity = identity(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), identity })
    }

    /// Takes a lock that nobody has.
    pub(super) fn take(&self) -> Result<Lock> {
        let failed = |e: io::Error| Error::unavailable("no lock for this run").because(e);
        let name = Secret::generate().expose().to_owned();
        // It has its name when it is locked already, so that nobody finds it without.
        let new = self.path.join(format!("{name}.new"));
        let path = self.path.join(name + SUFFIX);
        let file = create(&new).map_err(failed)?;
        file.lock().map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)?;
        Ok(Lock { path, _file: file })
    }

    /// Who has the lock at a path that a label names.
    pub(super) fn holder(&self, label: &str) -> Holder {
        // Only files of this directory are looked at, whatever a label says.
        let Some(name) = Path::new(label).file_name() else { return Holder::Gone(None) };
        match File::open(self.path.join(name)) {
            Ok(file) => match file.try_lock() {
                Ok(()) => Holder::Gone(Some(file)),
                Err(TryLockError::WouldBlock) => Holder::Lives,
                // Then it is not known, and nothing is touched.
                Err(TryLockError::Error(_)) => Holder::Lives,
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Holder::Gone(None),
            Err(_) => Holder::Lives,
        }
    }

    /// Forgets runners that are gone, but for those whose locks have these labels: something of them is left.
    pub(super) fn tidy(&self, left: &[String]) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let Some(label) = path.to_str().filter(|path| path.ends_with(SUFFIX)) else { continue };
            if !left.iter().any(|left| left == label)
                && let Holder::Gone(Some(_held)) = self.holder(label)
            {
                forget(&path);
            }
        }
    }
}

impl Lock {
    /// What containers and networks say of it.
    pub fn label(&self) -> String {
        self.path.display().to_string()
    }

    /// A place for the task's file of hosts.
    pub fn hosts(&self) -> PathBuf {
        self.path.with_extension(&HOSTS_SUFFIX[1..])
    }

    /// Nothing is left of this run.
    pub fn release(&self) {
        forget(&self.path);
    }
}

fn forget(lock: &Path) {
    // What stays is looked at again by the next one.
    let _ = fs::remove_file(lock.with_extension(&HOSTS_SUFFIX[1..]));
    let _ = fs::remove_file(lock);
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// What the directory is called: made by the first who looks, whole from the beginning.
fn identity(directory: &Path) -> io::Result<String> {
    let path = directory.join(IDENTITY);
    let read = || fs::read_to_string(&path).map(|text| text.trim().to_owned());
    match read() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        known => return known,
    }
    let made = Secret::generate().expose().to_owned();
    let new = directory.join(format!("{made}.new"));
    create(&new)?.write_all(made.as_bytes())?;
    let linked = fs::hard_link(&new, &path);
    fs::remove_file(&new)?;
    match linked {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => read(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_lives_as_long_as_its_holder_and_nothing_of_it_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks");
        let directory = Directory::open(&path).unwrap();
        assert_eq!(Directory::open(&path).unwrap().identity, directory.identity);
        let lock = directory.take().unwrap();
        let label = lock.label();
        fs::write(lock.hosts(), "x").unwrap();
        assert!(matches!(directory.holder(&label), Holder::Lives));
        directory.tidy(&[]);
        assert!(lock.path.exists() && lock.hosts().exists());
        let hosts = lock.hosts();
        drop(lock);
        assert!(matches!(directory.holder(&label), Holder::Gone(Some(_))));
        directory.tidy(std::slice::from_ref(&label));
        assert!(hosts.exists(), "something is left");
        directory.tidy(&[]);
        assert!(!hosts.exists());
        assert!(matches!(directory.holder(&label), Holder::Gone(None)));
        let names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [IDENTITY]);
    }

    #[test]
    fn a_directory_that_others_may_use_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks");
        DirBuilder::new().mode(0o755).create(&path).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert!(Directory::open(&path).unwrap_err().chain().contains("mode 700"));
    }
}
