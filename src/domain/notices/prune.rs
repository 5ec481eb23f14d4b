//! Pruning: removes notices that were delivered long ago, and those that are too many.

use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::record::{BRIEFS, Brief, NOTICES, NoticeId};
use super::{LOOP, Notices};
use crate::base::audit::{Action, Actor, Note};
use crate::base::{Result, Timestamp};

/// How long a delivered notice can still be looked at.
pub const KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Notices with dead letters that are kept, the newest; they wait for an operator.
pub const DEAD_MAX: usize = 1_000;
/// Notices that are kept in all, unless more than these wait.
pub const RECORDS_MAX: usize = 10_000;
/// Notices that are ever looked at in one go.
pub(super) const SCAN_MAX: usize = 10 * RECORDS_MAX;
/// How often it is looked for old ones while there are not too many.
const PERIOD: Duration = Duration::from_secs(60 * 60);
/// Notices forgotten in one transaction.
const CHUNK: usize = 500;

impl Notices {
    /// Forgets what is old or too much, and returns how many notices that were.
    pub(super) async fn prune(&self) -> Result<usize> {
        let (now, count) = self.store.read(|tx| Ok((tx.now(), tx.count(&BRIEFS)?)))?;
        let pruned = Timestamp::from_millis(self.pruned.load(Ordering::Relaxed));
        let is_recent = pruned <= now && now.since(pruned) < PERIOD;
        if is_recent && usize::try_from(count).is_ok_and(|count| count <= RECORDS_MAX) {
            return Ok(0);
        }
        let survey = self.store.survey(|tx| Ok(doomed(&tx.scan(&BRIEFS, Bound::Unbounded, SCAN_MAX)?, tx.now())));
        let doomed = survey.await?;
        for ids in doomed.chunks(CHUNK) {
            let ids = ids.to_vec();
            self.store
                .write(move |tx| {
                    let mut forgotten = Vec::new();
                    for id in ids {
                        // An operator may have sent it again meanwhile.
                        if tx.get(&BRIEFS, &id)?.is_some_and(|brief| brief.is_over()) {
                            tx.delete(&NOTICES, &id);
                            forgotten.push(id.to_string());
                        }
                    }
                    tx.audit(
                        Note::done(Actor::Loop(LOOP.into()), Action::NoticePrune, "notices").with("ids", forgotten),
                    );
                    Ok(())
                })
                .await?;
        }
        self.pruned.store(now.as_millis(), Ordering::Relaxed);
        Ok(doomed.len())
    }
}

/// What to forget: dead letters beyond the newest, what was delivered long ago, and above the limit the oldest of what
/// is over. Rows are in the order of their age.
fn doomed(rows: &[(NoticeId, Brief)], now: Timestamp) -> Vec<NoticeId> {
    let over = || rows.iter().filter(|(_, brief)| brief.is_over());
    let dead: Vec<&NoticeId> = over().filter(|(_, brief)| brief.is_dead()).map(|(id, _)| id).collect();
    let (surplus, kept_dead) = dead.split_at(dead.len().saturating_sub(DEAD_MAX));
    let mut doomed: Vec<NoticeId> = surplus.iter().map(|id| (*id).clone()).collect();
    let is_old = |brief: &Brief| now.since(brief.ended()) >= KEEP;
    let delivered = || over().filter(|(_, brief)| !brief.is_dead());
    doomed.extend(delivered().filter(|(_, brief)| is_old(brief)).map(|(id, _)| id.clone()));
    let too_many = (rows.len() - doomed.len()).saturating_sub(RECORDS_MAX);
    let young = delivered().filter(|(_, brief)| !is_old(brief)).map(|(id, _)| id);
    doomed.extend(young.chain(kept_dead.iter().copied()).take(too_many).cloned());
    doomed
}

#[cfg(test)]
mod tests {
    use super::super::record::{Channel, Delivery, End};
    use super::*;

    /// A notice of this number; `end` is when it ended, `None` while it waits.
    fn row(number: usize, end: Option<i64>, dead: bool) -> (NoticeId, Brief) {
        let end = end.map(Timestamp::from_millis).map(|at| {
            if dead {
                End::Dead { at, attempts: 1, fault: String::new() }
            } else {
                End::Delivered { at, by: "smtp".into() }
            }
        });
        let deliveries = vec![Delivery { channel: Channel::Webhook, end }];
        let posted = Timestamp::from_millis(0);
        let brief = Brief { kind: "k".into(), about: "a".into(), subject: "s".into(), posted, deliveries };
        (format!("{number:012}-aaaaaaaa").parse().unwrap(), brief)
    }

    fn numbers(doomed: &[NoticeId]) -> Vec<usize> {
        doomed.iter().map(|id| id.to_string()[..12].parse().unwrap()).collect()
    }

    #[test]
    fn the_old_is_forgotten_and_what_waits_or_is_dead_is_not() {
        let rows = [row(1, Some(0), false), row(2, Some(0), true), row(3, None, false), row(4, Some(1), false)];
        let month = Timestamp::from_millis(0).plus(KEEP);
        assert_eq!(numbers(&doomed(&rows, month)), [1]);
        assert!(doomed(&rows, month.minus(Duration::from_millis(1))).is_empty());
    }

    #[test]
    fn above_the_limits_the_oldest_go_first() {
        let dead: Vec<_> = (0..DEAD_MAX + 2).map(|n| row(n, Some(0), true)).collect();
        assert_eq!(numbers(&doomed(&dead, Timestamp::from_millis(0))), [0, 1]);
        let mut rows = vec![row(0, None, false), row(1, Some(0), true)];
        rows.extend((2..RECORDS_MAX + 3).map(|n| row(n, Some(0), false)));
        assert_eq!(numbers(&doomed(&rows, Timestamp::from_millis(0))), [2, 3, 4]);
    }
}
