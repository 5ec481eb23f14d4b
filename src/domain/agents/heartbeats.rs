//! Heartbeats that came over AMQP: read, judged, and kept in batches of one transaction.
//!
//! Whoever may publish to the exchange writes what they like into one. So nothing that is said is believed of another than
//! its sender, everything is bounded, and what is refused costs a count.

use std::collections::HashMap;
use std::time::Duration;

use super::Agents;
use super::heard::{self, Since, Welcome};
use super::meters::Fate;
use super::pending::{self, Knock};
use super::record::{Enrolments, HEARD};
use crate::base::{Queueloc, Result, Timestamp};
use crate::proto::heartbeat::{Heartbeat, Timings, Verdict, judge};
use crate::proto::relay_profile;

/// Agents that are known at once. Several times the largest fleet that is measured; each has about a kilobyte.
pub(super) const AGENTS_MAX: u64 = 50_000;
/// Heartbeats that are read before others get their turn on this worker.
const IN_A_ROW: usize = 64;

/// What came of a batch before it is kept.
#[derive(Default)]
struct Sorted {
    welcome: Vec<Welcome>,
    knocks: HashMap<Queueloc, Knock>,
    sent: Vec<Timestamp>,
}

impl Agents {
    /// Takes heartbeats as they came from the broker. What is wrong with one hinders no other.
    ///
    /// # Errors
    /// Those of the store: nothing is noted then, and they should be taken again.
    pub async fn take(&self, bodies: &[Vec<u8>]) -> Result<()> {
        let declared = self.agents()?;
        let timings = timings(&declared);
        let (admissions, enrolments) = (self.relay.admissions().await?, self.enrolments().await?);
        let mut sorted = Sorted::default();
        for (number, body) in bodies.iter().enumerate() {
            if number % IN_A_ROW == IN_A_ROW - 1 {
                tokio::task::yield_now().await;
            }
            let now = self.clock.now();
            let (heartbeat, queueloc) = match read(body, now, &timings) {
                Ok(read) => read,
                Err(fate) => {
                    self.meters.count(fate, 1);
                    continue;
                }
            };
            if !is_its_hosts(&heartbeat, &queueloc, &enrolments) {
                self.meters.count(Fate::OtherHost, 1);
            } else if !admissions.admits(queueloc.as_str()) {
                self.meters.count(Fate::NotListed, 1);
                sorted.knocks.entry(queueloc).or_insert_with(|| Knock::of(&heartbeat)).count += 1;
            } else {
                sorted.sent.extend(heartbeat.sent_at);
                sorted.welcome.push(Welcome::new(queueloc, heartbeat, None));
            }
        }
        self.keep_batch(sorted, timings).await
    }

    async fn keep_batch(&self, sorted: Sorted, timings: Timings) -> Result<()> {
        let Sorted { welcome, knocks, sent } = sorted;
        let since = Since { timings, listening: self.meters.reading().since };
        let taken = welcome.len() as u64;
        let full = self
            .store
            .write(move |tx| {
                let mut room = AGENTS_MAX.saturating_sub(tx.count(&HEARD)?);
                let mut full = 0;
                for welcome in welcome {
                    if tx.get(&HEARD, &welcome.queueloc)?.is_none() {
                        if room == 0 {
                            full += 1;
                            continue;
                        }
                        room -= 1;
                    }
                    heard::note(tx, welcome, since)?;
                }
                for (queueloc, knock) in knocks {
                    pending::note(tx, &queueloc, knock)?;
                }
                Ok(full)
            })
            .await?;
        self.meters.count(Fate::Full, full);
        self.meters.count(Fate::Taken, taken - full);
        let now = self.clock.now();
        let lag = median_lag(sent, now).map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX));
        self.meters.change(|reading| {
            reading.last = Some(now);
            reading.lag_ms = lag.or(reading.lag_ms);
        });
        Ok(())
    }
}

/// The timings of the scheduler.
pub(super) fn timings(declared: &relay_profile::Agents) -> Timings {
    Timings { heartbeat_period: declared.heartbeat_period.size(), agent_timeout: declared.timeout.size() }
}

/// A heartbeat that may be taken, as far as it can be seen from itself.
fn read(body: &[u8], now: Timestamp, timings: &Timings) -> std::result::Result<(Heartbeat, Queueloc), Fate> {
    let heartbeat = Heartbeat::read_any(body).map_err(|_| Fate::Unreadable)?;
    match judge(&heartbeat, now, timings) {
        Verdict::Welcome => {}
        verdict => return Err(Fate::from(&verdict)),
    }
    let queueloc = Queueloc::parse(&heartbeat.queueloc).map_err(|_| Fate::Malformed)?;
    Ok((heartbeat, queueloc))
}

/// Whether a location can be that of the host that the heartbeat names: an agent that is enrolled names its host, and the
/// location of an agent of the first years has the host's name in it.
pub(super) fn is_its_hosts(heartbeat: &Heartbeat, queueloc: &Queueloc, enrolments: &Enrolments) -> bool {
    let name = heartbeat.name.trim_end_matches('.');
    if let Some(host) = enrolments.by_queueloc.get(queueloc) {
        return is_name_of(name, host.as_str());
    }
    let middle = queueloc.as_str().split_once('.').and_then(|(_, rest)| rest.rsplit_once('.'));
    middle.is_none_or(|(host, _)| is_name_of(name, host))
}

/// Whether a host calls itself by its name in DNS, or by the first part of that, as hosts do; in any letter case.
pub(super) fn is_name_of(name: &str, host: &str) -> bool {
    let short = |text: &str| text.split('.').next().map(str::to_ascii_lowercase);
    name.eq_ignore_ascii_case(host) || ((!name.contains('.') || !host.contains('.')) && short(name) == short(host))
}

/// How far behind half of a batch is. Clocks of hosts differ: half of them are hardly wrong in one direction.
fn median_lag(mut sent: Vec<Timestamp>, now: Timestamp) -> Option<Duration> {
    sent.sort();
    sent.get(sent.len() / 2).map(|sent| now.since(*sent))
}
