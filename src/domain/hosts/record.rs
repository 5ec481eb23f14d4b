//! What is remembered of addresses that asked: who they were, since when, and what changed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Bound;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::Uncounted;
use super::{Cause, Hosts};
use crate::base::audit::{Action, Actor, Note, Outcome};
use crate::base::{HostName, Result, Timestamp};
use crate::domain::notices::Notice;
use crate::ports::dns::Answer;
use crate::store::{ReadTx, Table, WriteTx};

/// Addresses remembered. Beyond it, those that were refused are not: there may be any number of them.
const HOSTS_MAX: u64 = 50_000;
/// The same for addresses that are not in the list: they must not keep the operator from seeing their own.
const STRANGERS_MAX: u64 = HOSTS_MAX / 2;
/// Longest page of a list.
pub const PAGE_LEN_MAX: usize = 1000;
/// How often a refusal that repeats itself is audited again.
const REPEAT_PERIOD: Duration = Duration::from_secs(60 * 60);
/// Between two entries about one address that hold all DNS answers: who owns a zone could fill the disk with them.
const ANSWERS_PERIOD: Duration = Duration::from_secs(60);
/// Between two notices about one address: a record that flips is one matter.
const NOTICE_PERIOD: Duration = Duration::from_secs(60 * 60);
/// How long an address that asks no more is remembered.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Addresses that one pass forgets; the next pass goes on.
const FORGOTTEN_MAX: usize = 5000;
/// The name of the loop, in the audit log and on the console.
const LOOP: &str = "hosts";

static HOSTS: Table<IpAddr, Record> = Table::audited("hosts");
/// How often an address asked. Apart, because it changes with every request.
static SEEN: Table<IpAddr, Seen> = Table::plain("hosts_seen");
/// The DNS answers of the last change.
static ANSWERS: Table<IpAddr, Vec<Answer>> = Table::plain("hosts_answers");
/// Where a name was last seen.
pub(super) static NAMES: Table<HostName, Places> = Table::plain("hosts_names");

/// What is known of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The last name that held.
    name: Option<HostName>,
    /// `verified`, or the code of the cause.
    verdict: String,
    /// The cause in a sentence.
    why: String,
    first_seen: Timestamp,
    /// When name, verdict or cause last changed.
    changed: Timestamp,
    /// When its verdict was last audited.
    audited: Timestamp,
    noticed: Option<Timestamp>,
}

/// The verdict of an address that is a host; others are codes of causes.
const VERIFIED: &str = "verified";
/// The same records, as far as they are counted.
const VERDICTS: Table<String, Judged> = Table::audited("hosts");

#[derive(Deserialize)]
struct Judged {
    verdict: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Seen {
    last: Timestamp,
    lent: u64,
    refused: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Places {
    pub v4: Option<Ipv4Addr>,
    pub v6: Option<Ipv6Addr>,
}

/// An address that asked, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    pub address: IpAddr,
    /// The last name that held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<HostName>,
    /// `verified`, or the code of the cause.
    pub verdict: String,
    /// The cause in a sentence; empty when it was verified.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// When it first asked.
    pub first_seen: Timestamp,
    /// When it last asked.
    pub last_seen: Timestamp,
    /// When name, verdict or cause last changed.
    pub changed: Timestamp,
    pub lent: u64,
    pub refused: u64,
}

/// What a request of an address came to.
pub(super) struct Visit<'a> {
    pub address: IpAddr,
    pub verdict: std::result::Result<&'a HostName, &'a Cause>,
    pub answers: &'a [Answer],
    pub request_id: &'a str,
}

impl Visit<'_> {
    fn code(&self) -> &'static str {
        self.verdict.map_or_else(Cause::code, |_| VERIFIED)
    }

    /// The entry of a verdict, with all DNS answers or without.
    fn note(&self, with_answers: bool) -> Note {
        let note = match self.verdict {
            Ok(name) => {
                Note::done(Actor::Host(name.clone()), Action::HostVerify, self.address).with("name", name.as_str())
            }
            Err(cause) => Note::done(Actor::Anonymous, Action::HostRefuse, self.address)
                .outcome(Outcome::Refused)
                .with("cause", cause.code())
                .with("why", cause.to_string()),
        };
        let note = note.request(self.request_id);
        if with_answers { note.with("answers", serde_json::to_value(self.answers).unwrap_or_default()) } else { note }
    }
}

impl Hosts {
    /// Remembers a request in the transaction of its outcome. A change is audited with the answers that show it, and
    /// people hear of a name or an address that changed its partner.
    pub(super) fn remember(&self, tx: &mut WriteTx<'_, '_>, visit: &Visit<'_>) -> Result<()> {
        let (address, now) = (visit.address, tx.now());
        if visit.verdict.is_ok_and(|name| self.counts.is_recorded(address, name)) {
            return self.count(tx, visit);
        }
        let known = tx.get(&HOSTS, &address)?;
        let room = match visit.verdict {
            Ok(_) => u64::MAX,
            Err(Cause::NotAllowed | Cause::EnrolsByToken(_)) => STRANGERS_MAX,
            Err(_) => HOSTS_MAX,
        };
        if known.is_none() && tx.count(&HOSTS)? >= room {
            return Ok(());
        }
        self.count(tx, visit)?;
        // Within the closure: closures run in the order of their commits.
        self.counts.recorded(address, visit.verdict.ok());
        let why = visit.verdict.map_or_else(ToString::to_string, |_| String::new());
        let old = known.unwrap_or(Record {
            name: None,
            verdict: String::new(),
            why: String::new(),
            first_seen: now,
            changed: now,
            audited: Timestamp::MIN,
            noticed: None,
        });
        let moved_from = visit.verdict.map_or(Ok(None), |name| self.take_place(tx, name, address))?;
        let name = visit.verdict.ok().or(old.name.as_ref()).cloned();
        let is_changed = old.verdict != visit.code() || old.name != name || old.why != why || moved_from.is_some();
        let is_due = visit.verdict.is_err() && now >= old.audited.plus(REPEAT_PERIOD);
        if !is_changed && !is_due {
            return Ok(());
        }
        let mut record = Record { name, verdict: visit.code().to_owned(), why, audited: now, ..old.clone() };
        if is_changed {
            record.changed = now;
            tx.put(&ANSWERS, &address, &visit.answers.to_vec())?;
        }
        if let Ok(name) = visit.verdict {
            self.tell_of_changes(tx, (address, name), moved_from, &old, &mut record)?;
        }
        tx.audit(visit.note(now >= old.audited.plus(ANSWERS_PERIOD)));
        tx.put(&HOSTS, &address, &record)
    }

    /// Notes that a name is at this address now. Returns the address of this family where it was until now, if that is
    /// another one.
    fn take_place(&self, tx: &mut WriteTx<'_, '_>, name: &HostName, address: IpAddr) -> Result<Option<IpAddr>> {
        let mut places = tx.get(&NAMES, name)?.unwrap_or_default();
        let before = match address {
            IpAddr::V4(v4) => places.v4.replace(v4).map(IpAddr::from),
            IpAddr::V6(v6) => places.v6.replace(v6).map(IpAddr::from),
        };
        if before == Some(address) {
            return Ok(None);
        }
        tx.put(&NAMES, name, &places)?;
        if let Some(before) = before {
            // Should it come back there, that is a move again.
            self.counts.recorded(before, None);
        }
        Ok(before)
    }

    fn count(&self, tx: &mut WriteTx<'_, '_>, visit: &Visit<'_>) -> Result<()> {
        if self.counts.is_full() {
            self.write_all(tx)?;
        }
        match self.counts.count(visit.address, visit.verdict.is_ok(), tx.now(), self.clock.elapsed()) {
            Some(uncounted) => write_counts(tx, visit.address, uncounted),
            None => Ok(()),
        }
    }

    fn write_all(&self, tx: &mut WriteTx<'_, '_>) -> Result<()> {
        self.counts.take_all().into_iter().try_for_each(|(address, uncounted)| write_counts(tx, address, uncounted))
    }

    /// Writes the counts that are only in memory, as before a stop.
    pub async fn write_counts(&self) -> Result<()> {
        let this = self.clone();
        self.store.write(move |tx| this.write_all(tx)).await
    }

    /// A name from a new address, or an address with another name: changed by its owner, or by somebody else.
    fn tell_of_changes(
        &self,
        tx: &mut WriteTx<'_, '_>,
        (address, name): (IpAddr, &HostName),
        moved_from: Option<IpAddr>,
        old: &Record,
        record: &mut Record,
    ) -> Result<()> {
        let renamed_from = old.name.as_ref().filter(|old| *old != name);
        if let Some(old) = renamed_from {
            forget_place(tx, old, address)?;
        }
        let is_soon = old.noticed.is_some_and(|noticed| tx.now() < noticed.plus(NOTICE_PERIOD));
        let mut changes = Vec::new();
        if let Some(old) = renamed_from {
            changes.push(format!("The address {address} was {old} and is {name} now."));
        }
        if let Some(before) = moved_from {
            changes.push(format!("The host {name} asked from {before} before and asks from {address} now."));
        }
        if changes.is_empty() || is_soon {
            return Ok(());
        }
        record.noticed = Some(tx.now());
        let advice = format!(
            "If nobody changed this on purpose, block it: keylender host block {address}\nThe DNS answers: keylender \
             host check {address}"
        );
        self.notices.post(
            tx,
            Notice {
                kind: if moved_from.is_some() { "host.moved" } else { "host.renamed" },
                about: name.to_string(),
                to: self.config.contacts.iter().map(ToString::to_string).collect(),
                subject: format!("{name} has changed: it asks from {address}"),
                body: format!("{}\n\n{advice}\n", changes.join("\n")),
            },
        )
    }

    /// At most `limit` addresses that asked, after one of them, in the order of their text.
    pub async fn list(&self, after: Option<IpAddr>, limit: usize) -> Result<Vec<Known>> {
        let this = self.clone();
        let survey = self.store.survey(move |tx| {
            let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let rows = tx.scan(&HOSTS, from, limit.min(PAGE_LEN_MAX))?;
            rows.into_iter().map(|(address, record)| this.as_known(tx, address, record)).collect()
        });
        survey.await
    }

    /// What is known of one address, with the DNS answers of its last change.
    pub fn find_known(&self, address: IpAddr) -> Result<Option<(Known, Vec<Answer>)>> {
        self.store.read(|tx| {
            let Some(record) = tx.get(&HOSTS, &address)? else { return Ok(None) };
            let answers = tx.get(&ANSWERS, &address)?.unwrap_or_default();
            Ok(Some((self.as_known(tx, address, record)?, answers)))
        })
    }

    fn as_known(&self, tx: &ReadTx<'_>, address: IpAddr, record: Record) -> Result<Known> {
        let Record { name, verdict, why, first_seen, changed, .. } = record;
        let seen = tx.get(&SEEN, &address)?.unwrap_or(Seen { last: changed, lent: 0, refused: 0 });
        let Seen { last, lent, refused } = seen.plus(self.counts.uncounted(address));
        Ok(Known { address, name, verdict, why, first_seen, last_seen: last, changed, lent, refused })
    }

    /// How many of the addresses that asked are verified.
    pub async fn count_verified(&self) -> Result<u64> {
        let survey = self.store.survey(|tx| {
            let mut verified = 0;
            tx.each(&VERDICTS, |_: String, Judged { verdict }| verified += u64::from(verdict == VERIFIED))?;
            Ok(verified)
        });
        survey.await
    }

    /// How many addresses are remembered.
    pub fn count_known(&self) -> Result<u64> {
        self.store.read(|tx| tx.count(&HOSTS))
    }

    /// The addresses that did not ask for long: what the next pass forgets.
    pub async fn stale(&self) -> Result<Vec<IpAddr>> {
        let survey = self.store.survey(|tx| {
            let seen = tx.scan(&SEEN, Bound::Unbounded, usize::try_from(2 * HOSTS_MAX).unwrap_or(usize::MAX))?;
            let old = seen.into_iter().filter(|(_, seen)| tx.now() >= seen.last.plus(KEPT));
            Ok(old.map(|(address, _)| address).take(FORGOTTEN_MAX).collect())
        });
        survey.await
    }

    /// Forgets them. Returns how many there were.
    pub async fn forget_stale(&self) -> Result<usize> {
        self.write_counts().await?;
        self.forget_leases().await?;
        let stale = self.stale().await?;
        if stale.is_empty() {
            return Ok(0);
        }
        let this = self.clone();
        self.store
            .write(move |tx| {
                for address in &stale {
                    this.counts.recorded(*address, None);
                    if let Some(Record { name: Some(name), .. }) = tx.get(&HOSTS, address)? {
                        forget_place(tx, &name, *address)?;
                    }
                    tx.delete(&HOSTS, address);
                    tx.delete(&SEEN, address);
                    tx.delete(&ANSWERS, address);
                }
                let addresses: Vec<String> = stale.iter().map(ToString::to_string).collect();
                tx.audit(
                    Note::done(Actor::Loop(LOOP.into()), Action::HostForget, "hosts").with("addresses", addresses),
                );
                Ok(stale.len())
            })
            .await
    }
}

/// A name that is somewhere else meanwhile stays there.
fn forget_place(tx: &mut WriteTx<'_, '_>, name: &HostName, address: IpAddr) -> Result<()> {
    let Some(mut places) = tx.get(&NAMES, name)? else { return Ok(()) };
    places.v4 = places.v4.filter(|v4| address != *v4);
    places.v6 = places.v6.filter(|v6| address != *v6);
    if places == Places::default() {
        tx.delete(&NAMES, name)
    } else {
        tx.put(&NAMES, name, &places)?
    }
    Ok(())
}

impl Seen {
    fn plus(self, uncounted: Uncounted) -> Self {
        Self {
            last: uncounted.last.unwrap_or(self.last).max(self.last),
            lent: self.lent + uncounted.lent,
            refused: self.refused + uncounted.refused,
        }
    }
}

fn write_counts(tx: &mut WriteTx<'_, '_>, address: IpAddr, uncounted: Uncounted) -> Result<()> {
    let seen = tx.get(&SEEN, &address)?.unwrap_or(Seen { last: Timestamp::MIN, lent: 0, refused: 0 });
    tx.put(&SEEN, &address, &seen.plus(uncounted))
}
