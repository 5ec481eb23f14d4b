//! Stories about payloads: what is read, and what is wrong.

mod images;
mod names;
mod payloads;
mod random;
mod schema;
mod variables;

use serde_json::Value;

use super::*;

/// What is wrong with a text, each as it is printed.
pub fn said(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(payload) => panic!("nothing is wrong with it: {payload:?}"),
        Err(mistakes) => mistakes.iter().map(Mistake::to_string).collect(),
    }
}

/// The same of a single service, of which these members are said beside its name and its image.
pub fn said_of(members: &str) -> Vec<String> {
    said(&with(members))
}

/// A payload of one service with these members beside its name and its image.
pub fn with(members: &str) -> String {
    format!(r#"{{"services": [{{"name": "db", "image": "postgres:16", {members}}}]}}"#)
}

/// A text in JSON.
pub fn json(text: &str) -> String {
    Value::from(text).to_string()
}
