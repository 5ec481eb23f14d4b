//! What holds for one queue: the thresholds of each rung of the ladder, and which of them it is over.

use std::time::Duration;

use crate::base::{Error, Result, Timestamp};
use crate::ports::broker::{Overflow, Queue, QueueLimit, Stream};

use super::forecast::{Forecast, Samples};
use super::queue_rule::{QueueRule, Rung};

/// When a rung is reached. What is left out never reaches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// More messages than this.
    pub messages: Option<u64>,
    /// More bytes than this.
    pub bytes: Option<u64>,
    /// The message at its head is this old, by the time stamp of its publisher.
    pub head: Option<Duration>,
    /// No consumer for this long.
    pub unconsumed: Option<Duration>,
}

/// The rung at which the broker takes no more for a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// When it is reached.
    pub at: Thresholds,
    /// What becomes of what is too much.
    pub overflow: Overflow,
}

/// What holds for one queue: the ladder tell, limit, archive, delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From here on its contact is told.
    pub warn: Thresholds,
    /// From here on the broker takes no more for it.
    pub limit: Option<Cap>,
    /// From here on its messages are taken out into an archive, and in any case before it is deleted.
    pub archive: Option<Thresholds>,
    /// From here on it is deleted.
    pub delete: Thresholds,
    /// How long it may be over a threshold before it is deleted.
    pub grace: Duration,
    /// Until when none of this holds.
    pub exempt_until: Option<Timestamp>,
    /// Which of the two counts of messages a rule named: warning and deletion.
    named: (bool, bool),
}

/// A threshold that a queue is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It has more messages than this.
    Messages(u64),
    /// It has more bytes than this.
    Bytes(u64),
    /// The message at its head is this old.
    Head(Duration),
    /// It had no consumer for this long.
    Unconsumed(Duration),
    /// It is a stream that nothing bounds, and has more messages than this. Only told.
    Unbounded(u64),
}

/// How long what a queue is held against has lasted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ages {
    /// How old the message at its head is, as far as the broker says.
    pub head: Option<Duration>,
    /// How long it had no consumer.
    pub idle: Option<Duration>,
}

impl Rung {
    /// When it is reached, as it is compared.
    fn thresholds(&self) -> Thresholds {
        let Self { messages, bytes, head_seconds, unconsumed_seconds } = *self;
        let time = |seconds: Option<u64>| seconds.map(Duration::from_secs);
        Thresholds { messages, bytes, head: time(head_seconds), unconsumed: time(unconsumed_seconds) }
    }

    /// The rung of these.
    fn new(at: Thresholds) -> Self {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        let Thresholds { messages, bytes, head, unconsumed } = at;
        Self { messages, bytes, head_seconds: seconds(head), unconsumed_seconds: seconds(unconsumed) }
    }
}

impl Cap {
    /// The limit that this is for a queue as it is now. Where publishers are refused, what is there stays: a broker that is told
    /// of a length below it may throw the oldest away first (4.3.6 does).
    pub fn on(&self, queue: &Queue) -> QueueLimit {
        let names_none = self.at.messages.is_none() && self.at.bytes.is_none();
        let most = |named: Option<u64>, held: Option<u64>| match self.overflow {
            Overflow::RejectPublish => named.map(|named| named.max(held.unwrap_or(0))),
            Overflow::DropHead => named,
        };
        let messages = most(self.at.messages, queue.messages).or(queue.messages.filter(|_| names_none));
        let bytes = most(self.at.bytes, queue.bytes);
        QueueLimit { queue: queue.name.clone(), messages, bytes, overflow: self.overflow }
    }
}

impl Thresholds {
    /// The first of these that the queue is over.
    pub fn exceeded_by(&self, queue: &Queue, ages: Ages) -> Option<Over> {
        let is_more = |count: Option<u64>, limit: &u64| count.is_some_and(|count| count > *limit);
        let is_longer = |age: Option<Duration>, limit: &Duration| age.is_some_and(|age| age >= *limit);
        let messages = self.messages.filter(|limit| is_more(queue.messages, limit)).map(Over::Messages);
        let bytes = || self.bytes.filter(|limit| is_more(queue.bytes, limit)).map(Over::Bytes);
        let head = || self.head.filter(|limit| is_longer(ages.head, limit)).map(Over::Head);
        let unconsumed = || self.unconsumed.filter(|limit| is_longer(ages.idle, limit)).map(Over::Unconsumed);
        messages.or_else(bytes).or_else(head).or_else(unconsumed)
    }

    fn have(&self, over: &Over) -> bool {
        match *over {
            Over::Messages(limit) => self.messages == Some(limit),
            Over::Bytes(limit) => self.bytes == Some(limit),
            Over::Head(limit) => self.head == Some(limit),
            Over::Unconsumed(limit) => self.unconsumed == Some(limit),
            Over::Unbounded(_) => false,
        }
    }

    /// Whether each of these comes before its like of the others, where both are named.
    fn come_before(&self, others: &Self) -> bool {
        fn is_less<T: PartialOrd>(one: Option<T>, other: Option<T>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one < other)
        }
        is_less(self.messages, others.messages)
            && is_less(self.bytes, others.bytes)
            && is_less(self.head, others.head)
            && is_less(self.unconsumed, others.unconsumed)
    }

    fn are_possible(&self) -> bool {
        self.head != Some(Duration::ZERO) && self.unconsumed != Some(Duration::ZERO)
    }
}

impl Limits {
    /// The thresholds of the settings, and nothing else.
    pub fn new(warn: u64, delete: u64) -> Self {
        let of = |messages| Thresholds { messages: Some(messages), ..Thresholds::default() };
        Self {
            warn: of(warn),
            limit: None,
            archive: None,
            delete: of(delete),
            grace: Duration::ZERO,
            exempt_until: None,
            named: (false, false),
        }
    }

    /// These limits as the rule changes them, if every rung comes before the deletion. `Invalid` for a rule of which that is
    /// not so.
    pub fn ruled(&self, rule: &QueueRule) -> Result<Self> {
        let delete = Thresholds {
            messages: rule.delete_messages.or(self.delete.messages),
            bytes: rule.delete_bytes,
            head: rule.delete_head_seconds.map(Duration::from_secs),
            unconsumed: rule.unconsumed_seconds.map(Duration::from_secs),
        };
        let warn = Thresholds {
            messages: rule.warn_messages.or(self.warn.messages),
            bytes: rule.warn_bytes.or(delete.bytes.map(|limit| limit / 2)),
            head: rule.warn_head_seconds.map(Duration::from_secs).or(delete.head.map(|age| age / 2)),
            unconsumed: delete.unconsumed.map(|time| time / 2),
        };
        let limit = rule.limit.as_ref().map(|rung| Cap { at: rung.thresholds(), overflow: rule.overflow });
        let archive = rule.archive.as_ref().map(Rung::thresholds);
        let limits = Self {
            warn,
            limit,
            archive,
            delete,
            grace: Duration::from_secs(rule.grace_seconds),
            exempt_until: rule.exempt_until,
            named: (rule.warn_messages.is_some(), rule.delete_messages.is_some()),
        };
        let rungs = [Some(warn), limit.map(|cap| cap.at), archive];
        // It ends when the queue is in order again: were it reached before, it would come and go.
        let is_told_first = limit.is_none_or(|cap| warn.come_before(&cap.at));
        let is_ladder =
            is_told_first && rungs.iter().flatten().all(|rung| rung.are_possible() && rung.come_before(&delete));
        if limit.is_some_and(|cap| cap.at == Thresholds::default()) {
            return Err(Error::invalid("the rule has a limit, and does not say when: name messages, bytes or a time"));
        }
        if limit.is_none() && rule.overflow != Overflow::default() {
            return Err(Error::invalid("the rule says what becomes of too much, and has no limit beyond which it is"));
        }
        if is_ladder && delete.are_possible() {
            return Ok(limits);
        }
        let of = |count: Option<u64>| count.unwrap_or_default();
        Err(Error::invalid(format!(
            "the warning must come before the deletion, and a limit and an archive between them; without a rule queues are warned of at {} and deleted at {} messages",
            of(self.warn.messages),
            of(self.delete.messages)
        )))
    }

    /// The same with more grace and a longer exemption, if the rule has them.
    pub(super) fn sparing(self, rule: &QueueRule) -> Self {
        Self {
            grace: self.grace.max(Duration::from_secs(rule.grace_seconds)),
            exempt_until: self.exempt_until.max(rule.exempt_until),
            ..self
        }
    }

    /// These limits for a queue of this kind. A stream is there to keep what was read: of the counts of messages only those that
    /// a rule names hold for it, and that of a warning while nothing else bounds it.
    #[must_use]
    pub fn of(self, stream: Option<Stream>) -> Self {
        let Some(Stream { is_bounded }) = stream else { return self };
        let (is_warning_named, is_deletion_named) = self.named;
        let kept = |rung: Thresholds, holds: bool| Thresholds { messages: rung.messages.filter(|_| holds), ..rung };
        Self {
            warn: kept(self.warn, is_warning_named || !is_bounded),
            delete: kept(self.delete, is_deletion_named),
            // Of a stream the broker limits only bytes.
            limit: self.limit.filter(|cap| cap.at.bytes.is_some()),
            ..self
        }
    }

    fn rungs(&self) -> impl Iterator<Item = Thresholds> {
        let limit = self.limit.map(|cap| cap.at);
        [Some(self.warn), limit, self.archive, Some(self.delete)].into_iter().flatten()
    }

    /// Whether the broker must be asked for the single queue: its lists do not tell bytes, heads and consumers
    /// (rabbitmq.md, fact 6).
    pub fn need_more_than_lists(&self) -> bool {
        self.rungs().any(|rung| rung.bytes.is_some() || rung.head.is_some() || rung.unconsumed.is_some())
    }

    /// Whether the answer lacks something that these limits are about. Missing is not zero (rabbitmq.md, fact 7).
    pub fn miss_something(&self, queue: &Queue) -> bool {
        let about = |is_named: fn(&Thresholds) -> bool| self.rungs().any(|rung| is_named(&rung));
        let is_stream = queue.stream().is_some();
        // Only the answer for the single queue has consumers; in that the head is missing where no publisher dated it.
        let was_asked = queue.consumers.is_some();
        let misses_count = queue.messages.is_none() && (!is_stream || about(|rung| rung.messages.is_some()));
        let misses_bytes = queue.bytes.is_none() && queue.messages != Some(0) && !is_stream;
        misses_count
            || (about(|rung| rung.bytes.is_some()) && misses_bytes)
            || (about(|rung| rung.head.is_some() || rung.unconsumed.is_some()) && !was_asked)
    }

    /// The threshold of deletion that the queue is over.
    pub fn delete_over(&self, queue: &Queue, ages: Ages) -> Option<Over> {
        self.delete.exceeded_by(queue, ages)
    }

    /// The threshold of warning that the queue is over.
    pub fn warn_over(&self, queue: &Queue, ages: Ages) -> Option<Over> {
        let is_unbounded = queue.stream() == Some(Stream { is_bounded: false }) && !self.named.0;
        match self.warn.exceeded_by(queue, ages) {
            Some(Over::Messages(limit)) if is_unbounded => Some(Over::Unbounded(limit)),
            over => over,
        }
    }

    /// The threshold of archiving that the queue is over. From a stream nothing can be taken out.
    pub fn archive_over(&self, queue: &Queue, ages: Ages) -> Option<Over> {
        let has_something = queue.messages.is_some_and(|messages| messages > 0) && queue.stream().is_none();
        self.archive.filter(|_| has_something)?.exceeded_by(queue, ages)
    }

    /// The threshold at which the broker is to take no more for the queue, if it is over it.
    pub fn limit_over(&self, queue: &Queue, ages: Ages) -> Option<(Cap, Over)> {
        let cap = self.limit?;
        Some((cap, cap.at.exceeded_by(queue, ages)?))
    }

    /// Whether being over this since then still means deletion, also by limits that were set after the judgement.
    pub fn condemn(&self, over: &Over, since: Option<Timestamp>, now: Timestamp) -> bool {
        let is_old_enough = since.map_or(Duration::ZERO, |since| now.since(since)) >= self.grace;
        self.delete.have(over) && !self.are_lifted(now) && is_old_enough
    }

    /// Whether being over this still means that it is archived.
    pub fn still_archive(&self, over: &Over, now: Timestamp) -> bool {
        self.archive.is_some_and(|rung| rung.have(over)) && !self.are_lifted(now)
    }

    /// The longest time without a consumer that these are about.
    pub fn unconsumed(&self) -> Option<Duration> {
        self.rungs().filter_map(|rung| rung.unconsumed).max()
    }

    /// Whether an exemption holds.
    pub fn are_lifted(&self, now: Timestamp) -> bool {
        self.exempt_until.is_some_and(|until| now < until)
    }

    /// Messages beyond which it is warned of, and beyond which it is deleted, where both are so.
    pub fn messages(&self) -> Option<(u64, u64)> {
        self.warn.messages.zip(self.delete.messages)
    }

    /// When a queue with these counts gets over these limits, if it grows.
    pub fn forecast(&self, samples: &Samples) -> Option<Forecast> {
        let (warn, delete) = self.messages()?;
        samples.forecast(warn, delete)
    }

    /// The rule that says the same, without an exemption.
    pub fn rule(&self) -> QueueRule {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        QueueRule {
            warn_messages: self.warn.messages.filter(|_| self.named.0),
            delete_messages: self.delete.messages.filter(|_| self.named.1),
            warn_bytes: self.warn.bytes,
            delete_bytes: self.delete.bytes,
            warn_head_seconds: seconds(self.warn.head),
            delete_head_seconds: seconds(self.delete.head),
            unconsumed_seconds: seconds(self.delete.unconsumed),
            limit: self.limit.map(|cap| Rung::new(cap.at)),
            overflow: self.limit.map(|cap| cap.overflow).unwrap_or_default(),
            archive: self.archive.map(Rung::new),
            grace_seconds: self.grace.as_secs(),
            ..QueueRule::default()
        }
    }
}

impl Over {
    /// Whether the queue is still over it, by a later answer about this very queue.
    pub fn still(&self, queue: &Queue, now: Timestamp) -> bool {
        match self {
            Self::Messages(limit) | Self::Unbounded(limit) => queue.messages.is_some_and(|count| count > *limit),
            Self::Bytes(limit) => queue.bytes.is_some_and(|count| count > *limit),
            Self::Head(limit) => queue.messages != Some(0) && queue.head.is_some_and(|head| now.since(head) >= *limit),
            Self::Unconsumed(_) => queue.consumers == Some(0),
        }
    }
}
