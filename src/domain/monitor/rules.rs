//! What operators ruled for the queues of a pattern, and which rule holds for a name.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::limits::Limits;
use super::queue_rule::QueueRule;
use crate::base::{Error, Result};

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

    /// Whether some rule limits queues at the broker.
    pub fn have_limits(&self) -> bool {
        self.ruled.iter().any(|(.., limits)| limits.is_some_and(|limits| limits.limit.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::Timestamp;

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
        let limits = |name| book.limits(name).messages().unwrap();
        assert_eq!((limits("q/a/x"), limits("q/x"), limits("x")), ((10, 30), (10, 20), (10, 15)));
        assert_eq!(limits("q/b"), (10, 20), "a rule that would delete before it warns does not count");
    }

    #[test]
    fn the_rule_of_a_single_queue_counts_before_any_pattern_with_a_star() {
        let rule = |delete| QueueRule { delete_messages: Some(delete), ..QueueRule::default() };
        for star in ["q/a/*", "q/a/b*", "*q/a/b*", "q/a*b"] {
            let rules = [(star, rule(20)), ("q/a/b", rule(30))];
            let rules = rules.map(|(pattern, rule)| (Pattern::parse(pattern).unwrap(), rule)).into();
            assert_eq!(RuleBook::new(Limits::new(10, 15), rules).limits("q/a/b").delete.messages, Some(30), "{star}");
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
        assert_eq!((limits.delete.messages, protection), (Some(20), (Duration::from_secs(60), until)));
        let book = RuleBook::new(Limits::new(10, 15), vec![(pattern("*"), unfit)]);
        assert_eq!((book.limits("q").delete.messages, book.limits("q").exempt_until), (Some(15), until));
    }
}
