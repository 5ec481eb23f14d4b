//! A table of the text as the steps after `shape` look at it: what is not of the form that is asked for is not there.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::values::{integer, json};

/// A table of the text.
#[derive(Clone, Copy)]
pub(super) struct Entries<'t, 'd>(pub &'t DeTable<'d>);

/// A text and where it stands.
pub(super) type Placed<'t> = (&'t str, usize);

impl<'t, 'd> Entries<'t, 'd> {
    fn value(self, key: &str) -> Option<&'t Spanned<DeValue<'d>>> {
        self.0.get(key)
    }

    pub fn has(self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Where the value of a key stands; at the beginning of the text if there is none.
    pub fn position_of(self, key: &str) -> usize {
        self.value(key).map_or(0, |value| value.span().start)
    }

    pub fn text(self, key: &str) -> Option<&'t str> {
        self.value(key)?.get_ref().as_str()
    }

    pub fn placed(self, key: &str) -> Option<Placed<'t>> {
        Some((self.text(key)?, self.position_of(key)))
    }

    pub fn flag(self, key: &str) -> Option<bool> {
        self.value(key)?.get_ref().as_bool()
    }

    pub fn number(self, key: &str) -> Option<i64> {
        integer(self.value(key)?.get_ref())
    }

    pub fn texts(self, key: &str) -> impl Iterator<Item = Placed<'t>> + use<'t, 'd> {
        let items = self.value(key).and_then(|value| value.get_ref().as_array());
        items.into_iter().flatten().filter_map(|item| Some((item.get_ref().as_str()?, item.span().start)))
    }

    pub fn table(self, key: &str) -> Option<Self> {
        self.value(key)?.get_ref().as_table().map(Self)
    }

    pub fn tables(self, key: &str) -> impl Iterator<Item = Self> + use<'t, 'd> {
        let items = self.value(key).and_then(|value| value.get_ref().as_array());
        items.into_iter().flatten().filter_map(|item| item.get_ref().as_table().map(Self))
    }

    /// A table of any values as JSON; empty if there is none.
    pub fn json(self, key: &str) -> Map<String, Value> {
        match self.value(key).map(|value| json(value, &mut |_, _| {})) {
            Some(Value::Object(members)) => members,
            _ => Map::new(),
        }
    }
}
