//! What a queue may hold, and for how long: the thresholds of the settings, or what an operator ruled for a pattern.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::{Error, Result, Timestamp};
use crate::ports::broker::Queue;

/// Rules at once. Every queue is held against every pattern in every pass, and a person keeps no more in mind.
pub const RULES_MAX: usize = 100;
/// Longest remark of a rule, in bytes: a sentence or two.
pub const REMARK_LEN_MAX: usize = 1000;
/// Longest pattern; names at the broker have at most 255 bytes.
const PATTERN_LEN_MAX: usize = 255;

/// A pattern of names of queues: `*` stands for any text, everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern, if the text is one.
    pub fn parse(text: &str) -> Result<Self> {
        let fits = (1..=PATTERN_LEN_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(Error::invalid("not a pattern: expected 1 to 255 bytes")) }
    }

    /// The heavier of two patterns counts: a single name, then the longer one. Stars have no length.
    fn weight(&self) -> (bool, usize) {
        let stars = self.0.matches('*').count();
        (stars == 0, self.0.len() - stars)
    }

    /// Whether a name is of this pattern. Linear in the length of the name, for every part is looked for once.
    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return name == self.0 };
        let Some(mut name) = name.strip_prefix(head) else { return false };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*').filter(|part| !part.is_empty()) {
            let Some(at) = name.find(part) else { return false };
            name = &name[at + part.len()..];
        }
        name.ends_with(tail)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What an operator ruled for queues of a pattern. What it leaves out is as in the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QueueRule {
    /// Messages beyond which the contact is warned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_messages: Option<u64>,
    /// Messages beyond which the queue is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_messages: Option<u64>,
    /// Bytes beyond which the contact is warned; left out, half of those of the deletion. Costs a request for every queue of the pattern that is not empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_bytes: Option<u64>,
    /// Bytes beyond which the queue is deleted. Costs the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_bytes: Option<u64>,
    /// How long the queue may be without a consumer; the contact is warned after half of it. Costs a request for every
    /// queue of the pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconsumed_seconds: Option<u64>,
    /// How long the queue may be over a threshold before it is deleted.
    pub grace_seconds: u64,
    /// Until then the queue is neither warned of nor deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exempt_until: Option<Timestamp>,
    pub remark: String,
}

/// What holds for one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages beyond which the contact is warned.
    pub warn: u64,
    /// Messages beyond which it is deleted.
    pub delete: u64,
    /// The same in bytes.
    pub warn_bytes: Option<u64>,
    /// The same in bytes.
    pub delete_bytes: Option<u64>,
    /// How long it may be without a consumer.
    pub unconsumed: Option<Duration>,
    /// How long it may be over a threshold.
    pub grace: Duration,
    /// Until when none of this holds.
    pub exempt_until: Option<Timestamp>,
}

/// A limit that a queue is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It has more messages than this.
    Messages(u64),
    /// It has more bytes than this.
    Bytes(u64),
    /// It had no consumer for this long.
    Unconsumed(Duration),
}

impl Limits {
    /// The thresholds of the settings, and nothing else.
    pub fn new(warn: u64, delete: u64) -> Self {
        Self {
            warn,
            delete,
            warn_bytes: None,
            delete_bytes: None,
            unconsumed: None,
            grace: Duration::ZERO,
            exempt_until: None,
        }
    }

    /// These limits as the rule changes them, if a warning still comes before a deletion.
    pub fn ruled(&self, rule: &QueueRule) -> Result<Self> {
        let limits = Self {
            warn: rule.warn_messages.unwrap_or(self.warn),
            delete: rule.delete_messages.unwrap_or(self.delete),
            warn_bytes: rule.warn_bytes.or(rule.delete_bytes.map(|limit| limit / 2)),
            delete_bytes: rule.delete_bytes,
            unconsumed: rule.unconsumed_seconds.map(Duration::from_secs),
            grace: Duration::from_secs(rule.grace_seconds),
            exempt_until: rule.exempt_until,
        };
        let bytes_fit = limits.warn_bytes.zip(limits.delete_bytes).is_none_or(|(warn, delete)| warn < delete);
        if limits.warn < limits.delete && bytes_fit && limits.unconsumed != Some(Duration::ZERO) {
            Ok(limits)
        } else {
            Err(Error::invalid(format!(
                "the warning must come before the deletion; without a rule they come at {} and {} messages",
                self.warn, self.delete
            )))
        }
    }

    /// The same with more grace and a longer exemption, if the rule has them.
    fn sparing(self, rule: &QueueRule) -> Self {
        Self {
            grace: self.grace.max(Duration::from_secs(rule.grace_seconds)),
            exempt_until: self.exempt_until.max(rule.exempt_until),
            ..self
        }
    }

    /// Whether the broker must be asked for the single queue: its lists do not tell bytes and consumers
    /// (rabbitmq.md, fact 6).
    pub fn need_more_than_lists(&self) -> bool {
        self.warn_bytes.is_some() || self.delete_bytes.is_some() || self.unconsumed.is_some()
    }

    /// Whether the answer lacks something that these limits are about. Missing is not zero (rabbitmq.md, fact 7).
    pub fn miss_something(&self, queue: &Queue) -> bool {
        let about_bytes = self.warn_bytes.is_some() || self.delete_bytes.is_some();
        queue.messages.is_none()
            || (about_bytes && queue.bytes.is_none() && queue.messages != Some(0))
            || (self.unconsumed.is_some() && queue.consumers.is_none())
    }

    /// The limit of deletion that the queue is over; `idle` is how long it had no consumer.
    pub fn delete_over(&self, queue: &Queue, idle: Option<Duration>) -> Option<Over> {
        over(queue, idle, Some(self.delete), self.delete_bytes, self.unconsumed)
    }

    /// Whether being over this since then still means deletion, also by limits that were set after the judgement.
    pub fn condemn(&self, over: &Over, since: Option<Timestamp>, now: Timestamp) -> bool {
        let is_limit = match *over {
            Over::Messages(limit) => limit == self.delete,
            Over::Bytes(limit) => Some(limit) == self.delete_bytes,
            Over::Unconsumed(limit) => Some(limit) == self.unconsumed,
        };
        let is_exempt = self.exempt_until.is_some_and(|until| now < until);
        is_limit && !is_exempt && since.map_or(Duration::ZERO, |since| now.since(since)) >= self.grace
    }

    /// The limit of warning that the queue is over.
    pub fn warn_over(&self, queue: &Queue, idle: Option<Duration>) -> Option<Over> {
        over(queue, idle, Some(self.warn), self.warn_bytes, self.unconsumed.map(|time| time / 2))
    }
}

fn over(
    queue: &Queue,
    idle: Option<Duration>,
    messages: Option<u64>,
    bytes: Option<u64>,
    unconsumed: Option<Duration>,
) -> Option<Over> {
    let messages = messages.filter(|limit| queue.messages.is_some_and(|count| count > *limit)).map(Over::Messages);
    let bytes = || bytes.filter(|limit| queue.bytes.is_some_and(|count| count > *limit)).map(Over::Bytes);
    let unconsumed = || unconsumed.filter(|limit| idle.is_some_and(|idle| idle >= *limit)).map(Over::Unconsumed);
    messages.or_else(bytes).or_else(unconsumed)
}

impl Over {
    /// Whether the queue is still over it, by a later answer about this very queue.
    pub fn still(&self, queue: &Queue) -> bool {
        match self {
            Self::Messages(limit) => queue.messages.is_some_and(|count| count > *limit),
            Self::Bytes(limit) => queue.bytes.is_some_and(|count| count > *limit),
            Self::Unconsumed(_) => queue.consumers == Some(0),
        }
    }
}

/// All rules, over the limits of the settings.
pub struct RuleBook {
    usual: Limits,
    /// The heaviest pattern first: of several that match, it counts. A rule that no longer fits the settings has no
    /// limits.
    ruled: Vec<(Pattern, QueueRule, Option<Limits>)>,
}

impl RuleBook {
    /// Of a rule that no longer fits the settings only what spares queues counts: its grace and its exemption.
    pub fn new(usual: Limits, rules: Vec<(Pattern, QueueRule)>) -> Self {
        let mut ruled = Vec::with_capacity(rules.len());
        for (pattern, rule) in rules {
            let limits = usual.ruled(&rule).ok();
            ruled.push((pattern, rule, limits));
        }
        ruled.sort_by(|(a, ..), (b, ..)| b.weight().cmp(&a.weight()).then_with(|| a.cmp(b)));
        Self { usual, ruled }
    }

    /// What holds for the queue of this name.
    pub fn limits(&self, name: &str) -> Limits {
        let matching = || self.ruled.iter().filter(|(pattern, ..)| pattern.matches(name));
        let limits = matching().find_map(|(.., limits)| *limits).unwrap_or(self.usual);
        let unfit = matching().take_while(|(.., limits)| limits.is_none());
        unfit.fold(limits, |limits, (_, rule, _)| limits.sparing(rule))
    }

    /// Whether some rule is about what lists do not tell.
    pub fn need_more_than_lists(&self) -> bool {
        self.ruled.iter().any(|(.., limits)| limits.is_some_and(|limits| limits.need_more_than_lists()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, matches) in [
            ("queue/a/b", "queue/a/b", true),
            ("queue/a/b", "queue/a/bc", false),
            ("queue/a/*", "queue/a/", true),
            ("queue/a/*", "queue/a/b/c", true),
            ("queue/a/*", "queue/b/a/", false),
            ("*", "", true),
            ("*/logs", "queue/a/logs", true),
            ("*/logs", "queue/a/logs/", false),
            ("q*u*e", "queue", true),
            ("q*e*u*e", "queue", true),
            ("q*e*e*e", "queue", false),
            ("ab*ba", "aba", false),
            ("ab*ba", "abba", true),
            ("*aab*", "aaaab", true),
            ("é*", "é", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn of_several_patterns_the_longest_counts_and_what_it_leaves_out_is_usual() {
        let rule = |delete| QueueRule { delete_messages: Some(delete), ..QueueRule::default() };
        let pattern = |text| Pattern::parse(text).unwrap();
        let rules = vec![(pattern("q/*"), rule(20)), (pattern("q/a/*"), rule(30)), (pattern("q/b*"), rule(1))];
        let book = RuleBook::new(Limits::new(10, 15), rules);
        let limits = |name| (book.limits(name).warn, book.limits(name).delete);
        assert_eq!((limits("q/a/x"), limits("q/x"), limits("x")), ((10, 30), (10, 20), (10, 15)));
        assert_eq!(limits("q/b"), (10, 20), "a rule that would delete before it warns does not count");
    }

    #[test]
    fn the_rule_of_a_single_queue_counts_before_any_pattern_with_a_star() {
        let rule = |delete| QueueRule { delete_messages: Some(delete), ..QueueRule::default() };
        for star in ["q/a/*", "q/a/b*", "*q/a/b*", "q/a*b"] {
            let rules = [(star, rule(20)), ("q/a/b", rule(30))];
            let rules = rules.map(|(pattern, rule)| (Pattern::parse(pattern).unwrap(), rule)).into();
            assert_eq!(RuleBook::new(Limits::new(10, 15), rules).limits("q/a/b").delete, 30, "{star}");
        }
    }

    #[test]
    fn a_rule_that_no_longer_fits_the_settings_still_spares_its_queues() {
        let until = Some(Timestamp::from_millis(1));
        let unfit =
            QueueRule { delete_messages: Some(1), grace_seconds: 60, exempt_until: until, ..QueueRule::default() };
        let fit = QueueRule { delete_messages: Some(20), grace_seconds: 5, ..QueueRule::default() };
        let pattern = |text| Pattern::parse(text).unwrap();
        let book = RuleBook::new(Limits::new(10, 15), vec![(pattern("q/*"), fit), (pattern("q/a/*"), unfit.clone())]);
        let limits = book.limits("q/a/x");
        let protection = (limits.grace, limits.exempt_until);
        assert_eq!((limits.delete, protection), (20, (Duration::from_secs(60), until)));
        let book = RuleBook::new(Limits::new(10, 15), vec![(pattern("*"), unfit)]);
        assert_eq!((book.limits("q").delete, book.limits("q").exempt_until), (15, until));
    }

    #[test]
    fn bytes_have_a_warning_before_their_deletion_also_when_the_rule_names_none() {
        let bytes = |warn_bytes, delete_bytes| QueueRule { warn_bytes, delete_bytes, ..QueueRule::default() };
        let usual = Limits::new(10, 15);
        assert_eq!(usual.ruled(&bytes(None, Some(100))).unwrap().warn_bytes, Some(50));
        assert_eq!(usual.ruled(&bytes(Some(70), None)).unwrap().delete_bytes, None);
        assert!(usual.ruled(&bytes(Some(100), Some(100))).is_err() && usual.ruled(&bytes(None, Some(0))).is_err());
    }

    #[test]
    fn a_missing_count_is_over_nothing() {
        let limits = Limits { delete_bytes: Some(0), ..Limits::new(1, 2) };
        let idle = Some(Duration::from_secs(60));
        assert_eq!(limits.delete_over(&Queue::default(), idle), None);
        assert!(limits.miss_something(&Queue { messages: Some(1), ..Queue::default() }));
        assert!(
            !Over::Messages(0).still(&Queue::default()) && !Over::Unconsumed(Duration::ZERO).still(&Queue::default())
        );
    }
}
