//! The messages of an archive for people: a page of them, or all of them as lines of JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Archives;
use super::frames::Frames;
use crate::base::audit::Action;
use crate::base::{ArchiveName, Error, Result};
use crate::domain::auth::Caller;
use crate::ports::broker::Message;
use crate::store::Lent;

/// Messages of a page.
const PAGE_MAX: usize = 1000;
/// Bytes of a body that a page shows: enough to know a message by. An export has all of them.
const SHOWN_LEN_MAX: usize = 4096;

/// A message of an archive, as people read it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Archived {
    /// Its number in the archive, from zero.
    pub number: u64,
    /// The exchange that it was published to; empty for the default one.
    pub exchange: String,
    /// With which key.
    pub routing_key: String,
    /// Whether it was handed out before it was taken.
    pub redelivered: bool,
    /// Where it lay in its stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// What its publisher said of it, by the names that AMQP has.
    pub properties: Value,
    /// Bytes of its body.
    pub bytes: u64,
    /// The body, or its beginning.
    #[serde(flatten)]
    pub body: Body,
}

/// The body of a message: a text when it is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// It is UTF-8.
    Body(String),
    /// It is not, so it is in base64.
    BodyBase64(String),
}

impl Body {
    fn of(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|e| Self::BodyBase64(STANDARD.encode(e.as_bytes())), Self::Body)
    }

    /// The first bytes of a body. A text that is cut inside of a character loses the rest of that.
    fn beginning(mut bytes: Vec<u8>) -> Self {
        if bytes.len() > SHOWN_LEN_MAX {
            bytes.truncate(SHOWN_LEN_MAX);
            if let Err(e) = std::str::from_utf8(&bytes)
                && e.error_len().is_none()
            {
                bytes.truncate(e.valid_up_to());
            }
        }
        Self::of(bytes)
    }
}

impl Archived {
    fn of(number: u64, message: Message, body: impl FnOnce(Vec<u8>) -> Body) -> Result<Self> {
        let Message { exchange, routing_key, redelivered, offset, properties, body: bytes } = message;
        let properties = properties.to_json()?;
        let len = bytes.len() as u64;
        Ok(Self { number, exchange, routing_key, redelivered, offset, properties, bytes: len, body: body(bytes) })
    }
}

impl Archives {
    /// A page of messages from number `skip` on, for people, with the beginnings of their bodies. What people sent to one
    /// another leaves with an entry that says who read it.
    pub async fn messages(
        &self,
        caller: &Caller,
        name: &ArchiveName,
        skip: u64,
        at_most: usize,
    ) -> Result<Lent<Vec<Archived>>> {
        self.whole(name).await?;
        let mut frames = self.frames(name, skip).await?;
        let (mut page, at_most) = (Vec::new(), at_most.min(PAGE_MAX));
        while page.len() < at_most
            && let Some((first, messages)) = frames.next().await?
        {
            let wanted = (first..).zip(messages).take(at_most - page.len());
            for (number, message) in wanted {
                page.push(Archived::of(number, message, Body::beginning)?);
            }
        }
        let note = caller.note(Action::ArchiveRead, name).with("messages", page.len());
        self.store.write(move |tx| Ok(tx.lend(note, page))).await
    }

    /// All messages as lines of JSON, a part at a time. The entry that says who has them is durable before the first one.
    pub async fn export(&self, caller: &Caller, name: &ArchiveName) -> Result<Lent<Export>> {
        let archive = self.whole(name).await?;
        let export = Export { frames: self.frames(name, 0).await? };
        let note = archive.tell(caller.note(Action::ArchiveExport, name));
        self.store.write(move |tx| Ok(tx.lend(note, export))).await
    }
}

/// The messages of an archive as lines of JSON. Memory is for one frame at a time.
pub struct Export {
    frames: Frames,
}

impl Export {
    /// The next lines; none behind the last one, when the archive was found whole to its end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let Some((first, messages)) = self.frames.next().await? else { return Ok(None) };
        let mut lines = Vec::new();
        for (number, message) in (first..).zip(messages) {
            let archived = Archived::of(number, message, Body::of)?;
            serde_json::to_writer(&mut lines, &archived).map_err(|e| Error::internal("writing a message", e))?;
            lines.push(b'\n');
        }
        Ok(Some(lines))
    }
}
