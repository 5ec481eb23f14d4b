//! The name of a session of the task proxy.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::{Error, Result};
use super::names::name;
use super::parsed::parsed;
use super::secret::Secret;

/// Letters of it: those of a slugid.
pub(super) const LEN: usize = 22;

name!(
    /// A session of the task proxy: 22 letters that nobody guesses.
    ProxySessionId,
    "session of the proxy",
    |text| text.len() == LEN
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
    "22 of A-Z a-z 0-9 - _"
);

impl ProxySessionId {
    /// Another one.
    pub fn generate() -> Self {
        // Secrets of this kind have the form of a session's name. One that begins with a dash would be an option to a command.
        loop {
            let name = Secret::generate();
            if !name.expose().starts_with('-') {
                return Self(name.expose().into());
            }
        }
    }
}
