//! What a database file says about itself: its schema, its keys, and the steps from older schemas.

use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::fault;
use super::key_file::{self, KeySource, candidates, master_key};
use super::keyring::Keyring;
use super::seal::{Keys, Sealed, fresh_master, random_bytes};
use super::sign::Signer;
use super::steps;
use crate::base::text::hex;
use crate::base::{Error, Result, Secret};

/// The schema that this program writes. A change that older programs would misread adds one, and a step:
/// 2 signs the audit log, may lack its beginning, and may be in the middle of a change of its key; in 3 accounts have
/// owners, and grants in several vhosts.
pub(super) const SCHEMA: u64 = 3;
/// Bytes of the passphrase's salt.
pub(super) const SALT_LEN: usize = 16;
/// What the key check holds; that it opens proves the key.
const KEY_CHECK: &str = "keylender";

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// The table `meta`, inside a transaction.
pub(super) struct Meta<'t>(Table<'t, &'static str, &'static [u8]>);

impl<'t> Meta<'t> {
    pub(super) fn open(tx: &'t WriteTransaction) -> Result<Self> {
        tx.open_table(META).map(Self).map_err(|e| fault("opening the table `meta`", e))
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let value = self.0.get(key).map_err(|e| fault("reading the table `meta`", e))?;
        Ok(value.map(|bytes| bytes.value().to_vec()))
    }

    fn sealed(&self, key: &str) -> Result<Option<Sealed>> {
        Ok(self.get(key)?.and_then(|bytes| String::from_utf8(bytes).ok()).map(Sealed))
    }

    pub(super) fn put(&mut self, key: &str, value: &[u8]) -> Result<()> {
        self.0.insert(key, value).map(drop).map_err(|e| fault("writing the table `meta`", e))
    }

    pub(super) fn remove(&mut self, key: &str) -> Result<()> {
        self.0.remove(key).map(drop).map_err(|e| fault("writing the table `meta`", e))
    }

    fn put_sealed(&mut self, keys: &Keys, key: &str, secret: &Secret) -> Result<()> {
        let Sealed(text) = keys.seal("meta", key, secret)?;
        self.put(key, text.as_bytes())
    }
}

/// A value of the table `meta`, for readers.
pub(super) fn read_meta(tx: &redb::ReadTransaction, key: &str) -> Result<Option<Vec<u8>>> {
    let failed = |e: redb::Error| fault("reading the table `meta`", e);
    match tx.open_table(META) {
        Ok(meta) => Ok(meta.get(key).map_err(|e| failed(e.into()))?.map(|bytes| bytes.value().to_vec())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(e) => Err(failed(e.into())),
    }
}

/// The salt of the passphrase that a key came from: while the key changes, that of the next one.
pub(super) fn salt_of(tx: &redb::ReadTransaction, keyring: &Keyring) -> Result<Vec<u8>> {
    let next = if keyring.is_changing { read_meta(tx, "next_salt")? } else { None };
    next.map_or_else(|| Ok(read_meta(tx, "salt")?.unwrap_or_default()), Ok)
}

/// The schema of a database; none of a fresh one.
pub(super) fn schema(db: &Database) -> Result<Option<u64>> {
    let tx = db.begin_read().map_err(|e| fault("reading the store", e))?;
    read_meta(&tx, "schema")?.map(|text| parse_schema(&text)).transpose()
}

fn parse_schema(text: &[u8]) -> Result<u64> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::unavailable("the store is damaged: its schema version cannot be read"))
}

/// Prepares a store for use inside its first transaction: makes the marks of a fresh one, refuses a newer schema
/// or another key, and runs the steps from an older schema.
pub(super) fn prepare(tx: &WriteTransaction, source: &KeySource) -> Result<Keyring> {
    let mut meta = Meta::open(tx)?;
    let Some(schema) = meta.get("schema")? else {
        let salt = random_bytes::<SALT_LEN>();
        return make(&mut meta, Keys::derive(master_key(source, &salt, true)?)?, &salt);
    };
    let schema = parse_schema(&schema)?;
    if schema > SCHEMA {
        return Err(Error::unavailable(format!(
            "the store was written by a newer keylender (schema {schema}, this one knows {SCHEMA}): upgrade keylender"
        )));
    }
    let (current, is_changing) = open_keys(&meta, source)?;
    if schema < 2 {
        meta.put_sealed(&current, "signing_key", &Secret::new(hex(&fresh_master())))?;
    }
    if schema < 3 {
        steps::give_accounts_owners(tx)?;
    }
    if schema < SCHEMA {
        meta.put("schema", SCHEMA.to_string().as_bytes())?;
    }
    let keyring = complete(&meta, current, is_changing)?;
    if !is_changing {
        key_file::adopt_next(source, &keyring.current)?;
    }
    Ok(keyring)
}

/// Writes the marks of a fresh store.
pub(super) fn make(meta: &mut Meta, keys: Keys, salt: &[u8]) -> Result<Keyring> {
    meta.put("schema", SCHEMA.to_string().as_bytes())?;
    meta.put("salt", salt)?;
    meta.put_sealed(&keys, "key_check", &Secret::new(KEY_CHECK))?;
    meta.put_sealed(&keys, "signing_key", &Secret::new(hex(&fresh_master())))?;
    complete(meta, keys, false)
}

/// The current key of the store, and whether a change to it is under way. Either key of such a change opens it.
fn open_keys(meta: &Meta, source: &KeySource) -> Result<(Keys, bool)> {
    let salts: Vec<Vec<u8>> = [meta.get("salt")?, meta.get("next_salt")?].into_iter().flatten().collect();
    let check = meta.sealed("key_check")?.unwrap_or(Sealed(String::new()));
    let next_check = meta.sealed("next_key_check")?;
    let mut refusal = None;
    for master in candidates(source, &salts)? {
        let keys = Keys::derive(master)?;
        match keys.open("meta", "key_check", &check) {
            Ok(_) => match meta.sealed("next_key")? {
                Some(next) => return Ok((Keys::derive(keys.open_master("next_key", &next)?)?, true)),
                None => return Ok((keys, false)),
            },
            Err(error) => refusal = Some(error),
        }
        if next_check.as_ref().is_some_and(|check| keys.open("meta", "next_key_check", check).is_ok()) {
            return Ok((keys, true));
        }
    }
    let refused = Error::unavailable("the key does not open this store: it belongs to another one");
    Err(refusal.into_iter().fold(refused, Error::because))
}

/// The keyring around a current key.
fn complete(meta: &Meta, current: Keys, is_changing: bool) -> Result<Keyring> {
    let former: Vec<Sealed> = match meta.get("former_keys")? {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|e| Error::internal("reading former keys", e))?,
        None => Vec::new(),
    };
    let former: Vec<Keys> =
        former.iter().map(|sealed| Keys::derive(current.open_master("former_keys", sealed)?)).collect::<Result<_>>()?;
    let sealed = meta.sealed("signing_key")?.ok_or_else(|| Error::unavailable("the store lacks its signing key"))?;
    let signer = Signer::from_seed(&current.open("meta", "signing_key", &sealed)?)?;
    Ok(Keyring { current, former, signer, is_changing })
}

/// Former keys that a store remembers: with a change each month, those of two years.
const FORMER_MAX: usize = 24;

/// Begins a change to another key. From the commit on, either key opens the store. One that lies on the disk already is
/// taken up instead: its commit was answered with an error and is there all the same.
pub(super) fn begin_change(meta: &mut Meta, old: &Keyring, next: Keys, salt: &[u8]) -> Result<Keyring> {
    if let Some(begun) = meta.sealed("next_key")? {
        return complete(meta, Keys::derive(old.current.open_master("next_key", &begun)?)?, true);
    }
    meta.put_sealed(&old.current, "next_key", &next.master())?;
    meta.put("next_salt", salt)?;
    meta.put_sealed(&next, "next_key_check", &Secret::new(KEY_CHECK))?;
    let seed = meta.sealed("signing_key")?.ok_or_else(|| Error::unavailable("the store lacks its signing key"))?;
    meta.put_sealed(&next, "signing_key", &old.current.open("meta", "signing_key", &seed)?)?;
    let former: Vec<Sealed> = std::iter::once(&old.current)
        .chain(&old.former)
        .take(FORMER_MAX)
        .map(|keys| next.seal("meta", "former_keys", &keys.master()))
        .collect::<Result<_>>()?;
    let former = serde_json::to_vec(&former).map_err(|e| Error::internal("writing former keys", e))?;
    meta.put("former_keys", &former)?;
    complete(meta, next, true)
}

/// Ends it: the old key opens nothing any more.
pub(super) fn end_change(meta: &mut Meta, keyring: &Keyring) -> Result<Keyring> {
    if let Some(salt) = meta.get("next_salt")? {
        meta.put("salt", &salt)?;
    }
    meta.put_sealed(&keyring.current, "key_check", &Secret::new(KEY_CHECK))?;
    for name in ["next_key", "next_salt", "next_key_check"] {
        meta.remove(name)?;
    }
    complete(meta, Keys::derive(keyring.current.copy_master())?, false)
}
