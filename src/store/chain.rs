//! The hash-chained audit log: every entry holds the SHA-256 of the one before.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::base::audit::{Actor, Outcome};
use crate::base::text::hex;
use crate::base::{Error, Result, Timestamp};

/// `prev` of the first entry.
const GENESIS: [u8; 32] = [0; 32];

/// One entry of the log as it is stored, shown and exported. The member order is part of its hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry<'a> {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// When, by the clock of the transaction that it committed with.
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, as `noun.verb`.
    pub action: Cow<'a, str>,
    /// To what.
    pub object: Cow<'a, str>,
    /// With which end.
    pub outcome: Outcome,
    /// The request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
    /// HMACs of the secrets it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// What else there is to know.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
    /// Hexadecimal SHA-256 of the bytes of the previous entry.
    pub prev: Cow<'a, str>,
}

/// The end of a chain: how many entries, and the hash of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the last entry; 0 for an empty log.
    pub seq: u64,
    /// Hash of the last entry's bytes.
    pub hash: [u8; 32],
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { seq: 0, hash: GENESIS };

    /// The hash in hexadecimal.
    pub fn hash_hex(&self) -> String {
        hex(&self.hash)
    }

    /// The head after an entry with these bytes.
    pub(super) fn after(self, bytes: &[u8]) -> Self {
        Self { seq: self.seq + 1, hash: Sha256::digest(bytes).into() }
    }

    /// Checks that these bytes are the entry that follows, and moves on. The message names the entry that does
    /// not fit, which is the first bad one when entries come in order.
    pub fn check(&mut self, seq: u64, bytes: &[u8]) -> Result<()> {
        if seq != self.seq + 1 {
            return Err(Error::conflict(format!("audit entry {} is missing", self.seq + 1)));
        }
        self.follow("", bytes)
    }

    /// The same for a line of an export, whose number is in the message, too.
    pub(super) fn check_line(&mut self, line: u64, bytes: &[u8]) -> Result<()> {
        self.follow(&format!("line {line}: "), bytes)
    }

    fn follow(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        let expected = self.seq + 1;
        let broken = |what: &str| Error::conflict(format!("{place}audit entry {expected} {what}"));
        let entry: Entry = serde_json::from_slice(bytes).map_err(|e| broken("cannot be read").because(e))?;
        if entry.seq != expected {
            return Err(broken(if entry.seq > expected { "is missing" } else { "carries another number" }));
        }
        if entry.prev != self.hash_hex() {
            // The link is broken between two entries: either one may be the changed one.
            return Err(broken(&format!("does not follow entry {}: one of the two was changed", self.seq)));
        }
        *self = self.after(bytes);
        Ok(())
    }
}
