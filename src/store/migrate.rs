//! The schema version, the salt and the key check: what a database file says about itself.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::fault;
use super::seal::{KeySource, Keys, Sealed, master_key, random_bytes};
use crate::base::{Error, Result, Secret};

/// The schema that this program writes. A change that older programs would misread adds one, and a step.
pub(super) const SCHEMA: u64 = 1;
/// Bytes of the passphrase's salt.
const SALT_LEN: usize = 16;
/// What the key check holds; that it opens proves the key.
const KEY_CHECK: &str = "keylender";

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// Prepares a store for use inside its first transaction: makes the marks of a fresh one, refuses a newer schema
/// or another key, and runs the steps from an older schema.
pub(super) fn prepare(tx: &WriteTransaction, source: &KeySource) -> Result<Keys> {
    let mut meta = tx.open_table(META).map_err(|e| fault("opening the table `meta`", e))?;
    let read = |table: &redb::Table<&str, &[u8]>, key| {
        let value = table.get(key).map_err(|e| fault("reading the table `meta`", e))?;
        Ok::<_, Error>(value.map(|bytes| bytes.value().to_vec()))
    };
    let Some(schema) = read(&meta, "schema")? else {
        let salt = random_bytes::<SALT_LEN>();
        let keys = Keys::derive(&master_key(source, &salt, true)?)?;
        let Sealed(check) = keys.seal("meta", "key_check", &Secret::new(KEY_CHECK))?;
        for (key, value) in
            [("schema", SCHEMA.to_string().as_bytes()), ("salt", &salt), ("key_check", check.as_bytes())]
        {
            meta.insert(key, value).map_err(|e| fault("writing the table `meta`", e))?;
        }
        return Ok(keys);
    };
    let schema: u64 = std::str::from_utf8(&schema)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::unavailable("the store is damaged: its schema version cannot be read"))?;
    if schema > SCHEMA {
        return Err(Error::unavailable(format!(
            "the store was written by a newer keylender (schema {schema}, this one knows {SCHEMA}): upgrade keylender"
        )));
    }
    let salt = read(&meta, "salt")?.unwrap_or_default();
    let keys = Keys::derive(&master_key(source, &salt, false)?)?;
    let check = Sealed(String::from_utf8(read(&meta, "key_check")?.unwrap_or_default()).unwrap_or_default());
    keys.open("meta", "key_check", &check)
        .map_err(|e| Error::unavailable("the key does not open this store: it belongs to another one").because(e))?;
    Ok(keys)
}
