//! Why somebody does something, in their own words.

use std::fmt;
use std::sync::Arc;

use super::{Error, Result};

/// Longest reason, in bytes: it stands in every audit entry of what was done for it.
const LEN_MAX: usize = 1000;

/// A reason for the audit log: not empty, and without space around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Arc<str>);

impl Reason {
    /// The reason that a text gives, if it gives one.
    pub fn parse(text: &str) -> Result<Self> {
        match text.trim() {
            "" => Err(Self::missing()),
            long if long.len() > LEN_MAX => Err(Error::invalid(format!("a reason has at most {LEN_MAX} bytes"))),
            reason => Ok(Self(reason.into())),
        }
    }

    /// What is answered to somebody who gives none.
    pub fn missing() -> Error {
        Error::invalid("say why: the audit log keeps the reason")
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_and_not_too_much() {
        let longest = "ü".repeat(LEN_MAX / 2);
        assert_eq!(Reason::parse(&format!(" {longest}\n")).unwrap().as_str(), longest);
        for text in ["", " \t\n", &format!("{longest}.")] {
            assert!(Reason::parse(text).is_err(), "{} bytes", text.len());
        }
    }
}
