//! A cell of a table: what it holds, how that is ordered, drawn and exported.

use serde_json::Value as Json;

use super::line::Line;
use super::text::{State, TimeTag, Tone, Untrusted};
use crate::base::Timestamp;

/// Letters by which a spreadsheet takes a text for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Small letters and others of which numbers and moments are made.
const IN_MOMENTS: &str = "-.0123456789:tz";

/// What stands in a cell.
#[derive(Clone, Debug)]
pub struct Cell {
    value: Value,
    link: Option<String>,
}

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Number(Option<i64>),
    Time(Option<Timestamp>),
    State(Tone, String),
    Act(&'static str),
    Line(Vec<(Timestamp, u64)>),
}

/// By what a cell is sorted.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    Number(i64),
    Text(String),
}

impl Cell {
    pub fn text(text: impl ToString) -> Self {
        Self { value: Value::Text(text.to_string()), link: None }
    }

    /// A number, or none where it is not known.
    pub fn count(number: Option<impl TryInto<i64>>) -> Self {
        let number = number.map(|number| number.try_into().unwrap_or(i64::MAX));
        Self { value: Value::Number(number), link: None }
    }

    pub fn number(number: impl TryInto<i64>) -> Self {
        Self::count(Some(number))
    }

    /// Counts over time, the oldest first, as a line.
    pub fn line(counts: Vec<(Timestamp, u64)>) -> Self {
        Self { value: Value::Line(counts), link: None }
    }

    /// A moment, or none.
    pub fn time(at: impl Into<Option<Timestamp>>) -> Self {
        Self { value: Value::Time(at.into()), link: None }
    }

    /// A state in a word.
    pub fn state(tone: Tone, word: impl Into<String>) -> Self {
        Self { value: Value::State(tone, word.into()), link: None }
    }

    /// What can be done with the row, by a short word that leads to the page for it; nothing for who may not.
    pub fn act(word: &'static str, path: Option<String>) -> Self {
        Self { value: Value::Act(if path.is_some() { word } else { "" }), link: path }
    }

    /// The same, with a link to a path of ours.
    #[must_use]
    pub fn to(self, path: impl Into<String>) -> Self {
        Self { link: Some(path.into()), ..self }
    }

    pub fn order(&self) -> Order {
        match &self.value {
            Value::Text(text) | Value::State(_, text) => Order::Text(text.to_lowercase()),
            Value::Act(word) => Order::Text(word.to_lowercase()),
            Value::Number(number) => Order::Number(number.unwrap_or(i64::MIN)),
            Value::Line(counts) => Order::Number(growth(counts)),
            Value::Time(at) => Order::Number(at.map_or(i64::MIN, Timestamp::as_millis)),
        }
    }

    pub fn plain(&self) -> String {
        match &self.value {
            Value::Text(text) | Value::State(_, text) => text.clone(),
            Value::Act(word) => (*word).to_owned(),
            Value::Number(number) => number.map(|number| number.to_string()).unwrap_or_default(),
            Value::Time(at) => at.map(|at| at.to_string()).unwrap_or_default(),
            Value::Line(counts) => {
                let counts: Vec<String> = counts.iter().map(|(_, count)| count.to_string()).collect();
                counts.join(" ")
            }
        }
    }

    /// Whether a word in small letters stands in it.
    pub fn has(&self, word: &str) -> bool {
        match &self.value {
            Value::Text(text) | Value::State(_, text) => text.to_lowercase().contains(word),
            Value::Act(act) => act.to_lowercase().contains(word),
            // Most words cannot be in a number or a moment, and a table has many of these.
            Value::Number(_) | Value::Time(_) if !word.chars().all(|c| IN_MOMENTS.contains(c)) => false,
            Value::Number(_) | Value::Time(_) | Value::Line(_) => self.plain().to_lowercase().contains(word),
        }
    }

    pub fn json(&self) -> Json {
        match &self.value {
            Value::Number(number) => (*number).into(),
            Value::Time(None) => Json::Null,
            Value::Line(counts) => counts.iter().map(|(_, count)| *count).collect(),
            _ => self.plain().into(),
        }
    }

    pub fn html(&self, now: Timestamp) -> String {
        match &self.value {
            Value::Text(text) => Untrusted::of(text).to_string(),
            Value::Number(_) | Value::Act(_) => self.plain(),
            Value::Line(counts) => Line::of(counts).map(|line| line.to_string()).unwrap_or_default(),
            Value::Time(at) => at.map(|at| TimeTag { at, now }.to_string()).unwrap_or_default(),
            Value::State(tone, word) => State { tone: *tone, word: word.clone().into() }.to_string(),
        }
    }

    /// What a spreadsheet does not take for a formula.
    pub fn harmless(&self) -> String {
        let plain = self.plain();
        match (&self.value, plain.starts_with(FORMULA)) {
            (Value::Text(_) | Value::State(..), true) => format!("'{plain}"),
            _ => plain,
        }
    }

    /// What the style sheet calls it.
    pub fn class(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "text",
            Value::Number(_) => "number",
            Value::Time(_) => "moment",
            Value::State(..) | Value::Act(_) => "word",
            Value::Line(_) => "line",
        }
    }

    pub fn link(&self) -> Option<&str> {
        self.link.as_deref()
    }
}

/// How much more there is at the end than at the beginning.
fn growth(counts: &[(Timestamp, u64)]) -> i64 {
    let ends = counts.first().zip(counts.last());
    ends.map_or(i64::MIN, |((_, first), (_, last))| i64::try_from(i128::from(*last) - i128::from(*first)).unwrap_or(0))
}
