//! What in a whitelist is right and yet may not be what was meant.

use std::fmt;

use super::{LINE_LEN_MAX, PATTERN_PREFIX, pattern_of};
use crate::proto::go_regex::GoRegex;

/// Names of queues that have nothing in common. A pattern that admits all of them knows no limits.
const STRANGERS: [&str; 8] =
    ["linux.server1.example.net.dn0j5d3ugjk0", "windows.DESKTOP-7F3.3k2j", "darwin.x", "0", "Z", "~", "a b", "日本.ü"];

/// Something odd in a file that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// From 1 on.
    pub line: usize,
    /// What it is.
    pub oddity: Oddity,
}

/// What is odd about a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// It is empty, and admits an agent without a queue.
    Empty,
    /// It ends with a carriage return. Only the first such line is told.
    CarriageReturn,
    /// Blanks are before or behind it.
    Padded,
    /// The file begins with a byte order mark, and so does the first line.
    ByteOrderMark,
    /// It looks like a comment.
    Comment,
    /// It was there before.
    Duplicate {
        /// In which line.
        first: usize,
    },
    /// `re:` with nothing or one byte behind it.
    TooShort,
    /// A backslash, or a `\Q` without end, makes the `$` text that the scheduler adds.
    EndIsText {
        /// The line as it was probably meant.
        instead: Option<String>,
    },
    /// The pattern does not ask for the whole name: `a|b` is `^a` or `b$`.
    NotWhole {
        /// The line as it was probably meant.
        instead: Option<String>,
    },
    /// The pattern admits everybody.
    Everybody,
    /// The line is so long that the scheduler stops before it, and says nothing.
    TooLong {
        /// How many lines it does not read besides.
        behind: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: ", self.line)?;
        let instead = match &self.oddity {
            Oddity::EndIsText { instead } | Oddity::NotWhole { instead } => instead.as_deref(),
            _ => None,
        };
        match &self.oddity {
            Oddity::Empty => out.write_str("it is empty, and admits an agent whose queue has no name")?,
            Oddity::CarriageReturn => {
                out.write_str("it ends with a carriage return, which the scheduler leaves out")?
            }
            Oddity::Padded => out.write_str("the blanks before or behind it belong to it")?,
            Oddity::ByteOrderMark => out.write_str("the byte order mark before it belongs to the name")?,
            Oddity::Comment => out.write_str("there are no comments: it is a name")?,
            Oddity::Duplicate { first } => write!(out, "it is the same as line {first}")?,
            Oddity::TooShort => {
                write!(out, "a pattern has at least two bytes behind `{PATTERN_PREFIX}`: this is a name")?;
            }
            Oddity::EndIsText { .. } => out.write_str("a backslash makes the `$` text that the scheduler adds")?,
            Oddity::NotWhole { .. } => {
                out.write_str("`^` and `$` do not hold the whole: parts of a name are enough")?
            }
            Oddity::Everybody => out.write_str("it admits everybody")?,
            Oddity::TooLong { behind } => write!(
                out,
                "it has more than {LINE_LEN_MAX} bytes: the scheduler stops here without a word, and does not read the \
                 {behind} lines behind it"
            )?,
        }
        match instead {
            Some(instead) => write!(out, "; was `{instead}` meant?"),
            None => Ok(()),
        }
    }
}

/// What is odd about a line of its own, whatever else is in the file.
pub(super) fn of_line(text: &str, pattern: Option<&GoRegex>) -> Vec<Oddity> {
    let mut oddities = Vec::new();
    if text.is_empty() {
        return vec![Oddity::Empty];
    }
    if text.starts_with('\u{feff}') {
        oddities.push(Oddity::ByteOrderMark);
    }
    if text.trim() != text {
        oddities.push(Oddity::Padded);
    }
    let Some(pattern) = pattern else {
        if text.trim_start().starts_with('#') {
            oddities.push(Oddity::Comment);
        }
        if text.starts_with(PATTERN_PREFIX) {
            oddities.push(Oddity::TooShort);
        }
        return oddities;
    };
    if !pattern.is_whole() {
        oddities.push(not_whole(pattern_of(text).unwrap_or_default()));
    }
    if STRANGERS.iter().all(|stranger| pattern.is_match(stranger)) {
        oddities.push(Oddity::Everybody);
    }
    oddities
}

/// Why the two signs do not hold a pattern. What is offered was tried: it compiles, and is held.
fn not_whole(pattern: &str) -> Oddity {
    let held = |pattern: String| {
        let is_held = GoRegex::compile(&format!("^{pattern}$")).is_ok_and(|regex| regex.is_whole());
        is_held.then(|| format!("{PATTERN_PREFIX}{pattern}"))
    };
    // Go refuses `\E` where nothing is quoted, so this compiles only where something is.
    if GoRegex::compile(&format!(r"{pattern}-\E")).is_ok() {
        return Oddity::EndIsText { instead: held(format!(r"{pattern}\E")) };
    }
    let unescaped = pattern.trim_end_matches('\\');
    if (pattern.len() - unescaped.len()) % 2 == 1 {
        return Oddity::EndIsText { instead: held(pattern[..pattern.len() - 1].to_owned()) };
    }
    Oddity::NotWhole { instead: held(format!("({pattern})")) }
}
