//! Digests: when much waits for one person, one mail that lists it.

use std::fmt::Write;

use super::record::{self, Channel, Delivery, End, NOTICES, OUTBOX, Place, Record, Waiting};
use super::{LOOP, Notices, cut, insert};
use crate::base::Result;
use crate::base::audit::{Action, Actor, Note};
use crate::store::WriteTx;

/// Notices that go to one person one by one. More than these are a flood, and a flood is one mail.
pub const SINGLE_MAX: usize = 5;
const GATHER_MAX: usize = 50;
/// What a digest repeats of each text; fifty of them stay below the notify service's limit (taskcluster.md 7).
const EXCERPT_LEN_MAX: usize = 1_000;
/// What kind of notice a digest is.
pub(super) const KIND: &str = "digest";

/// What waits for one receiver, oldest first.
type Rows = Vec<(Place, Waiting)>;

impl Notices {
    /// Puts what waits for an address into digests, if there is much of it; returns what waits now, and how many
    /// notices went into digests. What was tried before stays alone: it may have arrived, and its receiver knows it by
    /// its id.
    pub(super) async fn gather(&self, address: &str, rows: Rows) -> Result<(Rows, usize)> {
        let is_fresh = |(_, waiting): &(Place, Waiting)| waiting.attempts == 0 && !waiting.digest;
        let (fresh, mut rest): (Rows, Rows) = rows.into_iter().partition(is_fresh);
        if fresh.len() <= SINGLE_MAX {
            rest.extend(fresh);
            rest.sort_by(|(a, _), (b, _)| a.cmp(b));
            return Ok((rest, 0));
        }
        let count = fresh.len();
        let channel = Channel::Mail(address.to_owned());
        let digests = self
            .store
            .write(move |tx| fresh.chunks(GATHER_MAX).map(|rows| gather_into_one(tx, &channel, rows)).collect())
            .await;
        let digests: Vec<Option<(Place, Waiting)>> = digests?;
        rest.extend(digests.into_iter().flatten());
        Ok((rest, count))
    }
}

/// Makes one digest. Rows that are not as they were found are left out.
fn gather_into_one(
    tx: &mut WriteTx<'_, '_>,
    channel: &Channel,
    rows: &[(Place, Waiting)],
) -> Result<Option<(Place, Waiting)>> {
    let mut gathered = Vec::new();
    for (place, waiting) in rows {
        let is_same = tx.get(&OUTBOX, place)?.as_ref() == Some(waiting);
        if let (true, Some(record)) = (is_same, tx.get(&NOTICES, &place.id)?) {
            gathered.push((place, record));
        }
    }
    let Some((_, oldest)) = gathered.first() else { return Ok(None) };
    let (subject, body) = text(oldest, gathered.iter().map(|(_, record)| record), gathered.len());
    let record = Record {
        kind: KIND.to_owned(),
        about: channel.to_string(),
        subject,
        body,
        posted: tx.now(),
        deliveries: vec![Delivery::pending(channel.clone())],
    };
    let into = insert(tx, &record, true)?;
    let at = tx.now();
    for (place, _) in &gathered {
        record::end(tx, place, End::Gathered { at, into: into.clone() })?;
    }
    let ids: Vec<String> = gathered.iter().map(|(place, _)| place.id.to_string()).collect();
    tx.audit(Note::done(Actor::Loop(LOOP.into()), Action::NoticeGather, &into).with("notices", ids));
    Ok(Some((Place { id: into, index: 0 }, Waiting::new(channel.clone(), at, true))))
}

fn text<'a>(oldest: &Record, records: impl Iterator<Item = &'a Record>, count: usize) -> (String, String) {
    let subject = format!("{count} notices, the first: {}", oldest.subject);
    let mut body = format!("{count} notices waited for you at the same time. Here they are, the oldest first.\n");
    for record in records {
        let excerpt = cut(record.body.trim(), EXCERPT_LEN_MAX);
        let more = if excerpt.len() < record.body.trim().len() { " …" } else { "" };
        // Writing to a string cannot fail.
        _ = write!(body, "\n## {}\n\n{}, {}\n\n{excerpt}{more}\n", record.subject, record.posted, record.kind);
    }
    (super::one_line(&subject), body)
}
