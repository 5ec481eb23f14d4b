//! Archives of queues as files: sealed frames, each durable by itself and bound to the one before it.
//!
//! A file is a line of JSON, the *label*, in clear, and behind it *frames*. A frame is its kind (a byte), the length of what
//! follows (four), a nonce (24) and a chunk sealed by a key derived from the store's, to which label and kind are bound. The
//! chunk begins with the SHA-256 of the frame before (of the label, in the first one); then come messages, packed by deflate,
//! or in the last frame how the archive ended. So what was written until a crash can be read, and a frame that was changed,
//! left out or moved is found; that the end was cut off shows because there is no last frame.
//!
//! Nonces are random, where a backup counts its chunks: the frame that a crash tore is followed by another one in its place,
//! and a nonce must not serve for both. The order of frames is what the hashes are for.

mod directory;
mod reading;
mod writing;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use directory::ArchiveDirectory;
pub use reading::{ArchiveReader, Packed};
pub use writing::ArchiveWriter;

use super::seal::random_bytes;
use crate::base::{ArchiveName, Error, NamespaceName, Result, Timestamp};

/// What a label begins with, so that a file says itself what it is.
const FORMAT: &str = "keylender archive 1";
/// Bytes of the label: a queue's name and a reason take two thousand at most, and six times that as JSON escapes them.
const LABEL_LEN_MAX: u64 = 16 << 10;
/// Bytes of a frame: the largest message that a broker takes (512 MiB) and a batch beside it.
const FRAME_LEN_MAX: u64 = 640 << 20;
/// Kinds of frames: messages, and the last one.
const MESSAGES: u8 = b'm';
const END: u8 = b'e';
/// Bytes of a frame before its nonce.
const FRAME_HEAD_LEN: usize = 5;
/// Bytes of the nonce of a frame. Random ones of this size do not meet within any store's life.
const NONCE_LEN: usize = 24;

/// The SHA-256 of a frame.
type Hash = [u8; 32];

/// What an archive is about, as its label says to whoever holds the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveSubject {
    /// What it is called.
    pub name: ArchiveName,
    /// The queue.
    pub queue: String,
    /// Whose that was.
    pub namespace: NamespaceName,
    /// `classic`, `quorum` or `stream`.
    pub kind: String,
    /// When it was begun.
    pub taken: Timestamp,
    /// Why.
    pub why: String,
}

/// The label: the subject, and by what it is sealed. It is bound to the rest: with a changed one nothing opens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Label {
    format: String,
    name: ArchiveName,
    queue: String,
    namespace: NamespaceName,
    kind: String,
    taken: Timestamp,
    why: String,
    key_id: String,
}

/// How an archive ended, as its last frame says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArchiveEnd {
    /// Messages in it.
    pub messages: u64,
    /// Bytes of their bodies.
    pub payload_bytes: u64,
    /// When.
    pub finished: Timestamp,
    /// Messages that were left in the queue.
    #[serde(default)]
    pub arrived: u64,
    /// Why it does not hold all that there was, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What is known of the file of an archive that is finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveFile {
    /// How it ended.
    pub end: ArchiveEnd,
    /// The hash of its last frame, in hexadecimal.
    pub head: String,
    /// Bytes of the file.
    pub len: u64,
}

/// What seals and opens the frames of one archive.
struct FrameSeal {
    cipher: XChaCha20Poly1305,
    /// The label, to which every frame is bound.
    label: Vec<u8>,
}

impl FrameSeal {
    /// A whole frame.
    fn seal(&self, kind: u8, chunk: &[u8]) -> Result<Vec<u8>> {
        let nonce = random_bytes::<NONCE_LEN>();
        let payload = Payload { msg: chunk, aad: &self.bound_to(kind) };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|e| Error::internal("sealing a frame", e.to_string()))?;
        let len = u32::try_from(NONCE_LEN + sealed.len()).ok().filter(|len| u64::from(*len) <= FRAME_LEN_MAX);
        let len = len.ok_or_else(|| Error::unavailable("a message is too long for an archive"))?;
        Ok([[kind].as_slice(), &len.to_be_bytes(), &nonce, &sealed].concat())
    }

    /// The chunk of a frame, from what stands behind its head.
    fn open(&self, kind: u8, sealed: &[u8]) -> Result<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(|| damaged("a frame is too short"))?;
        let payload = Payload { msg: sealed, aad: &self.bound_to(kind) };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| damaged("a frame was changed"))
    }

    fn bound_to(&self, kind: u8) -> Vec<u8> {
        [self.label.as_slice(), &[kind]].concat()
    }
}

fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

fn damaged(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::conflict("the archive is damaged").because(cause)
}

fn no_archive() -> Error {
    Error::conflict("the file is no archive of a queue")
}

fn unreadable(error: std::io::Error) -> Error {
    Error::unavailable("the archive cannot be read").because(error)
}

fn unwritable(error: std::io::Error) -> Error {
    let message = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "the disk of the archives is full",
        _ => "the archive cannot be written",
    };
    Error::unavailable(message).because(error)
}
