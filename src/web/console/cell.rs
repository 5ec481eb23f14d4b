//! A cell of a table: what it holds, how that is ordered, drawn and exported.

use serde_json::Value as Json;

use super::text::{Foreign, Moment, State, Tone};
use crate::base::Timestamp;

/// Letters by which a spreadsheet takes a text for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// What stands in a cell.
#[derive(Clone, Debug)]
pub struct Cell {
    value: Value,
    link: Option<String>,
}

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Number(i64),
    Moment(Option<Timestamp>),
    State(Tone, String),
}

/// By what a cell is sorted.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Number(i64),
    Text(String),
}

impl Cell {
    /// A text, of whomever.
    pub fn text(text: impl ToString) -> Self {
        Self { value: Value::Text(text.to_string()), link: None }
    }

    /// A number.
    pub fn number(number: impl TryInto<i64>) -> Self {
        Self { value: Value::Number(number.try_into().unwrap_or(i64::MAX)), link: None }
    }

    /// A moment, or none.
    pub fn moment(at: impl Into<Option<Timestamp>>) -> Self {
        Self { value: Value::Moment(at.into()), link: None }
    }

    /// A state in a word.
    pub fn state(tone: Tone, word: impl Into<String>) -> Self {
        Self { value: Value::State(tone, word.into()), link: None }
    }

    /// The same, with a link to a path of ours.
    #[must_use]
    pub fn to(self, path: impl Into<String>) -> Self {
        Self { link: Some(path.into()), ..self }
    }

    pub(super) fn order(&self) -> Order {
        match &self.value {
            Value::Text(text) | Value::State(_, text) => Order::Text(text.to_lowercase()),
            Value::Number(number) => Order::Number(*number),
            Value::Moment(at) => Order::Number(at.map_or(i64::MIN, Timestamp::as_millis)),
        }
    }

    pub(super) fn plain(&self) -> String {
        match &self.value {
            Value::Text(text) | Value::State(_, text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Moment(at) => at.map(|at| at.to_string()).unwrap_or_default(),
        }
    }

    pub(super) fn json(&self) -> Json {
        match &self.value {
            Value::Number(number) => (*number).into(),
            Value::Moment(None) => Json::Null,
            _ => self.plain().into(),
        }
    }

    pub(super) fn html(&self, now: Timestamp) -> String {
        match &self.value {
            Value::Text(text) => Foreign::of(text).to_string(),
            Value::Number(number) => number.to_string(),
            Value::Moment(at) => at.map(|at| Moment { at, now }.to_string()).unwrap_or_default(),
            Value::State(tone, word) => State { tone: *tone, word: word.clone().into() }.to_string(),
        }
    }

    /// What a spreadsheet does not take for a formula.
    pub(super) fn harmless(&self) -> String {
        let plain = self.plain();
        match (&self.value, plain.starts_with(FORMULA)) {
            (Value::Text(_) | Value::State(..), true) => format!("'{plain}"),
            _ => plain,
        }
    }

    /// What the style sheet calls it.
    pub(super) fn class(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "text",
            Value::Number(_) => "number",
            Value::Moment(_) => "moment",
            Value::State(..) => "word",
        }
    }

    pub(super) fn link(&self) -> Option<&str> {
        self.link.as_deref()
    }
}
