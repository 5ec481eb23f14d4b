//! Sealing of secrets at rest: a copied database file is useless without the key.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::base::{Error, Result, Secret};

/// Bytes of the master key, and of each key derived from it.
const KEY_LEN: usize = 32;
/// Bytes of the random nonce before a sealed text. Random ones of this size do not meet within any store's life.
const NONCE_LEN: usize = 24;
/// Bytes kept of a secret's HMAC: 128 bits tell secrets apart and keep an audit entry short.
const REFERENCE_LEN: usize = 16;

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

/// A sealed secret as a record holds it. It opens only for the table and key it was sealed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub(super) String);

/// The keys derived from the master key: one that seals, one that makes references.
pub(super) struct Keys {
    cipher: XChaCha20Poly1305,
    references: Hmac<Sha256>,
}

impl Keys {
    pub(super) fn derive(master: &[u8]) -> Result<Self> {
        let hkdf = Hkdf::<Sha256>::new(None, master);
        let expand = |purpose: &str| {
            let mut key = Zeroizing::new([0u8; KEY_LEN]);
            hkdf.expand(purpose.as_bytes(), key.as_mut_slice())
                .map_err(|e| Error::internal("deriving a key", e.to_string()))?;
            Ok::<_, Error>(key)
        };
        let sealing = expand("keylender seal 1")?;
        let references = expand("keylender reference 1")?;
        Ok(Self {
            cipher: XChaCha20Poly1305::new_from_slice(sealing.as_slice())
                .map_err(|e| Error::internal("making the cipher", e.to_string()))?,
            references: Hmac::new_from_slice(references.as_slice())
                .map_err(|e| Error::internal("making the reference key", e.to_string()))?,
        })
    }

    pub(super) fn seal(&self, table: &str, key: &str, secret: &Secret) -> Result<Sealed> {
        let nonce = random_bytes::<NONCE_LEN>();
        let payload = Payload { msg: secret.expose().as_bytes(), aad: &place(table, key) };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|e| Error::internal("sealing a secret", e.to_string()))?;
        Ok(Sealed(STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat())))
    }

    pub(super) fn open(&self, table: &str, key: &str, sealed: &Sealed) -> Result<Secret> {
        let refuse = |cause: String| Error::internal(format!("opening a secret of `{table}`"), cause);
        let bytes = STANDARD_NO_PAD.decode(&sealed.0).map_err(|e| refuse(e.to_string()))?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_LEN>().ok_or_else(|| refuse("too short".into()))?;
        let payload = Payload { msg: text, aad: &place(table, key) };
        let opened =
            self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| refuse("wrong key or place".into()))?;
        let opened = Zeroizing::new(opened);
        let text = std::str::from_utf8(&opened).map_err(|e| refuse(e.to_string()))?;
        Ok(Secret::new(text))
    }

    /// What the audit log keeps of a secret: equal for equal secrets, and nothing without the key.
    pub(super) fn reference(&self, secret: &Secret) -> String {
        let mut mac = self.references.clone();
        mac.update(secret.expose().as_bytes());
        hex(&mac.finalize().into_bytes()[..REFERENCE_LEN])
    }
}

/// The place a secret belongs to, bound in as associated data: it cannot be moved to another record.
fn place(table: &str, key: &str) -> Vec<u8> {
    [table.as_bytes(), b"\0", key.as_bytes()].concat()
}

/// The master key. `fresh` says that there is no store yet, so that a missing key file may be made; with an
/// existing store a missing file is an error, because a new key could never open what is sealed.
pub(super) fn master_key(source: &KeySource, salt: &[u8], fresh: bool) -> Result<Zeroizing<Vec<u8>>> {
    match source {
        KeySource::Given(key) => Ok(Zeroizing::new(key.to_vec())),
        KeySource::Passphrase(passphrase) => stretch(passphrase, salt),
        KeySource::File(path) if fresh && !path.exists() => make_key_file(path),
        KeySource::File(path) => read_key_file(path),
    }
}

fn stretch(passphrase: &Secret, salt: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; KEY_LEN]);
    argon2::Argon2::default()
        .hash_password_into(passphrase.expose().as_bytes(), salt, &mut key)
        .map_err(|e| Error::internal("stretching the passphrase", e.to_string()))?;
    Ok(key)
}

fn make_key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let key = Zeroizing::new(random_bytes::<KEY_LEN>().to_vec());
    let text = Zeroizing::new(hex(&key) + "\n");
    // Under its name there is a whole key or none, whenever a crash comes.
    let unfinished = path.with_extension("new");
    let write = || {
        match fs::remove_file(&unfinished) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|e| Error::unavailable("the key file cannot be made").because(at(path, e)))?;
    Ok(key)
}

fn read_key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
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

#[expect(clippy::disallowed_methods, reason = "nonces and keys are drawn here")]
pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char]).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_in_its_own_place() {
        let keys = Keys::derive(&[7; 32]).unwrap();
        let secret = Secret::new("swordfish");
        let sealed = keys.seal("accounts", "a-1", &secret).unwrap();
        assert_eq!(keys.open("accounts", "a-1", &sealed).unwrap(), secret);
        assert!(keys.open("accounts", "a-2", &sealed).is_err());
        assert!(keys.open("clients", "a-1", &sealed).is_err());
        assert!(Keys::derive(&[8; 32]).unwrap().open("accounts", "a-1", &sealed).is_err());
        assert!(!serde_json::to_string(&sealed).unwrap().contains("swordfish"));
    }

    #[test]
    fn equal_secrets_have_equal_references() {
        let keys = Keys::derive(&[7; 32]).unwrap();
        assert_eq!(keys.reference(&Secret::new("a")), keys.reference(&Secret::new("a")));
        assert_ne!(keys.reference(&Secret::new("a")), keys.reference(&Secret::new("b")));
    }
}
