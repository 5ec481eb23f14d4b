//! The spool directory: mails as files, for a host without a mail server, and for people who look.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::mail::Letter;
use crate::base::{Error, MailAddress, Result};

/// Mails kept; the oldest go first. A directory that nobody reads must not fill the disk.
pub const MAILS_MAX: usize = 1000;
/// How the files end, so that mail programs open them.
const SUFFIX: &str = ".eml";

/// The directory. Cheap to clone.
#[derive(Clone)]
pub struct Spool {
    dir: PathBuf,
    from: MailAddress,
}

impl Spool {
    /// A directory, which is made with mode 0700 when the first mail comes.
    pub fn new(dir: PathBuf, from: MailAddress) -> Self {
        Self { dir, from }
    }

    /// How many mails lie in it, and their bytes together.
    pub async fn lying(&self) -> Result<(usize, u64)> {
        let dir = self.dir.clone();
        let counted = tokio::task::spawn_blocking(move || count(&dir)).await;
        let fault = |e: io::Error| Error::unavailable("the spool directory cannot be read").because(e);
        counted.map_err(|e| Error::internal("counting mails", e))?.map_err(fault)
    }

    /// Writes a mail to `<id>.eml`. A mail that was written before is written again, as the same file.
    ///
    /// **Invariant:** whoever sees the file sees all of it, also after a power cut.
    pub async fn send(&self, letter: &Letter) -> Result<()> {
        let (text, _) = letter.text(&self.from)?;
        let (dir, name) = (self.dir.clone(), format!("{}{SUFFIX}", letter.id));
        let written = tokio::task::spawn_blocking(move || write(&dir, &name, &text).and_then(|()| prune(&dir))).await;
        let fault = |e: io::Error| Error::unavailable("the spool directory cannot be written").because(e);
        written.map_err(|e| Error::internal("writing a mail", e))?.map_err(fault)
    }
}

fn write(dir: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temporary = dir.join(format!(".{name}.new"));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    fs::File::open(dir)?.sync_all()
}

fn count(dir: &Path) -> io::Result<(usize, u64)> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        entries => entries?,
    };
    // One more than are ever kept, and the temporary one.
    let lens =
        entries.take(2 * MAILS_MAX).map(|entry| Ok(entry?.metadata()?.len())).collect::<io::Result<Vec<u64>>>()?;
    Ok((lens.len(), lens.iter().sum()))
}

/// Removes the oldest mails above the limit. Names begin with the number of the notice, so they sort by age.
fn prune(dir: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| name.ends_with(SUFFIX) && !name.starts_with('.')) {
            names.push(name);
        }
    }
    names.sort();
    let surplus = names.len().saturating_sub(MAILS_MAX);
    for name in &names[..surplus] {
        match fs::remove_file(dir.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}
