//! The directory of backups: whole files under their names, newest known by its name.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::{Checked, Label, label_of};
use crate::base::{Error, Result};
use crate::store::Store;
use crate::store::storage::fresh_file;

/// What names of backups begin and end with. Between is the moment, so that the order of names is that of time.
const PREFIX: &str = "keylender-";
const SUFFIX: &str = ".backup";
/// A file that is being written; no backup yet.
const UNFINISHED: &str = "unfinished.new";
/// Backups that are looked at. Above any number that is kept.
const LIST_MAX: usize = 10_000;

/// A directory of backups. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BackupDirectory(PathBuf);

/// A backup as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its file name.
    pub name: String,
    /// Bytes of the file.
    pub len: u64,
    /// What it says of itself; none when that cannot be read.
    pub label: Option<Label>,
}

impl BackupDirectory {
    /// The directory at a path. It is made when it is needed.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes a backup of a store, checks it by reading it, and only then gives it its name. What a crash left unfinished
    /// is written over.
    pub fn take(&self, store: &Store) -> Result<(String, Checked)> {
        let unfinished = self.0.join(UNFINISHED);
        let cannot = |e: std::io::Error| {
            Error::unavailable("the backup cannot be written").because(format!("{}: {e}", self.0.display()))
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(cannot)?;
        let write = || {
            let file = fresh_file(&unfinished).map_err(cannot)?;
            let mut to = BufWriter::new(&file);
            store.back_up(&mut to)?;
            to.flush().map_err(cannot)?;
            drop(to);
            file.sync_all().map_err(cannot)?;
            let checked = store.check_backup(File::open(&unfinished).map_err(cannot)?)?;
            let name = self.free_name(&checked.label);
            fs::rename(&unfinished, self.0.join(&name)).map_err(cannot)?;
            File::open(&self.0).and_then(|dir| dir.sync_all()).map_err(cannot)?;
            Ok((name, checked))
        };
        let taken = write();
        if taken.is_err() {
            // A full disk is not to stay full of it. The first error is the one to hear of.
            let _ = fs::remove_file(&unfinished);
        }
        taken
    }

    /// The backups, oldest first.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut names = self.names()?;
        names.sort();
        Ok(names.into_iter().map(|name| self.look(name)).collect())
    }

    /// The newest backup.
    pub fn newest(&self) -> Result<Option<Listed>> {
        Ok(self.names()?.into_iter().max().map(|name| self.look(name)))
    }

    /// Where a backup lies.
    ///
    /// # Errors
    /// [`crate::base::Kind::NotFound`] for a name that no backup has.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        if is_name(name) && self.0.join(name).is_file() {
            Ok(self.0.join(name))
        } else {
            Err(Error::not_found(format!("there is no backup `{name}`")))
        }
    }

    /// Removes a backup.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        fs::remove_file(&path).map_err(|e| {
            Error::unavailable("an old backup cannot be removed").because(format!("{}: {e}", path.display()))
        })
    }

    fn names(&self) -> Result<Vec<String>> {
        let unreadable = |e: std::io::Error| {
            Error::unavailable("the directory of backups cannot be read").because(format!("{}: {e}", self.0.display()))
        };
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(unreadable(e)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| is_name(name)).take(LIST_MAX).collect())
    }

    fn look(&self, name: String) -> Listed {
        let path = self.0.join(&name);
        let len = fs::metadata(&path).map_or(0, |meta| meta.len());
        Listed { label: label_of(&path).ok(), name, len }
    }

    /// The name of a backup. Two within a millisecond are told apart.
    fn free_name(&self, label: &Label) -> String {
        let moment: String = label.made.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let names = (1..).map(|n| match n {
            1 => format!("{PREFIX}{moment}{SUFFIX}"),
            n => format!("{PREFIX}{moment}.{n}{SUFFIX}"),
        });
        names.into_iter().find(|name| !self.0.join(name).exists()).unwrap_or_default()
    }
}

/// Whether a file name is one of ours. It holds no separator, so it leads nowhere else.
fn is_name(name: &str) -> bool {
    let middle = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX));
    middle.is_some_and(|moment| moment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'))
}
