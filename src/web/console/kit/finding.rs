//! A finding of the doctor as pages show it.

use super::text::{State, Tone, Untrusted};
use crate::domain::health::{Finding, Grade};

/// A finding of the doctor.
pub struct Row {
    pub about: &'static str,
    pub state: State,
    pub text: Untrusted<'static>,
}

impl From<Finding> for Row {
    fn from(finding: Finding) -> Self {
        let (tone, word) = match finding.grade {
            Grade::Well => (Tone::Well, "well"),
            Grade::Warning => (Tone::Warning, "look at it"),
            Grade::Problem => (Tone::Unwell, "does not work"),
        };
        Self { about: finding.about, state: State { tone, word: word.into() }, text: Untrusted::of(finding.text) }
    }
}
