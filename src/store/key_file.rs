//! Where the master key comes from, and its file.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::seal::{KEY_LEN, Keys, Master, fresh_master};
use super::storage::fresh_file;
use crate::base::text::{hex, unhex};
use crate::base::{Error, Result, Secret};

/// Where the master key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file of mode 0600 that holds 64 hexadecimal digits; made together with a new store.
    File(PathBuf),
    /// A passphrase, stretched by argon2id with a salt kept in the store.
    Passphrase(Secret),
    /// A key at hand, for a store in memory.
    Given([u8; KEY_LEN]),
}

/// Whether a passphrase is the one that a change to this key was begun with.
pub(super) fn is_passphrase_of(passphrase: &Secret, salt: &[u8], keys: &Keys) -> Result<bool> {
    Ok(stretch(passphrase, salt)? == keys.copy_master())
}

/// The master key. `fresh` says that there is no store yet, so that a missing key file may be made; with an
/// existing store a missing file is an error, because a new key could never open what is sealed.
pub(super) fn master_key(source: &KeySource, salt: &[u8], fresh: bool) -> Result<Master> {
    match source {
        KeySource::Given(key) => Ok(Zeroizing::new(key.to_vec())),
        KeySource::Passphrase(passphrase) => stretch(passphrase, salt),
        KeySource::File(path) if fresh && !path.exists() => {
            let key = fresh_master();
            write_key_file(path, &key)?;
            Ok(key)
        }
        KeySource::File(path) => read_key_file(path),
    }
}

fn stretch(passphrase: &Secret, salt: &[u8]) -> Result<Master> {
    let mut key = Zeroizing::new(vec![0; KEY_LEN]);
    argon2::Argon2::default()
        .hash_password_into(passphrase.expose().as_bytes(), salt, &mut key)
        .map_err(|e| Error::internal("stretching the passphrase", e.to_string()))?;
    Ok(key)
}

/// The master keys that a source may mean for a store with these salts, most likely one first. Behind a key file may
/// lie the next one: a change of the key that was broken off before the file took its name.
pub(super) fn candidates(source: &KeySource, salts: &[Vec<u8>]) -> Result<Vec<Master>> {
    match source {
        KeySource::Passphrase(passphrase) => salts.iter().map(|salt| stretch(passphrase, salt)).collect(),
        KeySource::File(path) => {
            let next = next_path(path);
            let mut keys = vec![read_key_file(path)?];
            if next.exists() {
                keys.push(read_key_file(&next)?);
            }
            Ok(keys)
        }
        KeySource::Given(_) => Ok(vec![master_key(source, &[], false)?]),
    }
}

/// The key that a store changes to. For a file it lies beside the old one until the change is done.
pub(super) fn make_next(source: &KeySource, passphrase: Option<&Secret>, salt: &[u8]) -> Result<Master> {
    match (source, passphrase) {
        (KeySource::Passphrase(_), Some(passphrase)) => stretch(passphrase, salt),
        (KeySource::Passphrase(_), None) => Err(Error::invalid("a new passphrase is needed: the key comes from one")),
        (_, Some(_)) => Err(Error::invalid("the key comes from a file, not from a passphrase")),
        (KeySource::File(path), None) => {
            let key = fresh_master();
            write_key_file(&next_path(path), &key)?;
            Ok(key)
        }
        (KeySource::Given(_), None) => Ok(fresh_master()),
    }
}

/// Ends a change: the current key takes the name of the key file, and the one before is kept under its key's id, for old
/// backups need it. May be repeated; nothing happens while the file holds the current key.
pub(super) fn adopt_next(source: &KeySource, current: &Keys) -> Result<()> {
    let KeySource::File(path) = source else { return Ok(()) };
    let former = Keys::derive(read_key_file(path)?)?;
    if former.id() == current.id() {
        return Ok(());
    }
    let next = next_path(path);
    // Whatever lies there: once this process is gone, nothing but a file opens the store.
    if read_key_file(&next).ok() != Some(current.copy_master()) {
        write_key_file(&next, &current.copy_master())?;
    }
    let adopt = || {
        match fs::hard_link(path, path.with_extension(former.id())) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        fs::rename(&next, path)?;
        sync_directory_of(path)
    };
    adopt().map_err(|e| Error::unavailable("the new key file cannot take its place").because(at(path, e)))
}

fn next_path(path: &Path) -> PathBuf {
    path.with_extension("next")
}

fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Under its name there is a whole key or none, whenever a crash comes.
fn write_key_file(path: &Path, key: &Master) -> Result<()> {
    let text = Zeroizing::new(hex(key) + "\n");
    let unfinished = path.with_extension("new");
    let write = || {
        let mut file = fresh_file(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        sync_directory_of(path)
    };
    write().map_err(|e| Error::unavailable("the key file cannot be made").because(at(path, e)))
}

fn read_key_file(path: &Path) -> Result<Master> {
    let unreadable = |e| Error::unavailable("the key file of the store cannot be read").because(at(path, e));
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::unavailable("the key file can be read by others: it needs mode 0600").because(format!(
            "{} has mode {:04o}",
            path.display(),
            mode & 0o7777
        )));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
    unhex(text.trim())
        .filter(|key| key.len() == KEY_LEN)
        .map(Zeroizing::new)
        .ok_or_else(|| Error::unavailable("the key file does not hold 64 hexadecimal digits"))
}

fn at(path: &Path, error: std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
