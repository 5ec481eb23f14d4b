//! What a text in a profile has to be, beyond being a text.

use super::agents::{ExchangeType, check_origin};
use super::part::PartKind;
use super::parts::{ApplyTo, Delivery, Destination, OnDrift, QueueType, RotateBy};
use crate::base::Span;
use crate::proto::enrolment;
use crate::proto::mig::gcfg::Age;
use crate::proto::mig::openpgp;

/// Longest name that the protocol carries.
const NAME_LEN_MAX: usize = 255;
/// Longest name of a relay: it stands in every record of its accounts.
const RELAY_LEN_MAX: usize = 64;
/// Longest regular expression. Erlang takes none near to it: an alternation of 3,000 names is too large for it.
const PATTERN_LEN_MAX: usize = 64 * 1024;
/// Longest note; a page shows it whole.
const NOTE_LEN_MAX: usize = 4096;
/// Longest time: nothing that is added to a moment leaves the calendar.
const DAYS_MAX: i64 = 3650;
const MILLIS_OF_DAY: i64 = 86_400_000;
/// Shortest time between rotations: `reconcile` looks no more often.
const ROTATION_MILLIS_MIN: i64 = 60_000;
/// Longest path of a file that is written.
const PATH_LEN_MAX: usize = 1024;
/// Longest name of a user or a group of a host.
const UNIX_NAME_LEN_MAX: usize = 32;
/// Longest beginning of an agent's account: most names of hosts have room behind it.
const ACCOUNT_PREFIX_LEN_MAX: usize = 64;
/// The types of exchanges that every broker has. Those of plugins begin with `x-`.
const EXCHANGE_TYPES: [&str; 4] = ["direct", "fanout", "headers", "topic"];

/// A rule for a text.
pub(super) struct Rule {
    /// What it has to be, as the schema says it.
    pub expected: &'static str,
    /// What is wrong with a text, and what to do about it.
    pub judge: fn(&str) -> Result<(), &'static str>,
    /// What may be written, where that is a list. Anything else must please `judge`.
    pub words: &'static [&'static str],
    /// Whether there are others than these words.
    pub has_others: bool,
}

const fn free(expected: &'static str, judge: fn(&str) -> Result<(), &'static str>) -> Rule {
    Rule { expected, judge, words: &[], has_others: true }
}

const fn one_of(words: &'static [&'static str]) -> Rule {
    Rule { expected: "one of these words", judge: |_| Err("expected another word"), words, has_others: false }
}

pub(super) const RELAY: Rule = free("1 to 64 of a-z 0-9 -", |text| {
    let fits = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    require((1..=RELAY_LEN_MAX).contains(&text.len()) && fits, "expected 1 to 64 of a-z 0-9 -")
});
/// Of vhosts, users, and what is there, whoever declares it.
pub(super) const NAME: Rule = free("a name of 1 to 255 bytes", name);
/// Of something that is declared here.
pub(super) const DECLARED: Rule = free("a name of 1 to 255 bytes that does not begin with amq.", |text| {
    name(text)?;
    require(!text.starts_with("amq."), "names that begin with amq. are the broker's own; take another one")
});
pub(super) const TAG: Rule = free("1 to 255 characters without blanks and commas", |text| {
    let fits = !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',');
    require((1..=NAME_LEN_MAX).contains(&text.len()) && fits, "expected a word without blanks and commas")
});
/// An empty one is a pattern, too: permissions with it allow nothing.
pub(super) const PATTERN: Rule = free("a regular expression", |text| {
    require(text.len() <= PATTERN_LEN_MAX, "expected at most 65536 bytes; no broker takes a longer pattern")
});
pub(super) const POLICY_PATTERN: Rule = free("a regular expression, not empty", |text| {
    require(!text.is_empty(), "an empty pattern fits every name; write '.*' if that is meant")?;
    (PATTERN.judge)(text)
});
pub(super) const ROUTING_KEY: Rule = free("a text of at most 255 bytes", |text| {
    require(text.len() <= NAME_LEN_MAX, "expected at most 255 bytes; the protocol carries no more")
});
pub(super) const NOTE: Rule =
    free("a text of at most 4096 bytes", |text| require(text.len() <= NOTE_LEN_MAX, "expected at most 4096 bytes"));
pub(super) const CLOSE_AFTER: Rule = BACK_WITHIN;
pub(super) const BACK_WITHIN: Rule = free("a span such as `1 minute`, at most 3650 days", |text| span(text).map(drop));
pub(super) const ROTATE_EVERY: Rule = free("a span such as `30 days`, from 1 minute to 3650 days", |text| {
    require(span(text)? >= ROTATION_MILLIS_MIN, "expected 1 minute or more, as nobody looks more often")
});
pub(super) const EXCHANGE_TYPE: Rule = Rule {
    words: &EXCHANGE_TYPES,
    ..free("direct, fanout, headers, topic, or a type of a plugin, which begins with x-", |text| {
        let is_of_plugin = text.len() <= NAME_LEN_MAX && text.starts_with("x-");
        require(is_of_plugin, "expected direct, fanout, headers, topic, or a type of a plugin, which begins with x-")
    })
};
pub(super) const AGENTS_EXCHANGE_TYPE: Rule = one_of(ExchangeType::WORDS);
pub(super) const ACCOUNT_PREFIX: Rule = free("1 to 64 of a-z A-Z 0-9 . _ -", |text| {
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    require(fits && (1..=ACCOUNT_PREFIX_LEN_MAX).contains(&text.len()), "expected 1 to 64 of a-z A-Z 0-9 . _ -")
});
pub(super) const ORIGIN: Rule =
    free("networks, addresses, and names in DNS, with `*.` before one for all below it", check_origin);
pub(super) const AUTHORITY: Rule = free("certificates in PEM", enrolment::check_authority);
pub(super) const QUEUE_TYPE: Rule = one_of(QueueType::WORDS);
pub(super) const DESTINATION: Rule = one_of(Destination::WORDS);
pub(super) const APPLY_TO: Rule = one_of(ApplyTo::WORDS);
pub(super) const ROTATE_BY: Rule = one_of(RotateBy::WORDS);
pub(super) const DELIVERY: Rule = one_of(Delivery::WORDS);
pub(super) const ON_DRIFT: Rule = one_of(OnDrift::WORDS);
pub(super) const PART_KIND: Rule = one_of(PartKind::WORDS);
pub(super) const AGE: Rule = free("a month from 2015-03 to 2019-09", |text| {
    require(Age::parse(text).is_ok(), "expected a month from 2015-03 to 2019-09, such as 2017-07")
});
/// Where a file belongs on another host. It is a file's, not a directory's.
pub(super) const PATH: Rule = free("a path of a file from the root on", |text| {
    let is_plain = text.split('/').skip(1).all(|step| !step.is_empty() && step != "." && step != "..");
    let fits = text.starts_with('/') && text.len() <= PATH_LEN_MAX && !text.contains(char::is_control) && is_plain;
    require(fits, "expected the path of a file, such as /etc/mig/scheduler.cfg")
});
pub(super) const MODE: Rule = free("a mode of three digits, such as 0640", |text| {
    let digits = text.strip_prefix('0').unwrap_or(text);
    let fits = digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    require(fits, "expected a mode such as 0640")
});
/// Whether it is a key is looked at later.
pub(super) const PGP_KEY: Rule = free("a public key block of OpenPGP", |text| {
    require(text.len() <= openpgp::TEXT_LEN_MAX, "expected one public key block of at most 256 KiB")
});
pub(super) const INVESTIGATOR: Rule = free("a name of 1 to 200 bytes", |text| {
    require((1..=200).contains(&text.len()), "expected a name of 1 to 200 bytes")
});
pub(super) const UNIX_NAME: Rule = free("a name of a user or a group", |text| {
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-$".contains(c));
    let begins = !text.starts_with(['-', '.']);
    require(begins && fits && (1..=UNIX_NAME_LEN_MAX).contains(&text.len()), "expected a name of a user or a group")
});

fn require(is_so: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if is_so { Ok(()) } else { Err(otherwise) }
}

/// Names that brokers keep as they are: carriage returns and line feeds are lost when they are declared
/// (rabbitmq-versions.md, A34).
fn check_kept(text: &str) -> Result<(), &'static str> {
    require(!text.contains(['\r', '\n']), "brokers drop line ends from names; leave them out")
}

fn name(text: &str) -> Result<(), &'static str> {
    check_kept(text)?;
    let fits = (1..=NAME_LEN_MAX).contains(&text.len()) && text != "." && text != "..";
    require(fits, "expected a name of 1 to 255 bytes, not . or ..")
}

/// A span in milliseconds.
fn span(text: &str) -> Result<i64, &'static str> {
    let millis = text.parse::<Span>().map_err(|_| "expected a span such as `30 days` or `1 minute`")?.as_millis();
    require(millis > 0, "expected more than no time; leave the key out if that is meant")?;
    require(millis <= DAYS_MAX * MILLIS_OF_DAY, "expected at most 3650 days")?;
    Ok(millis)
}
