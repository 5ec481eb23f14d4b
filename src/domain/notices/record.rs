//! What the store holds of notices: what was said, what still has to go out, and how each delivery ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::{Error, Result, Secret, Timestamp};
use crate::store::{Table, WriteTx};

/// What was said, and how each delivery ended.
pub(super) const NOTICES: Table<NoticeId, Record> = Table::audited("notices");
/// The same records without their text, which is most of them.
pub(super) const BRIEFS: Table<NoticeId, Brief> = Table::audited("notices");
/// What still has to go out, oldest first. Its rows are attempts and due times; the end of each is written above.
pub(super) const OUTBOX: Table<Place, Waiting> = Table::plain("notices.outbox");
/// The number of the latest notice.
const NUMBERS: Table<String, u64> = Table::plain("notices.numbers");
/// The one key of that table.
const LATEST: &str = "latest";

/// Digits of a number: for the order of the keys, and enough for thirty years at a thousand in a second.
const NUMBER_LEN: usize = 12;
const RANDOM_LEN: usize = 8;

/// A notice: its number, and random characters, so that an id never comes twice even when a restored backup brings
/// numbers back. Ids sort by age.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NoticeId(String);

impl NoticeId {
    pub(super) fn next(tx: &mut WriteTx<'_, '_>) -> Result<Self> {
        let key = LATEST.to_owned();
        let number = tx.get(&NUMBERS, &key)?.unwrap_or(0) + 1;
        tx.put(&NUMBERS, &key, &number)?;
        let random = Secret::generate();
        Ok(Self(format!("{number:0NUMBER_LEN$}-{}", &random.expose()[..RANDOM_LEN])))
    }
}

impl FromStr for NoticeId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = |(number, random): (&str, &str)| {
            number.len() == NUMBER_LEN
                && number.bytes().all(|b| b.is_ascii_digit())
                && random.len() == RANDOM_LEN
                && random.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if text.split_once('-').is_some_and(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::invalid("not the id of a notice"))
        }
    }
}

impl TryFrom<String> for NoticeId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<NoticeId> for String {
    fn from(id: NoticeId) -> Self {
        id.0
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One delivery of a notice, as the key of the outbox and as the id that its receiver sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub id: NoticeId,
    /// Its place among the deliveries of the record; two digits.
    pub index: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.id, self.index)
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('.').and_then(|(id, index)| Some((id.parse().ok()?, index.parse().ok()?)));
        parts.map(|(id, index)| Self { id, index }).ok_or_else(|| Error::invalid("not a delivery"))
    }
}

/// Who hears of a notice. What is sent to one channel keeps its order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A person at this address. By which way the mail goes is decided when it goes.
    Mail(String),
    Webhook,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail(address) => f.write_str(address),
            Self::Webhook => f.write_str("webhook"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Delivered {
        at: Timestamp,
        /// By which way: `smtp`, `spool`, `notify` or `webhook`.
        by: String,
    },
    /// It went into a digest, whose own delivery says the rest.
    Gathered {
        at: Timestamp,
        /// The notice that is the digest.
        into: NoticeId,
    },
    /// It was given up: a dead letter.
    Dead {
        at: Timestamp,
        /// How often it was tried.
        attempts: u32,
        /// Why the last try failed.
        fault: String,
    },
}

impl End {
    pub(super) fn at(&self) -> Timestamp {
        match self {
            Self::Delivered { at, .. } | Self::Gathered { at, .. } | Self::Dead { at, .. } => *at,
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        matches!(self, Self::Dead { .. })
    }
}

/// A delivery in the record of its notice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub channel: Channel,
    /// **Invariant:** there is none exactly while the outbox has a row for this delivery.
    pub end: Option<End>,
}

/// A notice as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub kind: String,
    pub about: String,
    pub subject: String,
    pub body: String,
    pub posted: Timestamp,
    pub deliveries: Vec<Delivery>,
}

/// A notice without its text.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Brief {
    pub kind: String,
    pub about: String,
    pub subject: String,
    pub posted: Timestamp,
    pub deliveries: Vec<Delivery>,
}

impl Brief {
    /// Whether nothing waits.
    pub fn is_over(&self) -> bool {
        self.deliveries.iter().all(|delivery| delivery.end.is_some())
    }

    /// Whether it holds a dead letter.
    pub fn is_dead(&self) -> bool {
        self.deliveries.iter().any(|delivery| delivery.end.as_ref().is_some_and(End::is_dead))
    }

    /// When the last of it ended.
    pub fn ended(&self) -> Timestamp {
        self.deliveries.iter().filter_map(|delivery| Some(delivery.end.as_ref()?.at())).max().unwrap_or(self.posted)
    }
}

/// A delivery that still has to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub channel: Channel,
    pub attempts: u32,
    /// When the next one may begin.
    pub due: Timestamp,
    pub since: Timestamp,
    /// Whether it is a digest, which goes into no other.
    pub digest: bool,
    /// Why the last try failed.
    pub fault: Option<String>,
}

impl Waiting {
    pub fn new(channel: Channel, now: Timestamp, digest: bool) -> Self {
        Self { channel, attempts: 0, due: now, since: now, digest, fault: None }
    }
}

/// Writes how a delivery ended, and takes it out of the outbox. The caller adds the audit entry.
pub(super) fn end(tx: &mut WriteTx<'_, '_>, place: &Place, end: End) -> Result<()> {
    tx.delete(&OUTBOX, place);
    if let Some(mut record) = tx.get(&NOTICES, &place.id)?
        && let Some(delivery) = record.deliveries.get_mut(place.index)
    {
        delivery.end = Some(end);
        tx.put(&NOTICES, &place.id, &record)?;
    }
    Ok(())
}
