//! What is wrong with a profile, each with its place.

use std::collections::BTreeSet;
use std::fmt;

use crate::base::invisible::{shortened, written_out};

/// Mistakes that are told at once. Whoever has more has another file in hand than was meant.
const MISTAKES_MAX: usize = 500;

/// Something that is wrong with the text of a profile, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// What was found so far, by the bytes where it is.
#[derive(Default)]
pub(super) struct Mistakes {
    noted: Vec<(usize, String)>,
    /// Those that were found when there were enough.
    further: usize,
    /// Where the text is no TOML. What was made of it there is nobody's mistake.
    broken: BTreeSet<usize>,
}

impl Mistakes {
    pub fn is_empty(&self) -> bool {
        self.noted.is_empty()
    }

    /// Whether another one would only be counted.
    pub fn are_enough(&self) -> bool {
        self.noted.len() >= MISTAKES_MAX
    }

    /// Something that TOML does not allow.
    pub fn note_syntax(&mut self, at: usize, message: &str) {
        if self.are_enough() {
            self.count();
        } else {
            self.note(at, format!("this is no TOML: {}", written_out(message)));
            self.broken.insert(at);
        }
    }

    pub fn note(&mut self, at: usize, message: impl Into<String>) {
        if self.broken.contains(&at) {
            return;
        }
        if self.are_enough() {
            self.count();
        } else {
            self.noted.push((at, message.into()));
        }
    }

    /// One more, when there are enough.
    pub fn count(&mut self) {
        self.further += 1;
    }

    /// All of them in the order of the text. There is at least one.
    pub fn list(mut self, text: &str) -> Vec<Mistake> {
        if self.noted.is_empty() {
            self.noted.push((0, "this cannot be read".to_owned()));
        }
        self.noted.sort_by_key(|(at, _)| *at);
        if self.further > 0 {
            let last = self.noted.last().map_or(0, |(at, _)| *at);
            self.noted.push((last, format!("and {} more mistakes; correct these first", self.further)));
        }
        let (mut line, mut start) = (1, 0);
        let placed = self.noted.into_iter().map(|(at, message)| {
            let at = text.floor_char_boundary(at);
            let passed = &text[start..at];
            line += passed.matches('\n').count();
            start += passed.rfind('\n').map_or(0, |end| end + 1);
            Mistake { line, column: text[start..at].chars().count() + 1, message }
        });
        placed.collect()
    }
}

/// A word of the text in a mistake: in backticks, not all of it if it is long, and with what cannot be seen written out.
pub(super) fn quoted(word: &str) -> String {
    format!("`{}`", shortened(word))
}
