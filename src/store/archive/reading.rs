//! An archive that is read, and what a crash left of one.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::DeflateDecoder;

use super::writing::ArchiveWriter;
use super::{
    ArchiveDirectory, ArchiveEnd, ArchiveFile, ArchiveSubject, END, FORMAT, FRAME_HEAD_LEN, FRAME_LEN_MAX, FrameSeal,
    Hash, LABEL_LEN_MAX, Label, MESSAGES, damaged, hash, no_archive, unreadable, unwritable,
};
use crate::base::text::hex;
use crate::base::{ArchiveName, Error, Kind, Result, Timestamp};
use crate::store::Store;

/// Reads the frames of an archive in their order.
pub struct ArchiveReader {
    from: BufReader<File>,
    subject: ArchiveSubject,
    seal: FrameSeal,
    before: Hash,
    /// Bytes of the label and of the frames so far.
    whole_len: u64,
    /// Bytes behind them.
    left: u64,
    messages: u64,
    payload_bytes: u64,
    end: Option<ArchiveEnd>,
}

/// The messages of a frame, not unpacked yet.
pub struct Packed {
    /// How many there are.
    pub messages: u32,
    records_len: u32,
    chunk: Vec<u8>,
}

/// Bytes of a chunk of messages before these: the hash, how many there are, and their length.
const MESSAGES_AT: usize = 32 + 4 + 4;

impl Packed {
    fn read(chunk: Vec<u8>) -> Option<Self> {
        let number = |at: usize| Some(u32::from_be_bytes(chunk.get(at..at + 4)?.try_into().ok()?));
        let (messages, records_len) = (number(32)?, number(36)?);
        Some(Self { messages, records_len, chunk })
    }

    /// The records, as they were given to [`ArchiveWriter::append`].
    pub fn unpack(self) -> Result<Vec<u8>> {
        let len = self.records_len as usize;
        let mut records = Vec::with_capacity(len);
        let packed = self.chunk.get(MESSAGES_AT..).unwrap_or_default();
        let unpacking = DeflateDecoder::new(packed).take(u64::from(self.records_len) + 1);
        BufReader::new(unpacking).read_to_end(&mut records).map_err(damaged)?;
        if records.len() == len { Ok(records) } else { Err(damaged("a frame has another length than it says")) }
    }
}

impl Store {
    /// Opens the file of an archive, by the key that it was sealed by.
    ///
    /// # Errors
    /// `NotFound` when it has none; `Conflict` when it is none, or sealed by another store's key.
    pub fn open_archive(&self, directory: &ArchiveDirectory, name: &ArchiveName) -> Result<ArchiveReader> {
        let file = File::open(directory.file(name)).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::not_found("the file of the archive is gone").because(e),
            _ => unreadable(e),
        })?;
        self.read_archive(file, name)
    }

    fn read_archive(&self, file: File, name: &ArchiveName) -> Result<ArchiveReader> {
        let len = file.metadata().map_err(unreadable)?.len();
        let mut from = BufReader::new(file);
        let mut line = Vec::new();
        (&mut from).take(LABEL_LEN_MAX).read_until(b'\n', &mut line).map_err(unreadable)?;
        let label: Label = serde_json::from_slice(&line).map_err(|e| no_archive().because(e))?;
        if label.format != FORMAT || label.name != *name || !line.ends_with(b"\n") {
            return Err(no_archive());
        }
        let keyring = self.keyring.get();
        let keys = keyring
            .by_id(&label.key_id)
            .ok_or_else(|| Error::conflict(format!("the archive is sealed by another key: {}", label.key_id)))?;
        let (before, whole_len) = (hash(&line), line.len() as u64);
        let seal = FrameSeal { cipher: keys.archives().clone(), label: line };
        let Label { name, queue, namespace, kind, taken, why, .. } = label;
        let subject = ArchiveSubject { name, queue, namespace, kind, taken, why };
        let left = len.saturating_sub(whole_len);
        Ok(ArchiveReader { from, subject, seal, before, whole_len, left, messages: 0, payload_bytes: 0, end: None })
    }

    /// Finishes what a crash left of an archive: the frames that are whole stay, what is behind them is cut off, and a last
    /// frame says so with `problem`. One that is finished stays as it is. `payload` counts the bytes of bodies in records.
    pub fn mend_archive(
        &self,
        directory: &ArchiveDirectory,
        name: &ArchiveName,
        finished: Timestamp,
        problem: &str,
        payload: impl Fn(&[u8]) -> Result<u64>,
    ) -> Result<(ArchiveSubject, ArchiveFile)> {
        let file = open_for_mending(&directory.file(name))?;
        let mut reader = self.read_archive(file.try_clone().map_err(unreadable)?, name)?;
        loop {
            match reader.next_frame() {
                Ok(Some(packed)) => reader.payload_bytes += payload(&packed.unpack()?)?,
                Ok(None) => {
                    let file = reader.file();
                    return Ok((reader.subject, file));
                }
                // A disk that cannot be read now may be well again later.
                Err(error) if error.kind() == Kind::Unavailable => return Err(error),
                Err(_) => break,
            }
        }
        let ArchiveReader { subject, seal, before, whole_len: len, messages, payload_bytes, .. } = reader;
        file.set_len(len).and_then(|()| file.sync_all()).map_err(unwritable)?;
        let writer = ArchiveWriter { file, seal, before, len, messages, payload_bytes, is_broken: true };
        Ok((subject, writer.finish(finished, 0, Some(problem.to_owned()))?))
    }
}

fn open_for_mending(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).write(true).open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::not_found("the file of the archive is gone").because(e),
        _ => unwritable(e),
    })
}

impl ArchiveReader {
    /// What its label says.
    pub fn subject(&self) -> &ArchiveSubject {
        &self.subject
    }

    /// The next messages; none behind the last ones, when the archive was found whole to its end.
    ///
    /// # Errors
    /// `Conflict` when anything was changed, moved or left out, or the end is missing.
    pub fn next_frame(&mut self) -> Result<Option<Packed>> {
        if self.end.is_some() {
            return Ok(None);
        }
        let (kind, chunk) = self.next_chunk()?;
        if kind == MESSAGES {
            let packed = Packed::read(chunk).ok_or_else(|| damaged("a frame is too short"))?;
            self.messages += u64::from(packed.messages);
            return Ok(Some(packed));
        }
        let end: ArchiveEnd = serde_json::from_slice(&chunk[self.before.len()..]).map_err(damaged)?;
        if self.left > 0 || end.messages != self.messages {
            return Err(damaged("it does not end where it says"));
        }
        self.end = Some(end);
        Ok(None)
    }

    /// What is known of a file that was read to its end.
    fn file(&self) -> ArchiveFile {
        let (messages, payload_bytes) = (self.messages, self.payload_bytes);
        let unknown = ArchiveEnd { messages, payload_bytes, finished: self.subject.taken, arrived: 0, problem: None };
        ArchiveFile { end: self.end.clone().unwrap_or(unknown), head: hex(&self.before), len: self.whole_len }
    }

    fn next_chunk(&mut self) -> Result<(u8, Vec<u8>)> {
        let mut head = [0; FRAME_HEAD_LEN];
        let cut = || damaged("its end is missing");
        self.from.read_exact(&mut head).map_err(|e| short(e, cut))?;
        let [kind, len @ ..] = head;
        let len = u64::from(u32::from_be_bytes(len));
        let frame_len = len + FRAME_HEAD_LEN as u64;
        if !matches!(kind, MESSAGES | END) || len > FRAME_LEN_MAX || frame_len > self.left {
            return Err(cut());
        }
        let mut frame = head.to_vec();
        (&mut self.from).take(len).read_to_end(&mut frame).map_err(unreadable)?;
        if frame.len() as u64 != frame_len {
            return Err(cut());
        }
        let chunk = self.seal.open(kind, &frame[FRAME_HEAD_LEN..])?;
        if !chunk.starts_with(&self.before) {
            return Err(damaged("a frame does not follow the one before it"));
        }
        self.before = hash(&frame);
        self.whole_len += frame_len;
        self.left -= frame_len;
        Ok((kind, chunk))
    }
}

fn short(error: std::io::Error, cut: impl FnOnce() -> Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => cut(),
        _ => unreadable(error),
    }
}
