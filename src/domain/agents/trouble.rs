//! Figures of the fleet, and what of them needs somebody.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Agents;
use super::account::QUEUE_PREFIX;
use super::list_file::ListFile;
use super::meters::{Fate, Reading};
use super::pending::{NOTED, PENDING_MAX, Pending};
use super::record::timings;
use super::view::{AgentLine, Standing};
use crate::base::text::pluralize;
use crate::base::{Result, Timestamp};
use crate::proto::heartbeat::Timings;
use crate::proto::relay_profile;

/// Of how many periods it is looked who was heard, to see who is not any more.
const LOOKED_PERIODS: u32 = 12;
/// So many must vanish, and this part of those that were heard, before somebody has to come.
const VANISHED_MIN: usize = 5;
const VANISHED_PART: usize = 10;
/// How far behind heartbeats may be kept: the guide calls a second healthy. Clocks of hosts differ by more, so a minute.
const LAG_MAX_MS: u64 = 60_000;
/// How long heartbeats may not be read before somebody has to come: a restart of the broker takes less.
const UNREAD_MAX: Duration = Duration::from_secs(60);
/// How often one has to knock, and for how long, before it is not a mistake of a moment.
const KNOCKS_MIN: u64 = 10;
const KNOCKING_MIN: Duration = Duration::from_secs(60 * 60);
/// Agents that a sentence names.
const NAMED_MAX: usize = 5;

/// The fleet in numbers.
#[derive(Clone, Debug, Default)]
pub struct AgentFigures {
    /// Whether agents are declared.
    pub is_declared: bool,
    /// How many there are of each standing.
    pub standings: Vec<(Standing, usize)>,
    /// Of each version, those that are online.
    pub versions: BTreeMap<String, usize>,
    /// How many have a queue that several processes share.
    pub duplicates: usize,
    /// How many wait to be let in.
    pub pending: usize,
    /// How many hosts are late to enrol again.
    pub overdue: usize,
    pub reading: Reading,
    /// What became of heartbeats since the start.
    pub fates: Vec<(Fate, u64)>,
}

/// Something of the fleet that needs somebody, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetTrouble {
    /// What it is about: one of [`FleetTrouble::ABOUT`].
    pub about: &'static str,
    /// Whether something does not work.
    pub is_out: bool,
    pub text: String,
}

impl FleetTrouble {
    /// All that one can be about.
    pub const ABOUT: [&str; 10] =
        ["crowd", "duplicates", "gone", "lag", "pending", "reading", "revoked", "strange", "vanished", "whitelist"];
}

impl Agents {
    /// The fleet in numbers.
    pub async fn figures(&self) -> Result<AgentFigures> {
        let fates = self.meters.fates().collect();
        if self.agents().is_err() {
            return Ok(AgentFigures { fates, ..AgentFigures::default() });
        }
        let (lines, waiting) = (self.list().await?, self.store.read(|tx| tx.count(&NOTED))?);
        let of = |standing| lines.iter().filter(|line| line.standing == standing).count();
        let mut versions = BTreeMap::new();
        for line in lines.iter().filter(|line| line.standing == Standing::Online) {
            *versions.entry(line.version.clone()).or_default() += 1;
        }
        Ok(AgentFigures {
            is_declared: true,
            standings: Standing::ALL.into_iter().map(|standing| (standing, of(standing))).collect(),
            versions,
            duplicates: lines.iter().filter(|line| !line.duplicates.is_empty()).count(),
            pending: usize::try_from(waiting).unwrap_or(usize::MAX),
            overdue: lines.iter().filter(|line| line.is_overdue).count(),
            reading: self.meters.reading(),
            fates,
        })
    }

    /// What of the fleet needs somebody now.
    pub async fn troubles(&self) -> Result<Vec<FleetTrouble>> {
        let Ok(declared) = self.agents() else { return Ok(Vec::new()) };
        let (timings, now) = (timings(&declared), self.clock.now());
        let survey = self.store.survey(move |tx| {
            let mut knocking = Vec::new();
            tx.each(&NOTED, |queueloc, pending: Pending| {
                let is_long = pending.last.since(pending.first) >= KNOCKING_MIN && pending.count >= KNOCKS_MIN;
                // One that was refused is somebody's decision.
                if is_long && pending.refused.is_none() && pending.last.is_within(KNOCKING_MIN, now) {
                    knocking.push(queueloc.to_string());
                }
            })?;
            Ok((knocking, tx.count(&NOTED)? >= PENDING_MAX))
        });
        let ((knocking, is_full), lines) = (survey.await?, self.list().await?);
        let reading = self.meters.reading();
        let mut all: Vec<FleetTrouble> = Vec::new();
        all.extend(self.subscriptions.is_some().then(|| unread(&reading, now)).flatten());
        all.extend(late(&reading));
        all.extend(vanished(&lines, &reading, now, &timings));
        all.extend(shared(&lines));
        all.extend(returned(&lines));
        if !knocking.is_empty() {
            let text = format!(
                "{} not let in: {}",
                pluralize(knocking.len(), "agent keeps asking and is", "agents keep asking and are"),
                named(knocking.iter().map(String::as_str))
            );
            all.push(FleetTrouble { about: "pending", is_out: false, text });
        }
        if is_full {
            let text = format!(
                "{PENDING_MAX} agents wait to be let in, and further ones are only counted: look whether somebody makes up names"
            );
            all.push(FleetTrouble { about: "crowd", is_out: true, text });
        }
        if let Some(brake) = self.gone().await?.brake {
            all.push(FleetTrouble { about: "gone", is_out: false, text: brake });
        }
        all.extend(strange(&self.meters.strange()));
        all.extend(self.list_trouble());
        Ok(all)
    }

    /// Looks for exchanges that are called as queues of agents are. No program of the platform makes one; an agent that does
    /// wants what comes to others, or theirs to come from it. While the broker says nothing, what was seen last counts.
    pub(super) async fn look_for_strange(&self, declared: &relay_profile::Agents) {
        let Ok(bus) = self.bus.get() else { return };
        if let Ok(exchanges) = bus.exchanges(&declared.vhost).await {
            let names = exchanges.into_iter().map(|exchange| exchange.name);
            self.meters.note_strange(names.filter(|name| name.starts_with(QUEUE_PREFIX)).collect());
        }
    }

    /// As it was at the last pass.
    fn list_trouble(&self) -> Option<FleetTrouble> {
        let path = self.list_path()?;
        let text = match self.meters.list() {
            ListFile::None | ListFile::Same | ListFile::Behind => return None,
            ListFile::Edited => format!(
                "the whitelist {path} was edited by hand: `keylender agent whitelist compare {path}` shows it, `store` takes \
                 it over, `overwrite` writes it anew"
            ),
            ListFile::Unreadable(why) => format!("the whitelist {path} cannot be read: {why}"),
        };
        Some(FleetTrouble { about: "whitelist", is_out: true, text })
    }
}

fn strange(names: &[String]) -> Option<FleetTrouble> {
    if names.is_empty() {
        return None;
    }
    let text = format!(
        "{} called as a queue of an agent is, which no program of the platform makes: {}",
        pluralize(names.len(), "exchange is", "exchanges are"),
        named(names.iter().map(String::as_str))
    );
    Some(FleetTrouble { about: "strange", is_out: true, text })
}

fn unread(reading: &Reading, now: Timestamp) -> Option<FleetTrouble> {
    let (trouble, since) = reading.trouble.as_ref().zip(reading.trouble_since)?;
    let text = format!("the heartbeats of agents are not read: {trouble}");
    (now.since(since) >= UNREAD_MAX).then_some(FleetTrouble { about: "reading", is_out: true, text })
}

fn late(reading: &Reading) -> Option<FleetTrouble> {
    reading.lag_ms.filter(|lag| *lag > LAG_MAX_MS && reading.since.is_some())?;
    // Without the number: another text would be another alarm.
    let text =
        "heartbeats of agents are kept more than a minute after they were sent, by the clocks of half of their hosts";
    Some(FleetTrouble { about: "lag", is_out: false, text: text.to_owned() })
}

/// Agents that were heard a little while ago, and are not any more, in numbers. While we have not listened for long enough, nobody
/// knows.
fn vanished(lines: &[AgentLine], reading: &Reading, now: Timestamp, timings: &Timings) -> Option<FleetTrouble> {
    let window = timings.heartbeat_period.saturating_mul(LOOKED_PERIODS);
    let has_listened = reading.since.is_some_and(|since| now.since(since) >= window / 2);
    let recent = lines.iter().filter(|line| line.last.is_some_and(|last| last.is_within(window, now)));
    let (online, vanished): (Vec<&AgentLine>, Vec<&AgentLine>) =
        recent.filter(|line| line.standing != Standing::Revoked).partition(|line| line.standing == Standing::Online);
    let all = online.len() + vanished.len();
    if !has_listened || vanished.len() < VANISHED_MIN || vanished.len() * VANISHED_PART < all {
        return None;
    }
    let text = format!(
        "{} of {all} agents are not heard any more: {}",
        vanished.len(),
        named(vanished.iter().map(|line| line.queueloc.as_str()))
    );
    Some(FleetTrouble { about: "vanished", is_out: true, text })
}

fn shared(lines: &[AgentLine]) -> Option<FleetTrouble> {
    let shared: Vec<&AgentLine> = lines.iter().filter(|line| !line.duplicates.is_empty()).collect();
    if shared.is_empty() {
        return None;
    }
    let text = format!(
        "{} shared by several processes, each of which gets only a part of the commands: {}",
        pluralize(shared.len(), "queue is", "queues are"),
        named(shared.iter().map(|line| line.queueloc.as_str()))
    );
    Some(FleetTrouble { about: "duplicates", is_out: false, text })
}

/// Agents that were cut off and are heard: by a shared account, or by another's.
fn returned(lines: &[AgentLine]) -> Option<FleetTrouble> {
    let heard: Vec<&AgentLine> = lines.iter().filter(|line| line.is_heard_again).collect();
    if heard.is_empty() {
        return None;
    }
    let text = format!(
        "{} and heard again, through an account that is not its own: {}",
        pluralize(heard.len(), "agent was cut off", "agents were cut off"),
        named(heard.iter().map(|line| line.queueloc.as_str()))
    );
    Some(FleetTrouble { about: "revoked", is_out: true, text })
}

fn named<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let mut named: Vec<String> = names.take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    named.extend((more > 0).then(|| format!("and {more} more")));
    named.join(", ")
}
