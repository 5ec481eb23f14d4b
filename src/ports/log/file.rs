//! The log in a file, which is opened again when somebody moved it away.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Losses;
use crate::base::{Error, Result};

/// Lines are read by the group, such as a collector's; they hold no secret, but names and addresses.
const MODE: u32 = 0o640;

/// A file that grows.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: Mutex<File>,
    /// Lines that could not be written.
    pub losses: Losses,
}

impl LogFile {
    /// Opens the file, or makes it.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { path: path.into(), file: Mutex::new(open(path)?), losses: Losses::default() })
    }

    /// Goes on in the file that has the name now. Where that fails, in the one that had it.
    pub fn reopen(&self) -> Result<()> {
        let opened = open(&self.path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(())
    }

    /// Appends a line.
    pub fn write(&self, line: &[u8]) {
        let written = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line);
        match written {
            Ok(()) => self.losses.end(),
            Err(_) => self.losses.add(),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let opened = match OpenOptions::new().append(true).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => make(path),
        opened => opened,
    };
    opened
        .map_err(|e| Error::invalid("the file of the log cannot be opened").because(format!("{}: {e}", path.display())))
}

/// Makes the file with its mode, which the process would give to no other one.
fn make(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create_new(true).mode(MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_not_for_everybody_and_keeps_what_it_held() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keylender.log");
        LogFile::open(&path).unwrap().write(b"one\n");
        LogFile::open(&path).unwrap().write(b"two\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("logs/keylender.log"), dir.path().join("moved"));
        fs::create_dir(dir.path().join("logs")).unwrap();
        let log = LogFile::open(&path).unwrap();
        fs::rename(dir.path().join("logs"), &moved).unwrap();
        let error = log.reopen().unwrap_err();
        assert!(error.chain().contains("logs/keylender.log: No such file"), "{}", error.chain());
        log.write(b"still\n");
        assert_eq!(fs::read_to_string(moved.join("keylender.log")).unwrap(), "still\n");
    }

    #[test]
    fn a_full_disk_loses_lines_and_nothing_else() {
        let log = LogFile::open(Path::new("/dev/full")).unwrap();
        log.write(b"one\n");
        log.write(b"two\n");
        assert_eq!(log.losses.take(), 0, "telling would be lost as well");
        *log.file.lock().unwrap() = open(Path::new("/dev/null")).unwrap();
        log.write(b"three\n");
        assert_eq!((log.losses.take(), log.losses.take()), (2, 0));
    }
}
