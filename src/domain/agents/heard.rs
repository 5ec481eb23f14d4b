//! Takes note of heartbeats that are welcome: in the transaction of their batch.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::record::{ABOUT, About, EventKind, HEARD, Heard};
use crate::base::{HostName, Queueloc, Result, Timestamp};
use crate::proto::heartbeat::{Heartbeat, Sighting, State, Timings};
use crate::store::WriteTx;

/// A heartbeat that is welcome.
pub(super) struct Welcome {
    pub queueloc: Queueloc,
    pub heartbeat: Heartbeat,
    /// Stands for what it says of the agent.
    pub print: u64,
    /// The host that it comes from, where that was proven.
    pub host: Option<HostName>,
}

impl Welcome {
    pub(super) fn new(queueloc: Queueloc, heartbeat: Heartbeat, host: Option<HostName>) -> Self {
        Self { print: print(&heartbeat), queueloc, heartbeat, host }
    }
}

/// What a silence is judged by.
#[derive(Clone, Copy)]
pub(super) struct Since {
    pub timings: Timings,
    /// Since when nothing was missed: a silence that began before may have been ours.
    pub listening: Option<Timestamp>,
}

/// Notes one.
pub(super) fn note(tx: &mut WriteTx<'_, '_>, welcome: Welcome, since: Since) -> Result<()> {
    let Welcome { queueloc, heartbeat, print, host } = welcome;
    let now = tx.now();
    let known = tx.get(&HEARD, &queueloc)?;
    let is_new = known.is_none();
    let new = || Heard { processes: Default::default(), first: now, last: now, print: 0, host: None };
    let mut heard = known.unwrap_or_else(new);
    let is_back = !is_new && heard.processes.state(now, &since.timings).is_some_and(is_silent);
    let silent_since = heard.last;
    let others = heard.processes.processes().len();
    let sighting = heard.processes.observe(&heartbeat, now);
    // No known agent says so of itself; and the orders of the scheduler are not ours to read.
    if heartbeat.destroyed_at.is_some_and(|at| at <= now) {
        heard.processes.end(heartbeat.pid, false);
    }
    let is_changed = is_new || heard.print != print;
    (heard.last, heard.print, heard.host) = (now, print, host.or(heard.host));
    tx.put(&HEARD, &queueloc, &heard)?;

    let process = match sighting {
        Sighting::New if others == 0 => Some(EventKind::Heard),
        Sighting::New => Some(EventKind::Started),
        Sighting::Restarted => Some(EventKind::Restarted),
        Sighting::Survived => Some(EventKind::Survived),
        Sighting::Known | Sighting::Refreshed => None,
    };
    let was_missed = is_back && since.listening.is_some_and(|listening| listening <= silent_since);
    if process.is_none() && !is_changed && !was_missed {
        return Ok(());
    }
    let before: Option<About> = tx.get(&ABOUT, &queueloc)?;
    let mut about = About::of(&heartbeat);
    let changed = before.as_ref().filter(|_| !is_new).map(|before| about.differs(before)).unwrap_or_default();
    about.events = before.map(|before| before.events).unwrap_or_default();
    if was_missed {
        about.happened(now, EventKind::Silent, format!("since {silent_since}"));
    }
    if let Some(kind) = process {
        about.happened(now, kind, format!("process {}", heartbeat.pid));
    }
    if !changed.is_empty() {
        about.happened(now, EventKind::Changed, changed.join(", "));
    }
    tx.put(&ABOUT, &queueloc, &about)
}

fn is_silent(state: State) -> bool {
    matches!(state, State::Idle | State::Offline)
}

/// Stands for what a heartbeat says of its agent, whatever the order of its modules. Two that differ have different ones but
/// for once in a very long time, and then the next change brings both.
fn print(heartbeat: &Heartbeat) -> u64 {
    let environment = &heartbeat.environment;
    let mut modules: Vec<&String> = environment.modules.items.iter().collect();
    modules.sort();
    let mut hasher = DefaultHasher::new();
    (&heartbeat.name, &heartbeat.version, &heartbeat.loader_name, &heartbeat.tags.items).hash(&mut hasher);
    (&environment.init, &environment.ident, &environment.os, &environment.arch, modules).hash(&mut hasher);
    (environment.is_proxied, &environment.proxy, &environment.public_ip, &environment.addresses.items)
        .hash(&mut hasher);
    environment.aws.instance_id.hash(&mut hasher);
    hasher.finish()
}
