//! What is stored of agents: what was heard of each, what it says of itself, and which hosts have one of ours.

use std::net::IpAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{AccountName, HostName, Queueloc, Timestamp, VhostName};
use crate::proto::heartbeat::{Agents as Processes, Heartbeat, Mode, Timings};
use crate::proto::relay_profile;
use crate::store::Table;

/// What was heard, which changes with each heartbeat.
pub(super) const HEARD: Table<Queueloc, Heard> = Table::plain("agents_heard");
/// What an agent says of itself. Apart, because it hardly ever changes.
pub(super) const ABOUT: Table<Queueloc, About> = Table::plain("agents_about");
/// Hosts whose agent was enrolled.
pub(super) const ENROLLED: Table<HostName, Enrolled> = Table::audited("agents_enrolled");

/// What happened to an agent that is remembered, the last so many: who looks at more asks the audit log.
const EVENTS_MAX: usize = 50;
/// Words of a list that are remembered of each agent.
const WORDS_MAX: usize = 32;

/// What was heard from one location.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Heard {
    pub processes: Processes,
    pub first: Timestamp,
    pub last: Timestamp,
    /// Stands for what it said of itself then.
    pub print: u64,
    /// Which host it is on, where that was proven: by HTTP it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
}

/// What an agent says of itself. It may say anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct About {
    /// What the host calls itself.
    pub name: String,
    pub version: String,
    /// `daemon`, `checkin`, or empty.
    pub mode: String,
    /// What starts services, such as `systemd`.
    pub init: String,
    /// The system by its name and version.
    pub ident: String,
    pub os: String,
    pub arch: String,
    /// Whether it reaches the relay through a proxy.
    pub is_proxied: bool,
    pub proxy: String,
    pub public_ip: String,
    pub addresses: Vec<String>,
    /// In the order of the alphabet: agents send them in one that changes.
    pub modules: Vec<String>,
    pub tags: Vec<Tag>,
    pub loader_name: String,
    /// The instance in Amazon's cloud.
    pub instance_id: String,
    /// What happened to it, the last things, oldest first.
    pub events: Vec<Event>,
}

/// A word that an operator gave to an agent in its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tag {
    pub name: String,
    pub value: String,
}

/// Something that happened to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    pub at: Timestamp,
    pub kind: EventKind,
    /// More of it, in a few words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub what: String,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It was heard for the first time.
    Heard,
    /// Another process of it was heard.
    Started,
    /// A process began anew under the same number.
    Restarted,
    /// One that was told to end was heard again.
    Survived,
    /// It was not heard for so long that it was idle.
    Silent,
    /// It says something else of itself.
    Changed,
    /// It got an account.
    Enrolled,
    /// It got another password.
    Rotated,
    /// Its account was taken away.
    Revoked,
}

impl EventKind {
    /// As a document has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Started => "started",
            Self::Restarted => "restarted",
            Self::Survived => "survived",
            Self::Silent => "silent",
            Self::Changed => "changed",
            Self::Enrolled => "enrolled",
            Self::Rotated => "rotated",
            Self::Revoked => "revoked",
        }
    }
}

impl About {
    /// What a heartbeat says, without anything that happened.
    pub(super) fn of(heartbeat: &Heartbeat) -> Self {
        let environment = &heartbeat.environment;
        let tag = |(name, value): &(String, String)| Tag { name: name.clone(), value: value.clone() };
        let words = |words: &[String]| words.iter().take(WORDS_MAX).cloned().collect::<Vec<_>>();
        let mut modules = environment.modules.items.clone();
        modules.sort();
        let mode = match heartbeat.mode {
            Mode::Daemon => "daemon",
            Mode::Checkin => "checkin",
            Mode::Unstated | Mode::Other => "",
        };
        Self {
            name: heartbeat.name.clone(),
            version: heartbeat.version.clone(),
            mode: mode.to_owned(),
            init: environment.init.clone(),
            ident: environment.ident.clone(),
            os: environment.os.clone(),
            arch: environment.arch.clone(),
            is_proxied: environment.is_proxied,
            proxy: environment.proxy.clone(),
            public_ip: environment.public_ip.clone(),
            addresses: words(&environment.addresses.items),
            modules: words(&modules),
            tags: heartbeat.tags.items.iter().take(WORDS_MAX).map(tag).collect(),
            loader_name: heartbeat.loader_name.clone(),
            instance_id: environment.aws.instance_id.clone(),
            events: Vec::new(),
        }
    }

    /// Adds what happened, and forgets the oldest of too much.
    pub(super) fn happened(&mut self, at: Timestamp, kind: EventKind, what: impl Into<String>) {
        if self.events.len() >= EVENTS_MAX {
            self.events.remove(0);
        }
        self.events.push(Event { at, kind, what: what.into() });
    }

    /// In what it differs from what was said before, by name.
    pub(super) fn differs(&self, before: &Self) -> Vec<&'static str> {
        let all = [
            ("name", self.name != before.name),
            ("version", self.version != before.version),
            ("mode", self.mode != before.mode),
            ("init", self.init != before.init),
            ("ident", self.ident != before.ident),
            ("os", (&self.os, &self.arch) != (&before.os, &before.arch)),
            ("proxy", (self.is_proxied, &self.proxy) != (before.is_proxied, &before.proxy)),
            ("addresses", (&self.addresses, &self.public_ip) != (&before.addresses, &before.public_ip)),
            ("modules", self.modules != before.modules),
            ("tags", self.tags != before.tags),
            ("loader", self.loader_name != before.loader_name),
            ("instance", self.instance_id != before.instance_id),
        ];
        all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

/// A host whose agent has a relay account of ours, or had one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Enrolled {
    pub queueloc: Queueloc,
    /// What stands in the agent's id file.
    pub id: String,
    /// Its broker user; that of all agents where they share one.
    pub account: AccountName,
    pub is_shared: bool,
    /// Where its queue is.
    pub vhost: VhostName,
    /// When first, and when it got its present password.
    pub since: Timestamp,
    pub rotated: Timestamp,
    /// When it should ask again.
    pub until: Timestamp,
    /// From where it asked last.
    pub address: IpAddr,
    /// Whether it was known by a token, and not by DNS.
    pub by_token: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// That an agent was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Revoked {
    pub at: Timestamp,
    /// By whom, as the audit log names them.
    pub by: String,
    pub queue: QueueFate,
    /// Whether all of it was done at the broker.
    pub is_done: bool,
    /// Whether its connections were looked for once more after that: RabbitMQ 4.3 lets one live that was opened in the
    /// moment before its user was deleted.
    #[serde(default)]
    pub is_swept: bool,
}

/// What becomes of the queue of an agent that is cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueFate {
    /// It stays, with the commands in it.
    #[default]
    Keep,
    /// It stays, empty.
    Purge,
    /// It goes.
    Delete,
}

impl QueueFate {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Purge => "purge",
            Self::Delete => "delete",
        }
    }
}

impl FromStr for QueueFate {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let all = [Self::Keep, Self::Purge, Self::Delete];
        all.into_iter().find(|fate| fate.as_str() == text).ok_or_else(|| "expected keep, purge or delete".to_owned())
    }
}

/// The timings of the scheduler.
pub(super) fn timings(declared: &relay_profile::Agents) -> Timings {
    Timings { heartbeat_period: declared.heartbeat_period.size(), agent_timeout: declared.timeout.size() }
}
