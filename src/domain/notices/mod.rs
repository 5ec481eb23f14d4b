//! Notices: what a person should hear, kept in an outbox from the transaction of its cause until it is delivered.
//!
//! Every receiver of a notice is a delivery of its own, with its own state. Delivery is at least once: a crash after a
//! mail was taken and before that was written down sends it again, with the same id, by which its receiver can tell.
//! What waits for one receiver goes in order, and a receiver that cannot be reached holds up no other.

mod deliver;
mod digest;
mod letters;
mod prune;
mod record;
mod ways;

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use crate::base::audit::{Action, Actor, Note};
use crate::base::{Error, Result, Timestamp};
use crate::store::{Store, WriteTx};
use record::{BRIEFS, Brief, Delivery, NOTICES, OUTBOX, Place, Record, Waiting};

pub use deliver::{Delivered, DeliveryCounts};
pub use letters::{Filter, Letter, Listed, State};
pub use record::{Channel, End, NoticeId};
pub use ways::{MailWay, WayState, Ways};

/// The name of the loop, in the audit log and on the console.
const LOOP: &str = "deliver";
/// People who hear of one notice: the contact of a namespace and its owners.
const RECIPIENTS_MAX: usize = 21;
/// Longest address that is kept; a longer one is no address, and is refused when it comes to sending.
const ADDRESS_LEN_MAX: usize = 255;
/// Longest kind and name of a thing; names at the broker have at most 255 bytes.
const NAME_LEN_MAX: usize = 512;
/// Longest subject, in characters: what the notify service takes (taskcluster.md 7).
const SUBJECT_LEN_MAX: usize = 255;
/// Longest text of a notice.
const BODY_LEN_MAX: usize = 16 << 10;

/// Something a person should hear.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What kind of thing happened: `queue.warn`, `queue.delete`, `queue.normal`, `connections.outlive`, ….
    pub kind: &'static str,
    /// The name of the thing.
    pub about: String,
    /// Mail addresses; when there are none, only the webhook hears it. One that is no address becomes a dead letter.
    pub to: Vec<String>,
    /// In one line. What is too long is cut.
    pub subject: String,
    /// Plain text or markdown, without secrets. What is too long is cut.
    pub body: String,
}

/// The outbox of this appliance. Cheap to clone.
#[derive(Clone)]
pub struct Notices {
    store: Store,
    ways: Arc<Ways>,
    delivery_counts: Arc<DeliveryCounts>,
    /// When records were last pruned; milliseconds.
    pruned: Arc<AtomicI64>,
}

impl Notices {
    /// The notices in this store, which go out by these ways.
    pub fn new(store: Store, ways: Ways) -> Self {
        let pruned = AtomicI64::new(Timestamp::MIN.as_millis()).into();
        Self { store, ways: ways.into(), delivery_counts: Arc::default(), pruned }
    }

    /// What became of deliveries since the start.
    pub fn delivery_counts(&self) -> &DeliveryCounts {
        &self.delivery_counts
    }

    /// Puts a notice into the outbox, in the transaction of its cause: both are true, or neither. Adds its own audit
    /// entry, by the appliance.
    pub fn post(&self, tx: &mut WriteTx<'_, '_>, notice: Notice) -> Result<()> {
        self.post_by(tx, Actor::Appliance, notice).map(drop)
    }

    /// The same by somebody else, and with the id.
    pub fn post_by(&self, tx: &mut WriteTx<'_, '_>, actor: Actor, notice: Notice) -> Result<NoticeId> {
        let mut addresses: Vec<String> = Vec::new();
        for address in notice.to.iter().map(|address| cut(address.trim(), ADDRESS_LEN_MAX)) {
            if !address.is_empty() && !addresses.iter().any(|other| other == address) {
                addresses.push(address.to_owned());
            }
        }
        addresses.truncate(RECIPIENTS_MAX);
        let webhook = self.ways.webhook.is_some().then_some(Channel::Webhook);
        let subject = one_line(&notice.subject);
        let record = Record {
            kind: cut(notice.kind, NAME_LEN_MAX).to_owned(),
            about: cut(&notice.about, NAME_LEN_MAX).to_owned(),
            subject: if subject.is_empty() { notice.kind.to_owned() } else { subject },
            body: cut(&notice.body, BODY_LEN_MAX).to_owned(),
            posted: tx.now(),
            deliveries: addresses.into_iter().map(Channel::Mail).chain(webhook).map(Delivery::pending).collect(),
        };
        let receivers: Vec<String> = record.deliveries.iter().map(|delivery| delivery.channel.to_string()).collect();
        let id = insert(tx, &record, false)?;
        let note = Note::done(actor, Action::NoticePost, &id).with("kind", record.kind).with("about", record.about);
        tx.audit(note.with("to", receivers));
        Ok(id)
    }

    /// A notice with its text.
    pub fn letter(&self, id: &NoticeId) -> Result<Letter> {
        self.store.read(|tx| {
            let record = tx.get(&NOTICES, id)?.ok_or_else(|| no_such(id))?;
            let Record { kind, about, subject, body, posted, deliveries } = record;
            let brief = Brief { kind, about, subject, posted, deliveries };
            Ok(Letter { listed: letters::listed(tx, id.clone(), brief)?, body })
        })
    }

    /// At most `limit` notices, newest first, older than `before` when that is given.
    pub async fn list(&self, filter: Filter, before: Option<NoticeId>, limit: usize) -> Result<Vec<Listed>> {
        let survey = self.store.survey(move |tx| {
            let mut rows = tx.scan(&BRIEFS, Bound::Unbounded, prune::SCAN_MAX)?;
            rows.retain(|(id, brief)| before.as_ref().is_none_or(|before| id < before) && filter.admits(brief));
            let newest = rows.into_iter().rev().take(limit.min(letters::PAGE_LEN_MAX));
            newest.map(|(id, brief)| letters::listed(tx, id, brief)).collect()
        });
        survey.await
    }

    /// How the way of mail is, without sending any; and whether there is a webhook.
    pub async fn look(&self) -> (WayState, bool) {
        (self.ways.mail.look().await, self.ways.webhook.is_some())
    }

    /// Where mail goes, in words.
    pub fn mail_goes_to(&self) -> &'static str {
        self.ways.mail.name()
    }

    pub fn waiting(&self) -> Result<u64> {
        self.store.read(|tx| tx.count(&OUTBOX))
    }
}

/// Writes a record, and its deliveries into the outbox. The caller adds the audit entry.
fn insert(tx: &mut WriteTx<'_, '_>, record: &Record, digest: bool) -> Result<NoticeId> {
    let id = NoticeId::next(tx)?;
    for (index, delivery) in record.deliveries.iter().enumerate() {
        let waiting = Waiting::new(delivery.channel.clone(), tx.now(), digest);
        tx.put(&OUTBOX, &Place { id: id.clone(), index }, &waiting)?;
    }
    tx.put(&NOTICES, &id, record)?;
    Ok(id)
}

impl Delivery {
    fn pending(channel: Channel) -> Self {
        Self { channel, end: None }
    }
}

fn no_such(id: &NoticeId) -> Error {
    Error::not_found(format!("notice '{id}' does not exist"))
}

/// The text up to this many bytes, at a character's border.
fn cut(text: &str, len_max: usize) -> &str {
    &text[..text.floor_char_boundary(len_max)]
}

/// A text as one line of bounded length.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT_LEN_MAX).collect();
    line.trim().to_owned()
}
