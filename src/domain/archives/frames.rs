//! The messages of an archive, a frame at a time, read on the pool for blocking work.

use super::{Archives, codec};
use crate::base::{ArchiveName, Error, Result};
use crate::ports::broker::Message;
use crate::store::ArchiveReader;

/// Messages, and the number of the first of them.
type Numbered = (u64, Vec<Message>);

/// The messages from some number on.
pub(super) struct Frames {
    /// None while it is read, and after that failed.
    reader: Option<ArchiveReader>,
    /// Number of the next message, from zero.
    at: u64,
    /// Number of the first one that is wanted.
    from: u64,
}

impl Archives {
    pub(super) async fn frames(&self, name: &ArchiveName, from: u64) -> Result<Frames> {
        let name = name.clone();
        let reader = self.blocking(move |store, config| store.open_archive(&config.directory, &name)).await?;
        Ok(Frames { reader: Some(reader), at: 0, from })
    }
}

impl Frames {
    /// The next messages, and the number of the first of them; none behind the last one, when the archive was found whole.
    pub(super) async fn next(&mut self) -> Result<Option<Numbered>> {
        let reader = self.reader.take().ok_or_else(|| Error::internal("reading an archive", "it failed before"))?;
        let (at, from) = (self.at, self.from);
        let read = tokio::task::spawn_blocking(move || read(reader, at, from)).await;
        let (reader, read) = read.map_err(|e| Error::internal("reading an archive", e))??;
        self.reader = Some(reader);
        let Some((first, messages)) = read else { return Ok(None) };
        self.at = first + messages.len() as u64;
        Ok(Some((first, messages)))
    }
}

/// The next frame with a message that is wanted. Those before it are opened, since each proves the next one, and not unpacked.
fn read(mut reader: ArchiveReader, mut at: u64, from: u64) -> Result<(ArchiveReader, Option<Numbered>)> {
    while let Some(packed) = reader.next_frame()? {
        let behind = at + u64::from(packed.messages);
        if behind <= from {
            at = behind;
            continue;
        }
        let mut messages = codec::decode(&packed.unpack()?)?;
        let unwanted = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX).min(messages.len());
        messages.drain(..unwanted);
        return Ok((reader, Some((at.max(from), messages))));
    }
    Ok((reader, None))
}
