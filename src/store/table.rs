//! Typed tables: one declaration says key, value, and whether changes must be audited.

use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::{Error, Result};

/// A table with keys of text form `K` and values in JSON `V`. A new optional field is not a migration.
///
/// Declare it as a private constant of the domain module that owns the records; no other module opens it.
pub struct Table<K, V> {
    name: &'static str,
    audited: bool,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Table<K, V> {
    /// A table whose changes do not commit without an audit entry.
    pub const fn audited(name: &'static str) -> Self {
        Self { name, audited: true, types: PhantomData }
    }

    /// A table of bookkeeping (due times, settled marks) that the audit log does not follow.
    pub const fn plain(name: &'static str) -> Self {
        Self { name, audited: false, types: PhantomData }
    }

    /// The name in the database file.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn is_audited(&self) -> bool {
        self.audited
    }
}

/// What can be a key: a name with a text form that reads back. The order of a scan is the order of the bytes.
pub trait Key: Display + FromStr {}

impl<T: Display + FromStr> Key for T {}

/// What can be a value.
pub trait Value: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> Value for T {}

pub(super) fn encode<V: Serialize>(table: &str, value: &V) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::internal(format!("encoding a record of `{table}`"), e))
}

pub(super) fn decode<V: DeserializeOwned>(table: &str, bytes: &[u8]) -> Result<V> {
    serde_json::from_slice(bytes).map_err(|e| Error::internal(format!("decoding a record of `{table}`"), e))
}

pub(super) fn decode_key<K: Key>(table: &str, text: &str) -> Result<K> {
    text.parse().map_err(|_| Error::internal(format!("decoding a key of `{table}`"), text.to_owned()))
}
