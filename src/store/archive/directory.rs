//! The directory of archives: a file each, under the archive's name.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{unreadable, unwritable};
use crate::base::{ArchiveName, Result};

/// What names of files end with.
const SUFFIX: &str = ".archive";
/// Files that are looked at. Above any number that is kept.
const LIST_MAX: usize = 20_000;

/// A directory of archives. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ArchiveDirectory(PathBuf);

impl ArchiveDirectory {
    /// The directory at a path. It is made when it is needed.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The place itself, to ask for the room there.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the file of an archive lies, or would.
    pub fn file(&self, name: &ArchiveName) -> PathBuf {
        self.0.join(format!("{name}{SUFFIX}"))
    }

    /// Makes it, for its owner only, if it is not there.
    pub fn make(&self) -> Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(unwritable)
    }

    /// Makes what happened in it durable.
    pub fn sync(&self) -> Result<()> {
        File::open(&self.0).and_then(|dir| dir.sync_all()).map_err(unwritable)
    }

    /// The archives whose files are there, with their bytes, oldest first.
    pub fn list(&self) -> Result<Vec<(ArchiveName, u64)>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(unreadable(e)),
        };
        let listed = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let name = ArchiveName::parse(name.strip_suffix(SUFFIX)?).ok()?;
            Some((name, entry.metadata().ok()?.len()))
        });
        let mut all: Vec<_> = listed.take(LIST_MAX).collect();
        all.sort();
        Ok(all)
    }

    /// Removes the file of an archive; none is as good.
    pub fn remove(&self, name: &ArchiveName) -> Result<()> {
        match fs::remove_file(self.file(name)) {
            Ok(()) => self.sync(),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(unwritable(e)),
        }
    }
}
