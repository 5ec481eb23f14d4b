//! The scheduler's whitelist on this host: written by rename whenever the list changes, and never over what somebody else wrote.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Agents;
use crate::base::audit::Action;
use crate::base::text::hex;
use crate::base::{Error, Result};
use crate::domain::auth::Caller;
use crate::proto::whitelist::FILE_LEN_MAX;
use crate::store::Table;

/// What was written last, by its path: the SHA-256 in hexadecimal.
const WRITTEN: Table<String, String> = Table::plain("agents_whitelist_file");

/// How the file stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListFile {
    /// The profile names none.
    #[default]
    None,
    /// It is as it should be.
    Same,
    /// It is not there, or as it was written last: the next pass writes it.
    Behind,
    /// Somebody else wrote it.
    Edited,
    /// It cannot be read.
    Unreadable(String),
}

impl Agents {
    /// How the file of the scheduler on this host stands, and where it is.
    pub async fn list_file(&self) -> Result<(Option<String>, ListFile)> {
        let Some(path) = self.list_path() else { return Ok((None, ListFile::None)) };
        let (state, _) = self.compare_list(&path).await?;
        Ok((Some(path), state))
    }

    /// How it stands, and what stands for what is in it.
    async fn compare_list(&self, path: &str) -> Result<(ListFile, String)> {
        let wanted = self.relay.whitelist().await?.0.to_file();
        let key = path.to_owned();
        let written = self.store.read(|tx| tx.get(&WRITTEN, &key))?;
        let found = tokio::task::spawn_blocking(move || read(Path::new(&key))).await;
        let found = found.map_err(|e| Error::internal("reading a whitelist", e))?;
        let there = found.as_ref().ok().and_then(Option::as_deref).map(print).unwrap_or_default();
        let state = match found {
            Ok(Some(text)) if text == wanted.as_bytes() => ListFile::Same,
            Ok(None) => ListFile::Behind,
            Ok(Some(_)) if written.as_ref() == Some(&there) => ListFile::Behind,
            Ok(Some(_)) => ListFile::Edited,
            Err(error) => ListFile::Unreadable(error.to_string()),
        };
        Ok((state, there))
    }

    /// Writes the file if it is behind. True when it was written.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be.
    pub(super) async fn write_list_file(&self) -> Result<bool> {
        let Some(path) = self.list_path() else { return Ok(false) };
        let compared = self.compare_list(&path).await?;
        self.meters.note_list(compared.0.clone());
        match compared {
            (ListFile::Behind, _) => self.write_list(path).await.map(|()| true),
            // What somebody else wrote and the list has taken over is as if it was written here.
            (ListFile::Same, there) => self.note_written(path, there).await.map(|()| false),
            (ListFile::Unreadable(why), _) => {
                Err(Error::unavailable(format!("the whitelist {path} cannot be read: {why}")))
            }
            (ListFile::None | ListFile::Edited, _) => Ok(false),
        }
    }

    /// Writes the file over what somebody else wrote.
    ///
    /// # Errors
    /// `Conflict` when the profile names none. `Unavailable` when it cannot be written.
    pub async fn overwrite_list_file(&self, caller: &Caller) -> Result<()> {
        let path = self.list_path().ok_or_else(|| {
            Error::conflict("no profile of the settings names a whitelist on this host: see `whitelist` in [agents]")
        })?;
        self.store.note(caller.note(Action::AgentListFile, &path)).await?;
        self.write_list(path).await
    }

    pub(super) fn list_path(&self) -> Option<String> {
        let path = self.agents().ok()?.whitelist.clone()?;
        // Whoever stores a profile need not be who may write here.
        self.relay.is_of_settings().then_some(path)
    }

    async fn write_list(&self, path: String) -> Result<()> {
        let text = self.relay.whitelist().await?.0.to_file();
        let (written_to, print) = (path.clone(), print(text.as_bytes()));
        let written = tokio::task::spawn_blocking(move || write(Path::new(&written_to), text.as_bytes())).await;
        let written = written.map_err(|e| Error::internal("writing a whitelist", e))?;
        written.map_err(|error| Error::unavailable(format!("the whitelist {path} cannot be written: {error}")))?;
        tracing::info!("wrote the whitelist {path}");
        self.meters.note_list(ListFile::Same);
        self.note_written(path, print).await
    }

    /// Notes what is in the file by us. One that a crash kept from being noted is as the list is at the next look, too.
    async fn note_written(&self, path: String, print: String) -> Result<()> {
        if self.store.read(|tx| tx.get(&WRITTEN, &path))?.as_ref() == Some(&print) {
            return Ok(());
        }
        self.store.write(move |tx| tx.put(&WRITTEN, &path, &print)).await
    }
}

fn print(text: &[u8]) -> String {
    hex(&Sha256::digest(text))
}

/// What is in a file; `None` when there is none.
fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // A pipe would be waited for.
        Ok(found) if !found.is_file() => return Err(std::io::Error::other("it is no file")),
        found => found?,
    };
    let mut text = Vec::new();
    File::open(path)?.take(FILE_LEN_MAX as u64 + 1).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// By rename: the scheduler reads the file anew for each heartbeat. It keeps mode, owner and group of the one that is there; where
/// we may give it to nobody, it is left if those who could read it would not be able to any more.
fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!(".{name}.keylender"));
    let mut file = File::create(&aside)?;
    let there = fs::metadata(path).ok();
    let kept = there.map_or(Ok(()), |there| keep(&file, &aside, &there));
    let written = kept.and_then(|()| file.write_all(text)).and_then(|()| file.sync_all());
    let written = written.and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        // What is left of it is overwritten by the next try.
        let _ = fs::remove_file(&aside);
    }
    written
}

/// Mode, owner and group of the file that is there.
fn keep(file: &File, aside: &Path, there: &Metadata) -> std::io::Result<()> {
    file.set_permissions(there.permissions())?;
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) == (there.uid(), there.gid()) {
        return Ok(());
    }
    let is_for_all = there.mode() & FOR_ALL != 0;
    match chown(aside, Some(there.uid()), Some(there.gid())) {
        Err(_) if !is_for_all => Err(std::io::Error::other(
            "it belongs to somebody else, and not all may read it: let all read it, or give it and its directory to us",
        )),
        _ => Ok(()),
    }
}

/// The bit of a mode by which everybody may read.
const FOR_ALL: u32 = 0o004;
