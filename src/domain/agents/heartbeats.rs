//! Heartbeats that came over AMQP: read, judged, and kept in batches of one transaction.
//!
//! Whoever may publish to the exchange writes what they like into one. So nothing that is said is believed of another than
//! its sender, everything is bounded, and what is refused costs a count.

use std::collections::HashMap;

use super::Agents;
use super::heard::{self, Since, Welcome};
use super::locations::{self, Location};
use super::meters::Fate;
use super::pending::{self, Knock};
use super::record::{HEARD, timings};
use crate::base::{Queueloc, Result, Timestamp};
use crate::proto::enrolment;
use crate::proto::heartbeat::{Heartbeat, Timings, Verdict, judge};
use crate::proto::relay_profile::{self, ExchangeType};

/// Agents that are known at once. Several times the largest fleet that is measured; each has about a kilobyte.
pub(super) const AGENTS_MAX: u64 = 50_000;
/// Heartbeats that are read before others get their turn on this worker.
const IN_A_ROW: usize = 64;

/// A heartbeat that may be taken, as far as it can be seen from itself.
struct Readable {
    heartbeat: Heartbeat,
    queueloc: Queueloc,
}

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
        let (admissions, names_hosts) = (self.relay.admissions().await?, self.names_hosts(&declared));
        let mut readable = Vec::with_capacity(bodies.len());
        for (number, body) in bodies.iter().enumerate() {
            if number % IN_A_ROW == IN_A_ROW - 1 {
                tokio::task::yield_now().await;
            }
            match read(body, self.clock.now(), &timings) {
                Ok(read) => readable.push(read),
                Err(fate) => self.meters.count(fate, 1),
            }
        }
        let sorted = self.store.read(|tx| {
            let mut sorted = Sorted::default();
            for Readable { heartbeat, queueloc } in readable {
                let location = locations::of(tx, &queueloc)?;
                if !is_its_hosts(&heartbeat, &queueloc, location.as_ref(), names_hosts) {
                    self.meters.count(Fate::OtherHost, 1);
                } else if admissions.admits(tx, &queueloc)? {
                    sorted.sent.extend(heartbeat.sent_at);
                    sorted.welcome.push(Welcome::new(queueloc, heartbeat, None));
                } else {
                    self.meters.count(Fate::NotListed, 1);
                    // One that was cut off does not wait to be let in: its host enrols by a token.
                    if location.is_none_or(|location| !location.is_revoked) {
                        sorted.knocks.entry(queueloc).or_insert_with(|| Knock::of(&heartbeat)).count += 1;
                    }
                }
            }
            Ok(sorted)
        })?;
        self.keep_batch(sorted, timings).await
    }

    /// Whether locations have the names of their hosts in them: those of agents of the first year do.
    fn names_hosts(&self, declared: &relay_profile::Agents) -> bool {
        let part = declared.part.as_ref().and_then(|part| self.relay.part(part).ok());
        part.map_or(declared.exchange_type == ExchangeType::Topic, |part| enrolment::names_host(part.age))
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
        self.meters.note_batch(&sent, self.clock.now());
        Ok(())
    }
}

fn read(body: &[u8], now: Timestamp, timings: &Timings) -> std::result::Result<Readable, Fate> {
    let heartbeat = Heartbeat::read_any(body).map_err(|_| Fate::Unreadable)?;
    match judge(&heartbeat, now, timings) {
        Verdict::Welcome => {}
        verdict => return Err(Fate::from(&verdict)),
    }
    let queueloc = Queueloc::parse(&heartbeat.queueloc).map_err(|_| Fate::Malformed)?;
    Ok(Readable { heartbeat, queueloc })
}

/// Whether a location can be that of the host that the heartbeat names: an agent that is enrolled names its host, and so does the
/// location of an agent of the first year.
fn is_its_hosts(heartbeat: &Heartbeat, queueloc: &Queueloc, location: Option<&Location>, names_hosts: bool) -> bool {
    let name = &heartbeat.name;
    if let Some(location) = location {
        return is_name_of(name, location.host.as_str());
    }
    let middle = queueloc.as_str().split_once('.').and_then(|(_, rest)| rest.rsplit_once('.'));
    !names_hosts || middle.is_none_or(|(host, _)| is_name_of(name, host))
}

/// Whether a host calls itself by the first part of its name in DNS, whatever stands behind it and in any letter case: what
/// hosts think of their domains is often another thing than what DNS does.
pub(super) fn is_name_of(name: &str, host: &str) -> bool {
    let short = |text: &str| text.split('.').next().map(str::to_ascii_lowercase);
    short(name) == short(host)
}
