//! A stream sealed in chunks: each can be read only in its place, and the last one is known to be the last.
//!
//! The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015): the nonce of a chunk is a random prefix, the
//! number of the chunk and whether it is the last. The head of the file is bound to every chunk.

use std::io::{Error as IoError, ErrorKind, Read, Result, Write};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

/// Bytes of a chunk before it is sealed: what either side keeps in memory.
const CHUNK_LEN: usize = 64 << 10;
/// Bytes that sealing adds.
const TAG_LEN: usize = 16;
/// Bytes of the random beginning of all nonces of a stream.
pub(super) const PREFIX_LEN: usize = 19;

/// What seals and opens the chunks of one stream.
pub(super) struct Seal<'k> {
    cipher: &'k XChaCha20Poly1305,
    prefix: [u8; PREFIX_LEN],
    head: Vec<u8>,
    chunk: u32,
}

impl<'k> Seal<'k> {
    pub(super) fn new(cipher: &'k XChaCha20Poly1305, prefix: [u8; PREFIX_LEN], head: Vec<u8>) -> Self {
        Self { cipher, prefix, head, chunk: 0 }
    }

    fn next_nonce(&mut self, is_last: bool) -> Result<XNonce> {
        let mut nonce = [0; 24];
        nonce[..PREFIX_LEN].copy_from_slice(&self.prefix);
        nonce[PREFIX_LEN..PREFIX_LEN + 4].copy_from_slice(&self.chunk.to_be_bytes());
        nonce[PREFIX_LEN + 4] = u8::from(is_last);
        // 2^32 chunks are 256 TiB.
        self.chunk = self.chunk.checked_add(1).ok_or_else(|| IoError::other("too long"))?;
        Ok(XNonce::from(nonce))
    }
}

/// Seals what is written to it. Without [`Sealing::finish`] it has no end, and cannot be read.
pub(super) struct Sealing<'k, W> {
    to: W,
    seal: Seal<'k>,
    chunk: Vec<u8>,
}

impl<'k, W: Write> Sealing<'k, W> {
    pub(super) fn new(to: W, seal: Seal<'k>) -> Self {
        Self { to, seal, chunk: Vec::with_capacity(CHUNK_LEN) }
    }

    /// Writes the last chunk.
    pub(super) fn finish(mut self) -> Result<W> {
        self.write_chunk(true)?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn write_chunk(&mut self, is_last: bool) -> Result<()> {
        let nonce = self.seal.next_nonce(is_last)?;
        let payload = Payload { msg: &self.chunk, aad: &self.seal.head };
        let sealed = self.seal.cipher.encrypt(&nonce, payload).map_err(|e| IoError::other(e.to_string()))?;
        self.chunk.clear();
        self.to.write_all(&sealed)
    }
}

impl<W: Write> Write for Sealing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        // A full chunk waits for the next byte: it may be the last one.
        if self.chunk.len() == CHUNK_LEN {
            self.write_chunk(false)?;
        }
        let len = bytes.len().min(CHUNK_LEN - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Opens what [`Sealing`] wrote. Any other bytes, and any end but the right one, are an error.
pub(super) struct Opening<'k, R> {
    from: R,
    seal: Seal<'k>,
    /// The sealed chunk that is read, and the first byte behind it, which tells that it is not the last one.
    sealed: Vec<u8>,
    opened: Vec<u8>,
    at: usize,
    is_over: bool,
}

impl<'k, R: Read> Opening<'k, R> {
    pub(super) fn new(from: R, seal: Seal<'k>) -> Self {
        Self { from, seal, sealed: Vec::new(), opened: Vec::new(), at: 0, is_over: false }
    }

    fn read_chunk(&mut self) -> Result<()> {
        let full = CHUNK_LEN + TAG_LEN;
        let wanted = full + 1 - self.sealed.len();
        (&mut self.from).take(wanted as u64).read_to_end(&mut self.sealed)?;
        let is_last = self.sealed.len() <= full;
        let rest = if is_last { Vec::new() } else { self.sealed.split_off(full) };
        let nonce = self.seal.next_nonce(is_last)?;
        let payload = Payload { msg: &self.sealed, aad: &self.seal.head };
        let opened = self.seal.cipher.decrypt(&nonce, payload);
        self.opened = opened.map_err(|_| {
            IoError::new(
                ErrorKind::InvalidData,
                format!("chunk {} was changed, or the end is missing", self.seal.chunk),
            )
        })?;
        (self.sealed, self.at, self.is_over) = (rest, 0, is_last);
        Ok(())
    }
}

impl<R: Read> Read for Opening<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.at == self.opened.len() && !self.is_over {
            self.read_chunk()?;
        }
        let len = out.len().min(self.opened.len() - self.at);
        out[..len].copy_from_slice(&self.opened[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}
