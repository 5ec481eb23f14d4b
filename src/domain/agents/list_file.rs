//! The scheduler's whitelist on this host: written by rename whenever the list changes, and never over what somebody else wrote.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Agents;
use crate::base::audit::Action;
use crate::base::text::hex;
use crate::base::{Error, Result};
use crate::domain::auth::Caller;
use crate::proto::whitelist::FILE_LEN_MAX;
use crate::store::{Table, WriteTx};

/// What was written last, by its path: the SHA-256 in hexadecimal.
const WRITTEN: Table<String, String> = Table::plain("agents_whitelist_file");

/// How the file stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListFile {
    /// The profile names none.
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
        let wanted = self.relay.whitelist().await?.0.to_file();
        let written = self.store.read(|tx| tx.get(&WRITTEN, &path))?;
        let of = path.clone();
        let found = tokio::task::spawn_blocking(move || read(Path::new(&of))).await;
        let found = found.map_err(|e| Error::internal("reading a whitelist", e))?;
        let state = match found {
            Ok(Some(text)) if text == wanted.as_bytes() => ListFile::Same,
            Ok(None) => ListFile::Behind,
            Ok(Some(text)) if written.is_some_and(|written| written == print(&text)) => ListFile::Behind,
            Ok(Some(_)) => ListFile::Edited,
            Err(error) => ListFile::Unreadable(error.to_string()),
        };
        Ok((Some(path), state))
    }

    /// Writes the file if it is behind. True when it was written.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be.
    pub(super) async fn write_list_file(&self) -> Result<bool> {
        match self.list_file().await? {
            (Some(path), ListFile::Behind) => self.write_list(path).await.map(|()| true),
            (Some(path), ListFile::Unreadable(why)) => {
                Err(Error::unavailable(format!("the whitelist {path} cannot be read: {why}")))
            }
            _ => Ok(false),
        }
    }

    /// Writes the file over what somebody else wrote.
    ///
    /// # Errors
    /// `Conflict` when the profile names none. `Unavailable` when it cannot be written.
    pub async fn overwrite_list_file(&self, caller: &Caller) -> Result<()> {
        let path = self.list_path().ok_or_else(|| {
            Error::conflict("the profile names no whitelist on this host: see `whitelist` in [agents]")
        })?;
        self.store.note(caller.note(Action::AgentListFile, &path)).await?;
        self.write_list(path).await
    }

    fn list_path(&self) -> Option<String> {
        let path = self.agents().ok()?.whitelist.clone()?;
        // Whoever stores a profile need not be who may write here.
        self.relay.is_of_settings().then_some(path)
    }

    async fn write_list(&self, path: String) -> Result<()> {
        let text = self.relay.whitelist().await?.0.to_file();
        // First what it will be: a crash between the two leaves a file that is known to be ours.
        let (of, print) = (path.clone(), print(text.as_bytes()));
        let note = move |tx: &mut WriteTx<'_, '_>| tx.put(&WRITTEN, &of, &print);
        let written_to = path.clone();
        let written = tokio::task::spawn_blocking(move || write(Path::new(&written_to), text.as_bytes())).await;
        let written = written.map_err(|e| Error::internal("writing a whitelist", e))?;
        written.map_err(|error| Error::unavailable(format!("the whitelist {path} cannot be written: {error}")))?;
        self.store.write(note).await?;
        tracing::info!("wrote the whitelist {path}");
        Ok(())
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

/// By rename: the scheduler reads the file anew for each heartbeat. It keeps the mode of the one that is there.
fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!(".{name}.keylender"));
    let mut file = File::create(&aside)?;
    if let Ok(there) = fs::metadata(path) {
        file.set_permissions(there.permissions())?;
    }
    let written = file.write_all(text).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        // What is left of it is overwritten by the next try.
        let _ = fs::remove_file(&aside);
    }
    written
}
