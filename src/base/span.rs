//! Spans of time as people write them: `4 hours`, `1 day 2 hours`, `- 72 hours` (vector group `from_now`).

use std::fmt;
use std::time::Duration;

use super::error::{Error, Result};

/// The units, longest first, as a span must name them. A month is 30 days and a year 365 (taskcluster.md 6.3).
const UNITS: [(&[&str], i64); 7] = [
    (&["years", "year", "yr", "y"], 365 * 86_400_000),
    (&["months", "month", "mo"], 30 * 86_400_000),
    (&["weeks", "week", "wk", "w"], 7 * 86_400_000),
    (&["days", "day", "d"], 86_400_000),
    (&["hours", "hour", "hr", "h"], 3_600_000),
    (&["minutes", "minute", "min", "m"], 60_000),
    (&["seconds", "second", "sec", "s"], 1_000),
];

/// A signed span of time, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(i64);

impl Span {
    /// From milliseconds; negative ones point into the past.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds, negative for the past.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Its size without the sign: the pulse service wrote `- 1 hour` where only the size makes sense.
    pub fn size(self) -> Duration {
        Duration::from_millis(self.0.unsigned_abs())
    }
}

/// Integers with units in descending order, each at most once, after an optional sign; letter case is ignored.
impl std::str::FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map(Self).ok_or_else(|| Error::invalid(format!("not a span such as `4 hours`: {text:?}")))
    }
}

fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut units_left = UNITS.as_slice();
    let mut total: i64 = 0;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(sign * total);
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = rest[..letters].to_ascii_lowercase();
        let place = units_left.iter().position(|(names, _)| names.contains(&unit.as_str()))?;
        total = total.checked_add(count.checked_mul(units_left[place].1)?)?;
        units_left = &units_left[place + 1..];
        rest = &rest[letters..];
    }
}

/// The shortest text that reads back as the same span, down to seconds.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.unsigned_abs() / 1000 * 1000;
        let mut separator = if self.0 < 0 { "- " } else { "" };
        if rest == 0 {
            return f.write_str("0 seconds");
        }
        for (names, millis) in UNITS {
            let count = rest / millis.unsigned_abs();
            rest %= millis.unsigned_abs();
            if count > 0 {
                write!(f, "{separator}{count} {}", if count == 1 { names[1] } else { names[0] })?;
                separator = " ";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
