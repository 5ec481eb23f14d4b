//! Public keys of investigators, as agents read them from `agentkeys`: one armored block for each file.
//!
//! Read are keys of version 4 (RFC 4880 and 6637). What makes a key its owner's, the signatures over its names and
//! subkeys by itself, is checked for RSA and P-256; for DSA it is not, and [`PublicKey::is_checked`] says so.

mod armor;
mod packets;
mod signatures;

#[cfg(test)]
mod tests;

use std::fmt;

use sha1::{Digest, Sha1};

use self::packets::{Bytes, KeyPacket, Signature};
use self::signatures::{Outcome, check, prefixed};
use crate::base::text::hex;

/// Longest text of a key. One that hundreds have signed has less.
pub const TEXT_LEN_MAX: usize = 256 * 1024;
/// Names and subkeys of one key.
const PARTS_MAX: usize = 100;
/// Curves that the library of MIG's programs knows.
const CURVES_READ: [&str; 3] = ["P-256", "P-384", "P-521"];

/// What a key is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// With a modulus of so many bits.
    Rsa {
        /// Of its modulus.
        bits: usize,
    },
    /// With a prime of so many bits.
    Dsa {
        /// Of its modulus.
        bits: usize,
    },
    /// For encryption, with a prime of so many bits.
    Elgamal {
        /// Of its modulus.
        bits: usize,
    },
    /// On this curve, or `unknown`.
    Ecdsa {
        /// As OpenPGP calls it.
        curve: &'static str,
    },
    /// For encryption, on this curve.
    Ecdh {
        /// As OpenPGP calls it.
        curve: &'static str,
    },
    /// On this curve, which is Ed25519.
    Eddsa {
        /// As OpenPGP calls it.
        curve: &'static str,
    },
    /// One with this number, which MIG's programs cannot know.
    Other(u8),
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA of {bits} bits"),
            Self::Dsa { bits } => write!(f, "DSA of {bits} bits"),
            Self::Elgamal { bits } => write!(f, "ElGamal of {bits} bits"),
            Self::Ecdsa { curve } => write!(f, "ECDSA on {curve}"),
            Self::Ecdh { curve } => write!(f, "ECDH on {curve}"),
            Self::Eddsa { curve } => write!(f, "EdDSA on {curve}"),
            Self::Other(number) => write!(f, "algorithm {number}"),
        }
    }
}

/// Somebody's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// 40 upper-case hexadecimal digits, computed from the key.
    pub fingerprint: String,
    /// Whom it says it belongs to. There is at least one.
    pub user_ids: Vec<String>,
    /// What it signs by.
    pub algorithm: Algorithm,
    /// What its subkeys are for.
    pub subkeys: Vec<Algorithm>,
    /// In seconds since 1970.
    pub created: u64,
    /// The same, as the newest signature over a name says. Agents do not look at it.
    pub expires: Option<u64>,
    /// Whether its owner took it back. The revocation is a part of the key.
    pub is_revoked: bool,
    /// Whether its signatures over itself were checked and are good. A bad one is an error of [`PublicKey::read`].
    pub is_checked: bool,
    /// The key as a block that agents read: with its checksum, without headers.
    pub armored: String,
    has_checksum: bool,
}

impl PublicKey {
    /// Reads the only key of a text. The error says what it is instead, and repeats nothing of it: it may be a
    /// private key.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_LEN_MAX {
            return Err(format!("a key has at most {TEXT_LEN_MAX} bytes"));
        }
        let block = armor::open(text)?;
        let mut bytes = Bytes(&block.bytes);
        let mut reading = match bytes.packet()? {
            (6, body) => Reading::new(KeyPacket::read(body)?),
            (5 | 7, _) => return Err("it holds a private key".to_owned()),
            _ => return Err("it does not begin with a key".to_owned()),
        };
        while !bytes.0.is_empty() {
            let (tag, body) = bytes.packet()?;
            reading.packet(tag, body)?;
        }
        reading.finish()?;
        let Reading { key, fingerprint, user_ids, subkeys, newest, is_revoked, is_checked, .. } = reading;
        let created = u64::from(key.created);
        Ok(Self {
            fingerprint: hex(&fingerprint).to_ascii_uppercase(),
            user_ids,
            algorithm: key.algorithm,
            subkeys,
            created,
            expires: Some(u64::from(newest.1)).filter(|after| *after > 0).map(|after| created + after),
            is_revoked,
            is_checked,
            armored: armor::close(&block.bytes),
            has_checksum: block.has_checksum,
        })
    }

    /// Whether MIG's programs read the text that the key was read from, and if not, why. `armored` has its checksum
    /// in any case. A single file in `agentkeys` that an agent cannot read keeps it from reading all others.
    pub fn readable_by_mig(&self) -> Result<(), String> {
        if !self.has_checksum {
            return Err("the block has no checksum, the line that begins with `=`, which agents need".to_owned());
        }
        let subkeys = self.subkeys.iter().map(|subkey| ("a subkey", subkey));
        for (what, algorithm) in std::iter::once(("the key", &self.algorithm)).chain(subkeys) {
            match algorithm {
                Algorithm::Rsa { .. } | Algorithm::Dsa { .. } | Algorithm::Elgamal { .. } => (),
                Algorithm::Ecdsa { curve } | Algorithm::Ecdh { curve } if CURVES_READ.contains(curve) => (),
                _ => return Err(format!("{what} is {algorithm}: an agent that has such a key refuses every action")),
            }
        }
        Ok(())
    }

    /// What the key says of itself and agents do not look at, at a moment in seconds since 1970. Seen with those of
    /// March 2015, July 2017 and September 2019.
    pub fn ignored_by_mig(&self, now: u64) -> Vec<&'static str> {
        let is_over = self.expires.is_some_and(|end| end <= now);
        [
            (self.is_revoked, "it was revoked, and agents take its signatures all the same: take it out of acl.cfg"),
            (is_over, "it has expired, and agents take its signatures all the same"),
        ]
        .into_iter()
        .filter_map(|(is_so, said)| is_so.then_some(said))
        .collect()
    }
}

/// What a signature that comes next is about.
enum About {
    Key,
    /// A name, as it goes into signatures, and whether the key signed it.
    User {
        signed: Vec<u8>,
        is_bound: bool,
    },
    /// The same of a subkey.
    Subkey {
        signed: Vec<u8>,
        is_bound: bool,
    },
}

/// A key of which the packets up to somewhere were read.
struct Reading<'b> {
    key: KeyPacket<'b>,
    fingerprint: [u8; 20],
    user_ids: Vec<String>,
    subkeys: Vec<Algorithm>,
    about: About,
    /// Of the signatures over names: when it was made, and how long the key counts after it was made.
    newest: (u32, u32),
    is_revoked: bool,
    is_checked: bool,
}

impl<'b> Reading<'b> {
    fn new(key: KeyPacket<'b>) -> Self {
        Self {
            fingerprint: Sha1::digest(prefixed(0x99, key.body)).into(),
            key,
            user_ids: Vec::new(),
            subkeys: Vec::new(),
            about: About::Key,
            newest: (0, 0),
            is_revoked: false,
            is_checked: true,
        }
    }

    fn packet(&mut self, tag: u8, body: &'b [u8]) -> Result<(), String> {
        if self.user_ids.len() + self.subkeys.len() > PARTS_MAX {
            return Err(format!("it has more than {PARTS_MAX} names and subkeys"));
        }
        match tag {
            2 => return Signature::read(body)?.map_or(Ok(()), |signature| self.signature(&signature)),
            // What other programs keep beside a key.
            10 | 12 => (),
            6 => return Err("there are several keys: each goes into a file of its own".to_owned()),
            13 => {
                self.finish_part()?;
                self.user_ids.push(String::from_utf8_lossy(body).into_owned());
                self.about = About::User { signed: prefixed(0xb4, body), is_bound: false };
            }
            14 => {
                self.finish_part()?;
                self.subkeys.push(KeyPacket::read(body)?.algorithm);
                self.about = About::Subkey { signed: prefixed(0x99, body), is_bound: false };
            }
            17 => {
                self.finish_part()?;
                self.about = About::User { signed: prefixed(0xd1, body), is_bound: false };
            }
            5 | 7 => return Err("it holds a private key".to_owned()),
            _ => return Err("it holds something that is no part of a public key".to_owned()),
        }
        Ok(())
    }

    /// A signature by others is nothing to us, and one of a kind that does not belong there neither.
    fn signature(&mut self, signature: &Signature<'b>) -> Result<(), String> {
        if signature.issuer.is_none_or(|issuer| !self.fingerprint.ends_with(issuer) || issuer.len() != 8) {
            return Ok(());
        }
        let (outcome, is_bound) = match (&mut self.about, signature.kind) {
            (About::Key, 0x20) => {
                self.is_revoked = true;
                (check(signature, &self.key, &[]), None)
            }
            (About::User { signed, is_bound }, 0x10..=0x13) => {
                self.newest = self.newest.max((signature.created, signature.key_expires_after));
                (check(signature, &self.key, signed), Some(is_bound))
            }
            (About::Subkey { signed, is_bound }, 0x18) => (check(signature, &self.key, signed), Some(is_bound)),
            _ => return Ok(()),
        };
        if let Some(is_bound) = is_bound {
            *is_bound = true;
        }
        self.is_checked &= outcome == Outcome::Good;
        match outcome {
            Outcome::Bad => Err("a signature of the key over itself is bad: it was damaged, or forged".to_owned()),
            Outcome::Good | Outcome::Unchecked => Ok(()),
        }
    }

    /// Nothing is behind what was read last that would bind it to the key.
    fn finish_part(&self) -> Result<(), String> {
        match &self.about {
            About::User { is_bound: false, .. } => Err("a name is not signed by the key itself".to_owned()),
            About::Subkey { is_bound: false, .. } => Err("a subkey is not signed by the key itself".to_owned()),
            _ => Ok(()),
        }
    }

    fn finish(&self) -> Result<(), String> {
        if self.user_ids.is_empty() {
            return Err("it has no name".to_owned());
        }
        self.finish_part()
    }
}
