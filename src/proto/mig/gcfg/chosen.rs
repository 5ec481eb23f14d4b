//! The values of a program's settings, for questions about several of them.

use std::borrow::Cow;

use serde_json::Value;

use super::keys::sections;
use super::{Age, Program};

/// The values that settings have, or that hold in their place.
pub(super) struct Chosen<'a> {
    program: Program,
    age: Age,
    values: Vec<(&'static str, &'static str, Cow<'a, Value>)>,
}

impl<'a> Chosen<'a> {
    pub const fn new(program: Program, age: Age) -> Self {
        Self { program, age, values: Vec::new() }
    }

    pub fn add(&mut self, section: &'static str, key: &'static str, value: Cow<'a, Value>) {
        self.values.push((section, key, value));
    }

    pub fn value(&self, section: &str, key: &str) -> Option<&Value> {
        let found = self.values.iter().find(|(in_section, name, _)| *in_section == section && *name == key);
        found.map(|(.., value)| value.as_ref())
    }

    pub fn text(&self, section: &str, key: &str) -> Option<&str> {
        self.value(section, key)?.as_str()
    }

    /// Whether it is this text, or the flag with this name.
    pub fn is(&self, section: &str, key: &str, value: &str) -> bool {
        match self.value(section, key) {
            Some(Value::String(text)) => text == value,
            Some(Value::Bool(flag)) => flag.to_string() == value,
            _ => false,
        }
    }

    /// Whether it is not there, but could be.
    pub fn lacks(&self, section: &str, key: &str) -> bool {
        let could_be = sections(self.program).iter().any(|known| {
            let mut keys = known.keys.iter().filter(|known| known.absence(self.age).is_none());
            known.name == section && keys.any(|known| known.name == key)
        });
        could_be && self.value(section, key).is_none()
    }
}
