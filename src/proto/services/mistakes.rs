//! What is wrong with a payload, each with its place.

use std::fmt;

use super::ENV_NAME_LEN_MAX;
use crate::base::invisible::{shortened, written_out};

/// Mistakes that are told at once. Whoever has more has another file in hand than was meant.
const MISTAKES_MAX: usize = 200;

/// Something that is wrong with a payload, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: a JSON pointer (RFC 6901), which is empty for the whole.
    pub at: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.as_str() {
            "" => f.write_str(&self.message),
            at => write!(f, "{}: {}", written_out(at), self.message),
        }
    }
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Mistakes {
    noted: Vec<Mistake>,
    /// Those that were found when there were enough.
    further: usize,
}

impl Mistakes {
    pub fn is_empty(&self) -> bool {
        self.noted.is_empty()
    }

    pub fn note(&mut self, at: &str, message: impl Into<String>) {
        if self.noted.len() < MISTAKES_MAX {
            self.noted.push(Mistake { at: at.to_owned(), message: message.into() });
        } else {
            self.further += 1;
        }
    }

    pub fn list(mut self) -> Vec<Mistake> {
        if self.further > 0 {
            let message = format!("and {} more mistakes; correct these first", self.further);
            self.noted.push(Mistake { at: String::new(), message });
        }
        self.noted
    }
}

/// A word of the payload in a mistake.
pub(super) fn quoted(word: &str) -> String {
    format!("\"{}\"", shortened(word))
}

/// The place of a member. One whose name is longer than any that may be is told of where it stands in.
pub(super) fn member(at: &str, name: &str) -> String {
    if name.len() > ENV_NAME_LEN_MAX {
        return at.to_owned();
    }
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}
