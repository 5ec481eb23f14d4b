//! The loop `deliver`: one pass over what waits, one lane for each receiver.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::record::{self, Channel, End, NOTICES, OUTBOX, Place, Record, Waiting};
use super::{LOOP, Notices, cut};
use crate::base::audit::{Action, Actor, Note, Outcome};
use crate::base::meter::Counter;
use crate::base::{Error, Kind, Result, Timestamp};

/// The pause after a first failure; it doubles after each.
const BACKOFF_MIN: Duration = Duration::from_secs(60);
/// The longest pause: a mail server that is back gets its mail within the hour.
const BACKOFF_MAX: Duration = Duration::from_secs(60 * 60);
/// How long a delivery is tried. A weekend without the mail server loses nothing.
const AGE_MAX: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Tries that age needs besides: a clock that jumped by a year kills nothing.
const ATTEMPTS_MIN: u32 = 10;
/// Tries, however young: hourly ones for three days make 77.
const ATTEMPTS_MAX: u32 = 100;
/// Lanes side by side: enough that a few slow receivers hold nobody up.
const LANES_MAX: usize = 16;
/// When a lane begins no further delivery in this pass, so that no pass is endless; the next pass goes on.
const PASS_TIME_MAX: Duration = Duration::from_secs(30);
/// Deliveries looked at in one pass.
const SCAN_MAX: usize = 20_000;
/// Deliveries that may wait in one lane. Only a webhook comes near: what waits for a person goes into digests.
const LANE_LEN_MAX: usize = 5_000;
/// Longest reason that is kept.
const FAULT_LEN_MAX: usize = 300;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    pub sent: usize,
    /// Deliveries that failed and will be tried again.
    pub failed: usize,
    /// Deliveries that were given up.
    pub dead: usize,
    /// Notices that went into digests.
    pub gathered: usize,
    /// Old notices that were forgotten.
    pub pruned: usize,
}

/// What became of deliveries since the start.
#[derive(Debug, Default)]
pub struct DeliveryCounts {
    pub sent: Counter,
    /// Failed, to be tried again.
    pub retried: Counter,
    pub dead: Counter,
}

impl Delivered {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        self.dead += other.dead;
        self.gathered += other.gathered;
        self.pruned += other.pruned;
    }
}

/// What waits for one receiver, oldest first.
struct Lane {
    channel: Channel,
    rows: Vec<(Place, Waiting)>,
}

enum Tried {
    Taken,
    Failed,
    Dead,
    /// Somebody else is at it.
    Gone,
}

impl Notices {
    /// One pass: tries what is due, and forgets what is old. It visits every receiver even when some fail.
    pub async fn deliver(&self) -> Result<Delivered> {
        let mut done = Delivered::default();
        let until = Instant::now() + PASS_TIME_MAX;
        let lanes = self.lanes().await?;
        let mut running =
            futures_util::stream::iter(lanes).map(|lane| self.run_lane(lane, until)).buffer_unordered(LANES_MAX);
        while let Some(of_lane) = running.next().await {
            done.add(of_lane);
        }
        let delivery_counts = &*self.delivery_counts;
        for (total, count) in [
            (&delivery_counts.sent, done.sent),
            (&delivery_counts.retried, done.failed),
            (&delivery_counts.dead, done.dead),
        ] {
            total.add(count as u64);
        }
        done.pruned = self.prune().await?;
        Ok(done)
    }

    /// The lanes whose first delivery is due. The others wait behind it: order is kept.
    async fn lanes(&self) -> Result<Vec<Lane>> {
        let survey = self.store.survey(|tx| Ok((tx.now(), tx.scan(&OUTBOX, Bound::Unbounded, SCAN_MAX)?)));
        let (now, rows) = survey.await?;
        let mut lanes: BTreeMap<Channel, Vec<(Place, Waiting)>> = BTreeMap::new();
        for (place, waiting) in rows {
            lanes.entry(waiting.channel.clone()).or_default().push((place, waiting));
        }
        let due = lanes.into_iter().filter(|(_, rows)| rows.len() > LANE_LEN_MAX || rows[0].1.is_due(now));
        Ok(due.map(|(channel, rows)| Lane { channel, rows }).collect())
    }

    async fn run_lane(&self, mut lane: Lane, until: Instant) -> Delivered {
        let mut done = Delivered::default();
        let channel = lane.channel.clone();
        if let Err(error) = self.work_on(&mut lane, until, &mut done).await {
            tracing::warn!(notice.channel = %channel, "could not go on delivering to {channel}: {}", error.chain());
            done.failed += 1;
        }
        done
    }

    async fn work_on(&self, lane: &mut Lane, until: Instant, done: &mut Delivered) -> Result<()> {
        let surplus = lane.rows.len().saturating_sub(LANE_LEN_MAX);
        if surplus > 0 {
            done.dead += self.shed(lane.rows.drain(..surplus).collect()).await?;
        }
        if let Channel::Mail(address) = &lane.channel {
            let (rows, gathered) = self.gather(address, std::mem::take(&mut lane.rows)).await?;
            done.gathered += gathered;
            lane.rows = rows;
        }
        for (place, waiting) in lane.rows.drain(..) {
            if Instant::now() >= until {
                break;
            }
            match self.attempt(&place, &waiting).await? {
                Tried::Taken => done.sent += 1,
                Tried::Dead => done.dead += 1,
                Tried::Failed => {
                    done.failed += 1;
                    break;
                }
                Tried::Gone => break,
            }
        }
        Ok(())
    }

    /// Tries one delivery. That a try begins is written first: after a crash in the middle it counts, the pause is
    /// kept, and the delivery goes into no digest, where its receiver would not know it again.
    async fn attempt(&self, place: &Place, waiting: &Waiting) -> Result<Tried> {
        let (key, expected) = (place.clone(), waiting.clone());
        let begun = self.store.write(move |tx| begin(tx, &key, &expected)).await?;
        let Some((record, waiting, now)) = begun else { return Ok(Tried::Gone) };
        let channel = waiting.channel.clone();
        let outcome = self.ways.send(place, &record, &channel, now).await;
        if let Err(error) = &outcome {
            let id = &place.id;
            tracing::warn!(notice.id = %id, "could not deliver notice {id} to {channel}: {}", error.chain());
        }
        let key = place.clone();
        self.store.write(move |tx| finish(tx, &key, waiting, outcome)).await
    }

    /// Gives up the oldest deliveries of a lane that is too long.
    async fn shed(&self, surplus: Vec<(Place, Waiting)>) -> Result<usize> {
        self.store
            .write(move |tx| {
                let at = tx.now();
                for (place, Waiting { attempts, channel, .. }) in &surplus {
                    let fault = "too many others wait behind it".to_owned();
                    record::end(tx, place, End::Dead { at, attempts: *attempts, fault: fault.clone() })?;
                    tx.audit(note(place, channel, *attempts).outcome(Outcome::Failed).with("fault", fault));
                }
                Ok(surplus.len())
            })
            .await
    }
}

/// Counts a try, unless the delivery is not as it was expected to be.
fn begin(
    tx: &mut crate::store::WriteTx<'_, '_>,
    place: &Place,
    expected: &Waiting,
) -> Result<Option<(Record, Waiting, Timestamp)>> {
    let now = tx.now();
    let Some(mut waiting) = tx.get(&OUTBOX, place)?.filter(|found| found == expected && found.is_due(now)) else {
        return Ok(None);
    };
    let Some(record) = tx.get(&NOTICES, &place.id)? else {
        tx.delete(&OUTBOX, place);
        return Ok(None);
    };
    waiting.attempts += 1;
    waiting.due = now.plus(backoff(waiting.attempts));
    waiting.fault = Some("it was interrupted".to_owned());
    tx.put(&OUTBOX, place, &waiting)?;
    Ok(Some((record, waiting, now)))
}

/// Writes down how a try ended.
fn finish(
    tx: &mut crate::store::WriteTx<'_, '_>,
    place: &Place,
    mut waiting: Waiting,
    outcome: Result<&'static str>,
) -> Result<Tried> {
    let (at, attempts) = (tx.now(), waiting.attempts);
    let note = note(place, &waiting.channel, attempts);
    let error = match outcome {
        Ok(by) => {
            record::end(tx, place, End::Delivered { at, by: by.to_owned() })?;
            tx.audit(note.with("by", by));
            return Ok(Tried::Taken);
        }
        Err(error) => error,
    };
    let fault = cut(&error.chain(), FAULT_LEN_MAX).to_owned();
    let note = note.outcome(Outcome::Failed).with("fault", fault.clone());
    if waiting.is_hopeless(&error, at) {
        record::end(tx, place, End::Dead { at, attempts, fault })?;
        tx.audit(note.with("given_up", true));
        return Ok(Tried::Dead);
    }
    waiting.due = at.plus(backoff(attempts));
    waiting.fault = Some(fault);
    tx.put(&OUTBOX, place, &waiting)?;
    tx.audit(note.with("again", waiting.due.to_string()));
    Ok(Tried::Failed)
}

fn note(place: &Place, channel: &Channel, attempts: u32) -> Note {
    let note = Note::done(Actor::Loop(LOOP.into()), Action::NoticeDeliver, &place.id);
    note.with("to", channel.to_string()).with("attempts", attempts)
}

impl Waiting {
    /// Whether its time has come. One that is due later than any pause lasts is, too: the clock was set back.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.due <= now || self.due > now.plus(BACKOFF_MAX)
    }

    /// Whether to give up after this error.
    fn is_hopeless(&self, error: &Error, now: Timestamp) -> bool {
        let is_old = now.since(self.since) >= AGE_MAX && self.attempts >= ATTEMPTS_MIN;
        error.kind() == Kind::Invalid || self.attempts >= ATTEMPTS_MAX || is_old
    }
}

/// One minute, then two, four, up to an hour.
fn backoff(attempts: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << attempts.saturating_sub(1).min(6)).min(BACKOFF_MAX)
}
