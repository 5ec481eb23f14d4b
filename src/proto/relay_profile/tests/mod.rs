//! Stories about profiles: what is read, and what is wrong.

mod agents;
mod enrols_from;
mod forms;
mod meanings;
mod parts;
mod presets;
mod random;
mod schema;

use super::*;

/// A profile in which everything stands that may stand there, with values that are not the usual ones.
pub const FULL: &str = include_str!("full.toml");

/// What is wrong with a text, each as `line:column: sentence`.
pub fn said(text: &str) -> Vec<String> {
    match Profile::parse(text) {
        Ok(profile) => panic!("nothing is wrong with it: {profile:?}"),
        Err(mistakes) => mistakes.iter().map(Mistake::to_string).collect(),
    }
}

/// The same for each of a table of texts.
pub fn compare(table: &[(&str, &[&str])]) {
    for (text, expected) in table {
        assert_eq!(said(text), *expected, "{text}");
    }
}
