//! Files that are put in their place on this host: by rename, so that whoever reads one reads all of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};

/// Where a file belongs, and who may use it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// A directory of the same file system in which it is written first: some programs read every file of its own.
    pub beside: PathBuf,
    /// The bits of its mode.
    pub mode: u32,
    /// The number of its owner; whoever writes it if there is none.
    pub owner: Option<u32>,
    /// The number of its group, likewise.
    pub group: Option<u32>,
}

impl Place {
    /// Writes the file beside its place, gives it away, and renames it.
    ///
    /// **Invariant:** nobody but its owner could ever read it, and a crash leaves the former one. A file that was left by a
    /// crash is never written to: it could be somebody else's.
    pub fn put(&self, text: &[u8]) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        if !directory.exists() {
            fs::DirBuilder::new().mode(0o755).create(directory)?;
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = self.beside.join(format!(".{name}.{}.new", std::process::id()));
        let written = self.write(&unfinished, text).and_then(|()| fs::rename(&unfinished, &self.path));
        if written.is_err() {
            _ = fs::remove_file(&unfinished);
        }
        written?;
        fs::File::open(directory)?.sync_all()
    }

    fn write(&self, unfinished: &Path, text: &[u8]) -> io::Result<()> {
        match fs::remove_file(unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(unfinished)?;
        file.write_all(text)?;
        if self.owner.is_some() || self.group.is_some() {
            rustix::fs::fchown(&file, self.owner.map(Uid::from_raw), self.group.map(Gid::from_raw))?;
        }
        file.set_permissions(fs::Permissions::from_mode(self.mode))?;
        file.sync_all()
    }

    /// What is there, with how it differs from what it should be beside its text: mode, owner, group, or that it is no
    /// file. `None` where there is nothing.
    pub fn look(&self, len_max: u64) -> io::Result<Option<(String, Vec<String>)>> {
        let meta = match fs::symlink_metadata(&self.path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !meta.is_file() || meta.len() > len_max {
            return Ok(Some((String::new(), vec!["it is no such file".to_owned()])));
        }
        let mode = meta.permissions().mode() & 0o7777;
        let of_whom = |kind: &str, wished: Option<u32>, has: u32| {
            wished.filter(|id| *id != has).map(|id| format!("its {kind} is {has} and not {id}"))
        };
        let differs = [
            (mode != self.mode).then(|| format!("its mode is {mode:04o} and not {:04o}", self.mode)),
            of_whom("owner", self.owner, meta.uid()),
            of_whom("group", self.group, meta.gid()),
        ];
        Ok(Some((
            String::from_utf8_lossy(&fs::read(&self.path)?).into_owned(),
            differs.into_iter().flatten().collect(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_put_whole_with_its_mode_and_what_differs_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let owner = fs::metadata(dir.path()).unwrap().uid();
        let place = Place {
            path: dir.path().join("a.cfg"),
            beside: dir.path().to_owned(),
            mode: 0o640,
            owner: Some(owner),
            group: None,
        };
        assert_eq!(place.look(100).unwrap(), None);
        place.put(b"one").unwrap();
        place.put(b"two").unwrap();
        assert_eq!(place.look(100).unwrap(), Some(("two".to_owned(), Vec::new())));
        let other = Place { mode: 0o600, owner: Some(owner + 1), ..place.clone() };
        let differs = other.look(100).unwrap().unwrap().1;
        assert_eq!(differs, ["its mode is 0640 and not 0600", &format!("its owner is {owner} and not {}", owner + 1)]);
        assert_eq!(place.look(2).unwrap().unwrap().1, ["it is no such file"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_put_leaves_the_former_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.cfg");
        fs::create_dir(&path).unwrap();
        let place = Place { path, beside: dir.path().to_owned(), mode: 0o600, owner: None, group: None };
        assert!(place.put(b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
