//! Checkpoints: signed words about how long the audit chain was, and what its last entry said.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::Head;
use crate::base::text::{hex, unhex};
use crate::base::{Error, Result, Secret, Timestamp};

/// What is signed begins so, that no signature means something else.
const PURPOSE: &str = "keylender checkpoint 1";

/// A signed head of the audit chain. Whoever kept one somewhere else sees that the log was cut off before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Number of the last entry.
    pub seq: u64,
    /// Hexadecimal SHA-256 of its bytes.
    pub hash: String,
    /// When it was signed.
    pub time: Timestamp,
    /// The public key (Ed25519, hexadecimal) that verifies the signature. It says nothing unless it is known as ours.
    pub key: String,
    /// The signature, in base64.
    pub signature: String,
}

impl Checkpoint {
    /// Checks the signature by the key that stands beside it, and returns the head that it is about.
    pub fn verify(&self) -> Result<Head> {
        let bad = |what: &str| Error::conflict(format!("the checkpoint of audit entry {} {what}", self.seq));
        // One form only: what can be written in two ways can be changed unseen.
        let read = |text: &str| unhex(text).filter(|bytes| hex(bytes) == text);
        let key = read(&self.key).ok_or_else(|| bad("has no readable key"))?;
        let signature = STANDARD_NO_PAD.decode(&self.signature).map_err(|_| bad("has no readable signature"))?;
        let message = message(self.seq, &self.hash, self.time);
        UnparsedPublicKey::new(&ED25519, key)
            .verify(message.as_bytes(), &signature)
            .map_err(|_| bad("is not signed by its key: it was changed"))?;
        let hash = read(&self.hash).and_then(|hash| hash.try_into().ok()).ok_or_else(|| bad("has no readable hash"))?;
        Ok(Head { seq: self.seq, hash })
    }
}

fn message(seq: u64, hash: &str, time: Timestamp) -> String {
    format!("{PURPOSE}\n{seq}\n{hash}\n{time}\n")
}

/// The key that signs checkpoints. It stays the same when the sealing key changes, so that it can be pinned.
pub(super) struct Signer(Ed25519KeyPair);

impl Signer {
    /// From its seed, 32 bytes in hexadecimal.
    pub(super) fn from_seed(seed: &Secret) -> Result<Self> {
        let bad = |e: String| Error::internal("reading the key that signs the audit log", e);
        let seed = zeroize::Zeroizing::new(unhex(seed.expose()).ok_or_else(|| bad("not hexadecimal".into()))?);
        Ed25519KeyPair::from_seed_unchecked(&seed).map(Self).map_err(|e| bad(e.to_string()))
    }

    pub(super) fn public_key(&self) -> String {
        hex(self.0.public_key().as_ref())
    }

    pub(super) fn sign(&self, head: &Head, time: Timestamp) -> Checkpoint {
        let hash = head.hash_hex();
        let signature = self.0.sign(message(head.seq, &hash, time).as_bytes());
        let signature = STANDARD_NO_PAD.encode(signature.as_ref());
        Checkpoint { seq: head.seq, hash, time, key: self.public_key(), signature }
    }
}
