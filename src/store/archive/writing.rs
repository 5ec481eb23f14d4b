//! An archive that is being written.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::{
    ArchiveDirectory, ArchiveEnd, ArchiveFile, ArchiveSubject, END, FORMAT, FrameSeal, Hash, Label, MESSAGES, hash,
    unwritable,
};
use crate::base::text::hex;
use crate::base::{Error, Result, Timestamp};
use crate::store::Store;

/// The file of an archive that is not finished.
pub struct ArchiveWriter {
    pub(super) file: File,
    pub(super) seal: FrameSeal,
    /// The hash of the frame before.
    pub(super) before: Hash,
    /// Bytes that are durable.
    pub(super) len: u64,
    pub(super) messages: u64,
    pub(super) payload_bytes: u64,
    /// Whether a frame could not be written: then only the last one may follow.
    pub(super) is_broken: bool,
}

impl Store {
    /// Makes the file of an archive, with its label and durable in its directory.
    pub fn begin_archive(&self, directory: &ArchiveDirectory, subject: &ArchiveSubject) -> Result<ArchiveWriter> {
        let keyring = self.keyring.get();
        let ArchiveSubject { name, queue, namespace, kind, taken, why } = subject.clone();
        let (format, key_id) = (FORMAT.to_owned(), keyring.current.id().to_owned());
        let path = directory.file(&name);
        let label = Label { format, name, queue, namespace, kind, taken, why, key_id };
        let mut line = serde_json::to_vec(&label).map_err(|e| Error::internal("writing a label", e))?;
        line.push(b'\n');
        directory.make()?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
        file.write_all_at(&line, 0).and_then(|()| file.sync_all()).map_err(unwritable)?;
        directory.sync()?;
        let (before, len) = (hash(&line), line.len() as u64);
        let seal = FrameSeal { cipher: keyring.current.archives().clone(), label: line };
        Ok(ArchiveWriter { file, seal, before, len, messages: 0, payload_bytes: 0, is_broken: false })
    }
}

impl ArchiveWriter {
    /// Adds messages: `records` holds so many of them, with bodies of so many bytes. They are durable when this returns.
    pub fn append(&mut self, messages: u32, payload_bytes: u64, records: &[u8]) -> Result<()> {
        let too_long = || Error::unavailable("a message is too long for an archive");
        let records_len = u32::try_from(records.len()).map_err(|_| too_long())?;
        let mut chunk = Vec::with_capacity(records.len() / 2);
        chunk.extend_from_slice(&self.before);
        chunk.extend_from_slice(&messages.to_be_bytes());
        chunk.extend_from_slice(&records_len.to_be_bytes());
        let mut packing = DeflateEncoder::new(chunk, Compression::fast());
        let chunk = packing.write_all(records).and_then(|()| packing.finish()).map_err(unwritable)?;
        if self.is_broken {
            return Err(Error::unavailable("the archive could not be written before"));
        }
        self.put(MESSAGES, &chunk)?;
        self.messages += u64::from(messages);
        self.payload_bytes += payload_bytes;
        Ok(())
    }

    /// Bytes of the file.
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// Messages in it.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Writes the last frame: how many messages are left in the queue, and why there are not more in the archive, if so.
    pub fn finish(mut self, finished: Timestamp, arrived: u64, problem: Option<String>) -> Result<ArchiveFile> {
        let (messages, payload_bytes) = (self.messages, self.payload_bytes);
        let end = ArchiveEnd { messages, payload_bytes, finished, arrived, problem };
        let json = serde_json::to_vec(&end).map_err(|e| Error::internal("writing the end of an archive", e))?;
        let chunk = [self.before.as_slice(), &json].concat();
        self.put(END, &chunk)?;
        Ok(ArchiveFile { end, head: hex(&self.before), len: self.len })
    }

    /// Writes a frame and makes it durable. What a failure leaves of it is cut off: by this, or by who reads the file next.
    fn put(&mut self, kind: u8, chunk: &[u8]) -> Result<()> {
        let frame = self.seal.seal(kind, chunk)?;
        match self.file.write_all_at(&frame, self.len).and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.before = hash(&frame);
                self.len += frame.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.is_broken = true;
                // When this fails, too, the reader finds half a frame, which is no frame.
                let _ = self.file.set_len(self.len);
                Err(unwritable(error))
            }
        }
    }
}
