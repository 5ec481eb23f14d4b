//! Agents as people see them: one that was heard, one that was enrolled, or both.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::Agents;
use super::account::QUEUE_PREFIX;
use super::locations;
use super::record::{ABOUT, About, ENROLLED, Enrolled, Event, HEARD, Heard, timings};
use crate::base::{AccountName, Error, HostName, Queueloc, Result, Timestamp, VhostName};
use crate::domain::accounts::held::{self, Connected};
use crate::domain::relay::{Asked, Reaches};
use crate::proto::heartbeat::{Duplicates, Process, State, Timings};
use crate::proto::relay_profile::{self, Account, Delivery, Grant, TopicGrant};
use crate::store::{ReadTx, Survey};

/// How long after a revocation heartbeats may come that were on their way: as long as our queue keeps them.
const SETTLED_AFTER: Duration = Duration::from_secs(10 * 60);

/// How an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was heard lately.
    Online,
    /// It missed five heartbeats.
    Idle,
    /// It was given up.
    Offline,
    /// It was told to end, and not heard since.
    Destroyed,
    /// Another one took its place.
    Upgraded,
    /// It was enrolled, and never heard.
    Unheard,
    /// It was cut off.
    Revoked,
}

impl Standing {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 7] =
        [Self::Online, Self::Idle, Self::Offline, Self::Destroyed, Self::Upgraded, Self::Unheard, Self::Revoked];

    /// As documents and metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Idle => "idle",
            Self::Offline => "offline",
            Self::Destroyed => "destroyed",
            Self::Upgraded => "upgraded",
            Self::Unheard => "unheard",
            Self::Revoked => "revoked",
        }
    }
}

impl From<State> for Standing {
    fn from(state: State) -> Self {
        match state {
            State::Online => Self::Online,
            State::Idle => Self::Idle,
            State::Offline => Self::Offline,
            State::Destroyed => Self::Destroyed,
            State::Upgraded => Self::Upgraded,
        }
    }
}

/// An agent in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentLine {
    pub queueloc: Queueloc,
    /// The host that was enrolled for it, or that DNS confirms.
    pub host: Option<HostName>,
    pub standing: Standing,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// Processes that share its queue, where that is proven.
    pub duplicates: Vec<i64>,
    pub name: String,
    pub version: String,
    pub os: String,
    /// The system by its name and version.
    pub ident: String,
    pub is_proxied: bool,
    /// Whether it has an account of its own.
    pub is_enrolled: bool,
    /// Whether it is late to enrol again.
    pub is_overdue: bool,
    /// Whether it was heard after it had been cut off.
    pub is_heard_again: bool,
}

/// All that is known of an agent.
#[derive(Clone, Debug)]
pub struct AgentView {
    pub line: AgentLine,
    pub about: About,
    /// Its processes, the one heard last at the end, each with how it is.
    pub processes: Vec<(Process, State)>,
    pub enrolment: Option<EnrolmentView>,
    /// The line of the whitelist that lets it in.
    pub admitted_by: Option<String>,
}

/// The account of an agent.
#[derive(Clone, Debug)]
pub struct EnrolmentView {
    pub account: AccountName,
    pub is_shared: bool,
    pub vhost: VhostName,
    pub since: Timestamp,
    /// When it got its present password.
    pub rotated: Timestamp,
    /// When its host should enrol again.
    pub until: Timestamp,
    pub by_token: bool,
    /// From where it asked last.
    pub address: std::net::IpAddr,
    /// When it was cut off, by whom, and whether all of that is done.
    pub revoked: Option<(Timestamp, String, bool)>,
    /// When it was last seen connected.
    pub connected: Option<Connected>,
}

/// An agent as it lies in the tables.
struct Found {
    heard: Option<Heard>,
    about: About,
    enrolled: Option<(HostName, Enrolled)>,
}

impl Agents {
    /// All agents, by location. Those of a large fleet may be some seconds old.
    ///
    /// # Errors
    /// `NotFound` while no agents are declared.
    pub async fn list(&self) -> Result<Arc<Vec<AgentLine>>> {
        let (timings, now) = (timings(self.agents()?.as_ref()), self.clock.elapsed());
        if let Some(lines) = self.meters.lines(now) {
            return Ok(lines);
        }
        let lines = Arc::new(self.store.survey(move |tx| lines(tx, &timings)).await?);
        self.meters.note_lines(now, &lines);
        Ok(lines)
    }

    /// One of them.
    ///
    /// # Errors
    /// `NotFound` when it is not known.
    pub async fn show(&self, queueloc: &Queueloc) -> Result<AgentView> {
        let timings = timings(self.agents()?.as_ref());
        let unknown = || Error::not_found(format!("no agent was heard or enrolled at the queue location `{queueloc}`"));
        let (found, connected, now) = self.store.read(|tx| {
            let host = locations::of(tx, queueloc)?.map(|location| location.host);
            let found = found(tx, queueloc, host)?.ok_or_else(unknown)?;
            let account = found.enrolled.as_ref().map(|(_, enrolled)| &enrolled.account);
            let connected =
                account.map(|account| held::of(tx, account)).transpose()?.and_then(|(_, connected)| connected);
            Ok((found, connected, tx.now()))
        })?;
        let line = line(queueloc.clone(), &found, now, &timings);
        let Found { heard, about, enrolled } = found;
        let processes = heard.iter().flat_map(|heard| heard.processes.processes());
        let processes = processes.map(|process| (process.clone(), process.state(now, &timings))).collect();
        let (whitelist, _) = self.relay.whitelist().await?;
        let admitted_by = whitelist.admits(queueloc.as_str()).map(|line| line.text.clone());
        let enrolment = enrolled.map(|(_, enrolled)| view(enrolled, connected));
        Ok(AgentView { line, about, processes, enrolment, admitted_by })
    }

    /// The location of the agent that was enrolled for a host.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn queueloc_of(&self, host: &HostName) -> Result<Queueloc> {
        let found = self.store.read(|tx| tx.get(&ENROLLED, host))?;
        found.map(|enrolled| enrolled.queueloc).ok_or_else(|| unknown_host(host))
    }

    /// What the account of a host's agent can reach, by the broker's own rules; also what it may do with the queue that is
    /// asked for.
    ///
    /// # Errors
    /// `NotFound` when there is none. Any error of the broker.
    pub async fn reach(&self, host: &HostName, asked: &Asked) -> Result<Reaches> {
        let declared = self.agents()?;
        let enrolled = self.store.read(|tx| tx.get(&ENROLLED, host))?.ok_or_else(|| unknown_host(host))?;
        if enrolled.is_shared {
            return self.relay.reach(&enrolled.account, asked).await;
        }
        let own = format!("{QUEUE_PREFIX}{}", enrolled.queueloc);
        let asked = Asked { queue: asked.queue.clone().or(Some(own)), ..asked.clone() };
        self.relay.reach_of(account(&declared, &enrolled), &asked).await
    }
}

fn unknown_host(host: &HostName) -> Error {
    Error::not_found(format!("no agent of a host `{host}` was enrolled"))
}

/// The account of an agent as a profile would declare it.
fn account(declared: &relay_profile::Agents, enrolled: &Enrolled) -> Account {
    let terms = super::account::terms(declared, &enrolled.queueloc);
    let grants = terms.grants.into_iter().map(|grant| Grant {
        vhost: grant.vhost,
        configure: grant.access.configure,
        write: grant.access.write,
        read: grant.access.read,
        topics: grant
            .topics
            .into_iter()
            .map(|topic| TopicGrant { exchange: topic.exchange, write: topic.write, read: topic.read })
            .collect(),
        consumes: Vec::new(),
    });
    Account {
        name: enrolled.account.clone(),
        tags: Vec::new(),
        grants: grants.collect(),
        limits: Default::default(),
        rotation: None,
        delivery: Delivery::default(),
        close_after: None,
        back_within: None,
        on_drift: Default::default(),
        note: None,
    }
}

fn found(tx: &ReadTx<'_>, queueloc: &Queueloc, host: Option<HostName>) -> Result<Option<Found>> {
    let heard = tx.get(&HEARD, queueloc)?;
    let enrolled = match host {
        Some(host) => tx.get(&ENROLLED, &host)?.map(|enrolled| (host, enrolled)),
        None => None,
    };
    let about = tx.get(&ABOUT, queueloc)?.unwrap_or_default();
    Ok((heard.is_some() || enrolled.is_some()).then_some(Found { heard, about, enrolled }))
}

/// All that were heard, and those that were enrolled and not heard.
fn lines(tx: &Survey<'_>, timings: &Timings) -> Result<Vec<AgentLine>> {
    let now = tx.now();
    let mut enrolled: HashMap<Queueloc, (HostName, Enrolled)> = HashMap::new();
    tx.each(&ENROLLED, |host, each: Enrolled| {
        enrolled.insert(each.queueloc.clone(), (host, each));
    })?;
    let mut abouts: HashMap<Queueloc, About> = HashMap::new();
    tx.each(&ABOUT, |queueloc, about: About| {
        abouts.insert(queueloc, About { events: Vec::new(), ..about });
    })?;
    let mut all = Vec::new();
    tx.each(&HEARD, |queueloc, heard: Heard| {
        let about = abouts.remove(&queueloc).unwrap_or_default();
        let found = Found { heard: Some(heard), about, enrolled: enrolled.remove(&queueloc) };
        all.push(line(queueloc, &found, now, timings));
    })?;
    for (queueloc, each) in enrolled {
        let about = abouts.remove(&queueloc).unwrap_or_default();
        all.push(line(queueloc, &Found { heard: None, about, enrolled: Some(each) }, now, timings));
    }
    all.sort_by(|one, other| one.queueloc.cmp(&other.queueloc));
    Ok(all)
}

fn line(queueloc: Queueloc, found: &Found, now: Timestamp, timings: &Timings) -> AgentLine {
    let Found { heard, about, enrolled } = found;
    let state = heard.as_ref().and_then(|heard| heard.processes.state(now, timings));
    let is_revoked = enrolled.as_ref().is_some_and(|(_, enrolled)| enrolled.revoked.is_some());
    let standing = if is_revoked { Standing::Revoked } else { state.map_or(Standing::Unheard, Standing::from) };
    let duplicates = match heard.as_ref().map(|heard| heard.processes.duplicates(now, timings)) {
        Some(Duplicates::Proven(pids)) => pids,
        _ => Vec::new(),
    };
    let host = enrolled.as_ref().map(|(host, _)| host.clone());
    let last = heard.as_ref().map(|heard| heard.last);
    let cut_off = enrolled.as_ref().and_then(|(_, enrolled)| enrolled.revoked.as_ref()).map(|revoked| revoked.at);
    AgentLine {
        queueloc,
        host: host.or_else(|| heard.as_ref().and_then(|heard| heard.host.clone())),
        standing,
        first: heard.as_ref().map(|heard| heard.first),
        last,
        duplicates,
        name: about.name.clone(),
        version: about.version.clone(),
        os: about.os.clone(),
        ident: about.ident.clone(),
        is_proxied: about.is_proxied,
        is_heard_again: last.zip(cut_off).is_some_and(|(last, cut_off)| last > cut_off.plus(SETTLED_AFTER)),
        is_enrolled: enrolled.is_some() && !is_revoked,
        is_overdue: enrolled.as_ref().is_some_and(|(_, it)| !is_revoked && Agents::is_overdue(it.until, now)),
    }
}

fn view(enrolled: Enrolled, connected: Option<Connected>) -> EnrolmentView {
    let Enrolled { account, is_shared, vhost, since, rotated, until, address, by_token, revoked, .. } = enrolled;
    let revoked = revoked.map(|revoked| (revoked.at, revoked.by, revoked.is_done));
    EnrolmentView { account, is_shared, vhost, since, rotated, until, by_token, address, revoked, connected }
}

/// What happened to an agent, the last things, newest first.
pub fn newest_first(events: &[Event]) -> Vec<Event> {
    events.iter().rev().cloned().collect()
}
