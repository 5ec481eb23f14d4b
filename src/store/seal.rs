//! Sealing of secrets at rest: a copied database file is useless without the key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::base::text::{hex, unhex};
use crate::base::{Error, Result, Secret};

/// Bytes of the master key, and of each key derived from it.
pub(super) const KEY_LEN: usize = 32;
/// Bytes of the random nonce before a sealed text. Random ones of this size do not meet within any store's life.
const NONCE_LEN: usize = 24;
/// Bytes of the tag behind a sealed text.
const TAG_LEN: usize = 16;
/// Bytes of a key's public name: enough to tell the few keys of a store apart.
const ID_LEN: usize = 6;
/// Bytes kept of a secret's HMAC: 128 bits tell secrets apart and keep an audit entry short.
const REFERENCE_LEN: usize = 16;

/// A sealed secret as a record holds it. It opens only for the table and key it was sealed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub(super) String);

impl Sealed {
    /// Whether a text has the form of a sealed secret.
    pub(super) fn may_be(text: &str) -> bool {
        STANDARD_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() >= NONCE_LEN + TAG_LEN)
    }
}

/// A master key: what all other keys of a store are derived from.
pub(super) type Master = Zeroizing<Vec<u8>>;

/// A master key and the keys derived from it: one that seals, one that makes references, one for backups, one for
/// archives.
pub(super) struct Keys {
    master: Master,
    cipher: XChaCha20Poly1305,
    references: Hmac<Sha256>,
    backups: XChaCha20Poly1305,
    archives: XChaCha20Poly1305,
    id: String,
}

impl Keys {
    pub(super) fn derive(master: Master) -> Result<Self> {
        let hkdf = Hkdf::<Sha256>::new(None, &master);
        let expand = |purpose: &str| {
            let mut key = Zeroizing::new([0u8; KEY_LEN]);
            hkdf.expand(purpose.as_bytes(), key.as_mut_slice())
                .map_err(|e| Error::internal("deriving a key", e.to_string()))?;
            Ok::<_, Error>(key)
        };
        let sealing = expand("keylender seal 1")?;
        let references = expand("keylender reference 1")?;
        let backups = expand("keylender backup 1")?;
        let archives = expand("keylender archive 1")?;
        let id = hex(&expand("keylender key id 1")?[..ID_LEN]);
        let cipher = |key: &[u8]| {
            XChaCha20Poly1305::new_from_slice(key).map_err(|e| Error::internal("making the cipher", e.to_string()))
        };
        Ok(Self {
            cipher: cipher(sealing.as_slice())?,
            references: Hmac::new_from_slice(references.as_slice())
                .map_err(|e| Error::internal("making the reference key", e.to_string()))?,
            backups: cipher(backups.as_slice())?,
            archives: cipher(archives.as_slice())?,
            id,
            master,
        })
    }

    /// What it may be called in public: it tells keys apart and says nothing about them.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Encrypts backups.
    pub(super) fn backups(&self) -> &XChaCha20Poly1305 {
        &self.backups
    }

    /// Encrypts archives of queues.
    pub(super) fn archives(&self) -> &XChaCha20Poly1305 {
        &self.archives
    }

    /// The master key as a text, to seal it under another key.
    pub(super) fn master(&self) -> Secret {
        Secret::new(hex(&self.master))
    }

    pub(super) fn copy_master(&self) -> Master {
        self.master.clone()
    }

    /// A master key that was sealed under this one.
    pub(super) fn open_master(&self, place: &str, sealed: &Sealed) -> Result<Master> {
        let text = self.open("meta", place, sealed)?;
        let master = unhex(text.expose()).ok_or_else(|| Error::internal("opening a key", "not hexadecimal"))?;
        Ok(Zeroizing::new(master))
    }

    pub(super) fn seal(&self, table: &str, key: &str, secret: &Secret) -> Result<Sealed> {
        let nonce = random_bytes::<NONCE_LEN>();
        let payload = Payload { msg: secret.expose().as_bytes(), aad: &associated_data(table, key) };
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
        let payload = Payload { msg: text, aad: &associated_data(table, key) };
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

/// A fresh master key.
pub(super) fn fresh_master() -> Master {
    Zeroizing::new(random_bytes::<KEY_LEN>().to_vec())
}

/// The place a secret belongs to, bound in as associated data: it cannot be moved to another record.
fn associated_data(table: &str, key: &str) -> Vec<u8> {
    [table.as_bytes(), b"\0", key.as_bytes()].concat()
}

#[expect(clippy::disallowed_methods, reason = "nonces and keys are drawn here")]
pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_in_its_own_place() {
        let keys = Keys::derive(Zeroizing::new(vec![7; 32])).unwrap();
        let secret = Secret::new("swordfish");
        let sealed = keys.seal("accounts", "a-1", &secret).unwrap();
        assert_eq!(keys.open("accounts", "a-1", &sealed).unwrap(), secret);
        assert!(keys.open("accounts", "a-2", &sealed).is_err());
        assert!(keys.open("clients", "a-1", &sealed).is_err());
        assert!(Keys::derive(Zeroizing::new(vec![8; 32])).unwrap().open("accounts", "a-1", &sealed).is_err());
        assert!(!serde_json::to_string(&sealed).unwrap().contains("swordfish"));
    }

    #[test]
    fn equal_secrets_have_equal_references() {
        let keys = Keys::derive(Zeroizing::new(vec![7; 32])).unwrap();
        assert_eq!(keys.reference(&Secret::new("a")), keys.reference(&Secret::new("a")));
        assert_ne!(keys.reference(&Secret::new("a")), keys.reference(&Secret::new("b")));
    }
}
