//! The JSON of the management API: rows, which may lack almost anything.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::warn;

use super::call::Answer;
use super::errors;
use crate::base::Result;

/// One object. Anything but a success with the right JSON means that this is not the management API.
pub(super) fn parse_one<R: DeserializeOwned, T: From<R>>(answer: &Answer) -> Result<T> {
    if !answer.status.is_success() {
        return Err(errors::unexpected(answer));
    }
    match serde_json::from_str::<R>(&text(&answer.body)) {
        Ok(row) => Ok(row.into()),
        Err(_) => Err(errors::not_a_broker(&answer.body)),
    }
}

/// A list, without its odd rows; that there were some is logged.
pub(super) fn parse_rows<R: DeserializeOwned, T: From<R>>(path: &str, body: &[u8]) -> Result<Vec<T>> {
    let (rows, odd) = rows::<R, T>(&text(body)).ok_or_else(|| errors::not_a_broker(body))?;
    if odd > 0 {
        let list = path.split('?').next().unwrap_or(path);
        warn!(list, rows.odd = odd, "the broker's list of {list} has {odd} rows that we cannot read");
    }
    Ok(rows)
}

/// A body as text. A name that is not UTF-8 loses the bytes that are not, and does not fail the list.
pub(super) fn text(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body)
}

/// Reads a list, row by row. Rows without what makes them useful (a name) are left out and counted: one odd row
/// must not hide the others. `None` when it is no list at all, or when no row of it makes sense: that is not an empty list.
pub(super) fn rows<R: DeserializeOwned, T: From<R>>(text: &str) -> Option<(Vec<T>, usize)> {
    let raw: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let total = raw.len();
    let rows: Vec<T> = raw.iter().filter_map(|row| serde_json::from_str::<R>(row.get()).ok()).map(T::from).collect();
    let odd = total - rows.len();
    (!rows.is_empty() || odd == 0).then_some((rows, odd))
}

/// A field that is what we expect, or as good as absent.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> std::result::Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}
