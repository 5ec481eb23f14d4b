//! Heartbeats of Mozilla InvestiGator's agents: what is in them, whether its scheduler or its API takes them, and which
//! agents they come from.
//!
//! A heartbeat is believed in nothing: whoever reaches the exchange or the API writes what they like into it. Three
//! generations are read (docs/mig.md), each as the programs of its time read it, so that what is told about agents here
//! and what the scheduler knows about them do not part. `json` and `time` are Go's view of the bytes, `read` fills the
//! records, `judge` decides as the scheduler and the API do, and `agents` is what follows from many heartbeats.

mod agents;
mod json;
mod judge;
mod read;
mod time;

#[cfg(test)]
mod tests;

use crate::base::Timestamp;
use crate::proto::Refusal;

pub use agents::{Agents, Duplicates, PROCESSES_MAX, Process, Sighting, State};
pub use judge::{Answer, FUTURE_MAX, Timings, Verdict, judge};

/// Longest body that the scheduler looks at. The API has no such limit, and the same one here.
pub const BODY_LEN_MAX: usize = 102_400;

/// What is said of a body that is longer than [`BODY_LEN_MAX`].
pub fn too_long() -> Refusal {
    Refusal::new("discarded heartbeat larger than 100kB")
}

/// How an agent of a time speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Over AMQP, as in March 2015: tags have any shape, which schedulers took until July 2017, and there are neither
    /// modules nor times of refreshes.
    First,
    /// Over AMQP, as in November 2018: tags are texts, and there is all that came in between.
    Second,
    /// Over HTTP, to the API, from November 2018 on: names are in camel case, and tags are a list.
    Third,
}

/// How an agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does not say: taken for an agent that stays.
    Unstated,
    /// It stays.
    Daemon,
    /// It comes for a moment, at intervals.
    Checkin,
    /// No mode that there is.
    Other,
}

/// The first items of a list, and how many were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept<T> {
    /// As many as are worth keeping.
    pub items: Vec<T>,
    /// How many there were behind them.
    pub left_out: usize,
}

impl<T> Kept<T> {
    fn of(items: impl ExactSizeIterator<Item = T>, len_max: usize) -> Self {
        let left_out = items.len().saturating_sub(len_max);
        Self { items: items.take(len_max).collect(), left_out }
    }
}

/// A heartbeat as its sender wrote it.
///
/// **Invariant:** no longer than its body was, and every text but `name`, `queueloc` and `version`, which are judged by
/// their length, is at most 512 bytes long; a longer one ends with an ellipsis. Texts may hold any character, the control
/// characters among them. A time is `None` where Go has its moment zero, and cut to milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// As which it was read.
    pub generation: Generation,
    /// What the host calls itself.
    pub name: String,
    /// Where the agent takes its commands: its queue is `mig.agt.` and this.
    pub queueloc: String,
    /// How it runs.
    pub mode: Mode,
    /// The agent's own version.
    pub version: String,
    /// Its process.
    pub pid: i64,
    /// Since when the process runs. From April 2016 on agents write the time of the heartbeat here.
    pub started_at: Option<Timestamp>,
    /// When it last looked at its environment; agents before April 2016 do not say.
    pub refreshed_at: Option<Timestamp>,
    /// Every known agent sends Go's moment zero.
    pub destroyed_at: Option<Timestamp>,
    /// When the heartbeat was made, by the clock of its host. The third generation does not say.
    pub sent_at: Option<Timestamp>,
    /// What the agent found out about its host.
    pub environment: Environment,
    /// By name, each name once. Tags of the first generation that are no object are one without a name; values that are no
    /// text are JSON.
    pub tags: Kept<(String, String)>,
    /// Which loader installed the agent, where it says so.
    pub loader_name: String,
}

/// What an agent found out about its host. Texts are empty where it found nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// What starts services, such as `systemd`.
    pub init: String,
    /// The system by its name and version.
    pub ident: String,
    /// `linux`, `windows` or `darwin`.
    pub os: String,
    /// As Go names it, such as `amd64`.
    pub arch: String,
    /// Whether the relay is reached through a proxy.
    pub is_proxied: bool,
    /// Which one.
    pub proxy: String,
    /// The address that the API saw.
    pub public_ip: String,
    /// Addresses with the length of their networks.
    pub addresses: Kept<String>,
    /// In an order that changes with each start.
    pub modules: Kept<String>,
    /// Of a host in Amazon's cloud.
    pub aws: Aws,
}

/// What Amazon's cloud says about a host of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aws {
    /// The instance.
    pub instance_id: String,
    /// Its address inside.
    pub local_ipv4: String,
    /// The image that it was made from.
    pub ami_id: String,
    /// Its size.
    pub instance_type: String,
}

impl From<[String; 4]> for Aws {
    fn from([instance_id, local_ipv4, ami_id, instance_type]: [String; 4]) -> Self {
        Self { instance_id, local_ipv4, ami_id, instance_type }
    }
}

impl Heartbeat {
    /// Reads a body as programs of a generation do.
    ///
    /// # Errors
    ///
    /// The body is too long, no JSON, or has a value of another type than the record. What is said repeats nothing of
    /// the body.
    pub fn read(body: &[u8], generation: Generation) -> Result<Self, Refusal> {
        if body.len() > BODY_LEN_MAX {
            return Err(too_long());
        }
        read::heartbeat(body, generation)
    }

    /// Reads a body of a generation that is not known: as the newest one that takes it and finds in it when it was sent,
    /// which all say that come over AMQP, or else as the third.
    ///
    /// # Errors
    ///
    /// No generation takes it. The refusal is that of the second.
    pub fn read_any(body: &[u8]) -> Result<Self, Refusal> {
        let over_amqp = [Generation::Second, Generation::First].map(|generation| Self::read(body, generation));
        if let Some(read) = over_amqp.iter().flatten().find(|read| read.sent_at.is_some()) {
            return Ok(read.clone());
        }
        let [second, first] = over_amqp;
        Self::read(body, Generation::Third).or(first).or(second)
    }
}
