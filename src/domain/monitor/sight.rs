//! What a judgement looks at, and what is remembered of a queue from one pass to the next.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::forecast::Samples;
use super::limits::{Cap, Limits};
use super::managed::Prefixes;
use super::rules::RuleBook;
use crate::base::{NamespaceName, Timestamp};
use crate::domain::namespaces::MonitoredNamespace;
use crate::ports::broker::{Connection, Exchange, Queue, QueueLimit};

/// How often a warning is repeated while its cause lasts.
pub(super) const REPEAT: Duration = Duration::from_secs(24 * 60 * 60);
/// Time in which nobody could look that is overlooked. Longer, and a consumer may well have been there.
const UNSEEN_MAX: Duration = Duration::from_secs(15 * 60);
/// The same as a part of the time that is counted, and in passes: a tenth, and three.
const UNSEEN_MAX_SHARE: u32 = 10;
const UNSEEN_MAX_PASSES: u32 = 3;

/// What is remembered of a queue that is not simply in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// When its contact was last told that it is over the warning; `None` while it is in order.
    pub warned: Option<Timestamp>,
    /// Since when it is over a limit of deletion.
    pub over_since: Option<Timestamp>,
    /// Since when it has no consumer, for queues with a rule about that.
    pub idle_since: Option<Timestamp>,
    /// Since when it could not be looked at, while something was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen_since: Option<Timestamp>,
    /// What its consumers had got since the broker counts when it had none: if that is more, one came and went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<u64>,
    /// The limit that it has by us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limited: Option<Limited>,
    /// Whether its contact was told that it will soon be deleted.
    pub forecast_told: bool,
    /// Passes in a row that it was missing from the list.
    pub absent: u8,
    /// Its messages when we set out to delete it. Gone when the outcome is noted, or when it is seen again.
    pub condemned: Option<u64>,
    /// Whether it was not there any more when we deleted it: its node was down, or an earlier try took effect whose answer
    /// was lost. It may be made again before the next pass.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub vanished: bool,
}

/// What the broker was told to let a queue hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limited {
    /// The thresholds that asked for it: messages and bytes.
    pub named: (Option<u64>, Option<u64>),
    /// The most that it may hold, which is not less than it held then where publishers are refused.
    pub most: (Option<u64>, Option<u64>),
}

impl Limited {
    /// The limit of a cap.
    pub fn new(cap: &Cap, limit: &QueueLimit) -> Self {
        Self { named: (cap.at.messages, cap.at.bytes), most: (limit.messages, limit.bytes) }
    }

    /// Whether the broker has it as it was told, and the rule is still the same. Less is as good: somebody else's policy may
    /// say so.
    pub fn holds(&self, cap: &Cap, present: &QueueLimit) -> bool {
        let is_held = |most: Option<u64>, present: Option<u64>| {
            most.is_none_or(|most| present.is_some_and(|present| present <= most))
        };
        self.named == (cap.at.messages, cap.at.bytes)
            && is_held(self.most.0, present.messages)
            && is_held(self.most.1, present.bytes)
            && cap.overflow == present.overflow
    }
}

impl Remembered {
    /// What was written down for the future, while the clock was wrong, began now: otherwise it would be without effect
    /// until then.
    pub(super) fn not_after(mut self, now: Timestamp) -> Self {
        for moment in [&mut self.warned, &mut self.over_since, &mut self.idle_since, &mut self.unseen_since] {
            *moment = moment.map(|moment| moment.min(now));
        }
        self
    }

    /// It cannot be looked at in this pass.
    pub(super) fn lose_sight(&mut self, now: Timestamp) {
        if self.over_since.is_some() || self.idle_since.is_some() {
            self.unseen_since.get_or_insert(now);
        }
    }

    /// It can be looked at again. What was counted over a long time in which nobody looked is counted anew: nobody
    /// knows whether it lasted.
    pub(super) fn regain_sight(&mut self, sight: &Sight<'_>, limits: &Limits) {
        let Some(since) = self.unseen_since.take().or(sight.last) else { return };
        let unseen = sight.now.since(since);
        let at_least = UNSEEN_MAX.max(sight.period.saturating_mul(UNSEEN_MAX_PASSES));
        let is_too_long = |counted: Duration| unseen > at_least.max(counted / UNSEEN_MAX_SHARE);
        self.over_since = self.over_since.filter(|_| !is_too_long(limits.grace));
        self.idle_since = self.idle_since.filter(|_| !is_too_long(limits.unconsumed().unwrap_or_default()));
    }

    /// Notes whether it has a consumer, where limits are about that. One that came and went between two looks left a trace in
    /// the count of what was delivered.
    pub(super) fn watch_consumers(&mut self, queue: &Queue, limits: &Limits, now: Timestamp) {
        let came_and_went = self.delivered.zip(queue.delivered).is_some_and(|(then, now)| now > then);
        match queue.consumers {
            _ if limits.unconsumed().is_none() => (self.idle_since, self.delivered) = (None, None),
            Some(0) if came_and_went => (self.idle_since, self.delivered) = (Some(now), queue.delivered),
            Some(0) => {
                self.idle_since.get_or_insert(now);
                self.delivered = self.delivered.or(queue.delivered);
            }
            Some(_) => (self.idle_since, self.delivered) = (None, None),
            None => {}
        }
    }
}

/// All that a judgement looks at.
pub struct Sight<'a> {
    pub now: Timestamp,
    /// When the last sound pass was.
    pub last: Option<Timestamp>,
    /// How often there is a pass.
    pub period: Duration,
    pub prefixes: &'a Prefixes,
    /// All queues of the vhost.
    pub queues: &'a [Queue],
    /// All exchanges of the vhost.
    pub exchanges: &'a [Exchange],
    pub connections: &'a [Connection],
    /// The namespaces that there are. **Invariant:** read after the lists of the broker, so that the namespace of a
    /// thing in them is here unless it is gone.
    pub namespaces: &'a HashMap<NamespaceName, MonitoredNamespace>,
    /// What is remembered of queues.
    pub remembered: &'a HashMap<String, Remembered>,
    /// When contacts of namespaces were last told of connections that outlive a promise.
    pub told: &'a HashMap<NamespaceName, Timestamp>,
    /// The last counts of queues, with those of now.
    pub samples: &'a HashMap<String, Samples>,
    /// The limits that queues have at the broker by us.
    pub caps: &'a HashMap<String, QueueLimit>,
    pub rules: &'a RuleBook,
    /// How old a connection may be.
    pub connection_max_lifetime: Duration,
}
