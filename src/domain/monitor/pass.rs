//! What a pass looks at, and what it did.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::brake::{Cause, Readings};
use super::memory::Memory;
use super::rules::RuleBook;
use crate::base::{NamespaceName, Timestamp};
use crate::domain::namespaces::MonitoredNamespace;
use crate::ports::broker::{Connection, Exchange, Queue, QueueLimit};

/// All that a pass looks at.
pub(super) struct Look {
    pub now: Timestamp,
    pub namespaces: HashMap<NamespaceName, MonitoredNamespace>,
    pub memory: Memory,
    pub book: RuleBook,
    pub queues: Vec<Queue>,
    pub exchanges: Vec<Exchange>,
    pub connections: Vec<Connection>,
    /// The limits that queues have by us.
    pub caps: HashMap<String, QueueLimit>,
    pub readings: Readings,
    pub elapsed: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Steps that a pass without `MOCK_MAINTENANCE` would have taken.
    pub planned: usize,
    pub told: usize,
    pub deleted_queues: usize,
    pub deleted_exchanges: usize,
    /// Queues for which the broker takes no more from now on.
    pub limited: usize,
    /// Queues whose messages were taken out.
    pub archived: usize,
    /// Queues whose messages are being taken out. They are watched again when that has ended.
    pub under_way: usize,
    /// Queues that take messages again.
    pub unlimited: usize,
    pub closed: usize,
    /// Destructive steps that were no longer needed when it came to them.
    pub spared: usize,
    /// Destructive steps that the brake held back.
    pub held: usize,
    /// Steps that failed; the next pass judges anew.
    pub failed: usize,
    /// Why the brake is on; empty when it is not.
    pub brake: Vec<Cause>,
    /// Whether it only planned.
    pub mock: bool,
}

/// What it did in a line; empty when that was nothing.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = [
            (self.planned, "steps were planned only"),
            (self.told, "notices were posted"),
            (self.deleted_queues, "queues were deleted"),
            (self.deleted_exchanges, "exchanges were deleted"),
            (self.limited, "queues were limited"),
            (self.archived, "queues were archived"),
            (self.under_way, "queues are being archived"),
            (self.unlimited, "queues take messages again"),
            (self.closed, "connections were closed"),
            (self.spared, "things were spared"),
            (self.held, "steps were held back"),
            (self.failed, "steps failed"),
        ];
        let counted = counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let brake = self.brake.iter().map(|cause| format!("the brake is on: {}", cause.why));
        f.write_str(&counted.chain(brake).collect::<Vec<_>>().join(", "))
    }
}
