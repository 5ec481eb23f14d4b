//! A change of the sealing key while the store is in use: begun, carried through in small commits, ended. A crash at
//! any point leaves a store that opens with either key and goes on where it was.

use redb::{ReadableTable, TableHandle, WriteTransaction};
use serde_json::Value;

use super::key_file::{adopt_next, is_passphrase_of, make_next};
use super::keyring::Keyring;
use super::migrate::{Meta, SALT_LEN, begin_change, end_change, salt_of};
use super::seal::{Keys, Sealed, random_bytes};
use super::table::{decode, encode};
use super::tx::definition;
use super::{Store, fault};
use crate::base::audit::Note;
use crate::base::{Error, Result, Secret};

/// Records sealed anew in one commit: few enough that other writers hardly wait.
const CHUNK_LEN: usize = if cfg!(test) { 4 } else { 250 };
/// Tables that hold no sealed secrets of records: `meta` is written by the steps themselves, the log holds references.
const NOT_SEALED: [&str; 2] = ["meta", "audit"];
/// Passes over all records. The second one finds what a transaction wrote that had read before the change began.
const PASSES: u32 = 2;

/// Where a pass goes on: a table, and the last key that is done.
type Place = (String, String);

impl Store {
    /// Whether a change of the key was begun and not ended.
    pub fn is_changing_key(&self) -> bool {
        self.keyring.get().is_changing
    }

    /// The public name of the key in use: it tells keys apart and says nothing about them.
    pub fn key_id(&self) -> String {
        self.keyring.get().current.id().to_owned()
    }

    /// The public name of the key before it; none when there was none.
    pub fn former_key_id(&self) -> Option<String> {
        self.keyring.get().former.first().map(|keys| keys.id().to_owned())
    }

    /// Changes the sealing key, or carries a change through that was broken off. `progress` hears how many records are
    /// sealed anew. `passphrase` is the next one when the key comes from a passphrase. One change at a time: a second one
    /// waits for the first.
    ///
    /// # Errors
    /// [`crate::base::Kind::Invalid`] for a passphrase that is missing or of no use, or not the one of the change that
    /// was broken off. After any other error the store works on, and the same call goes on.
    pub async fn change_key(
        &self,
        passphrase: Option<Secret>,
        begun: Note,
        ended: Note,
        progress: impl Fn(usize),
    ) -> Result<()> {
        let _one_at_a_time = self.changing_key.lock().await;
        if !self.is_changing_key() {
            self.begin_key_change(passphrase.as_ref(), begun).await?;
        }
        // It may be one that was begun before, to another passphrase.
        self.check_passphrase(passphrase.as_ref())?;
        let mut done = 0;
        for _ in 0..PASSES {
            let mut from = None;
            loop {
                let (next, resealed) = self.write(move |tx| tx.raw(|db, keyring| reseal(db, keyring, from))).await?;
                done += resealed;
                progress(done);
                match next {
                    Some(_) => from = next,
                    None => break,
                }
            }
        }
        self.write(move |tx| {
            tx.audit(ended);
            let next = tx.raw(|db, keyring| end_change(&mut Meta::open(db)?, keyring))?;
            tx.replace_keyring(next);
            Ok(())
        })
        .await?;
        adopt_next(&self.key_source, &self.keyring.get().current)
    }

    pub(super) async fn begin_key_change(&self, passphrase: Option<&Secret>, begun: Note) -> Result<()> {
        // The file of the next key may be the only one with the key in use, if an earlier change could not end it.
        adopt_next(&self.key_source, &self.keyring.get().current)?;
        let salt = random_bytes::<SALT_LEN>();
        let next = Keys::derive(make_next(&self.key_source, passphrase, &salt)?)?;
        self.write(move |tx| {
            tx.audit(begun);
            let next = tx.raw(|db, old| begin_change(&mut Meta::open(db)?, old, next, &salt))?;
            tx.replace_keyring(next);
            Ok(())
        })
        .await
    }

    /// Whoever hands in a passphrase believes that it opens the store from then on.
    fn check_passphrase(&self, passphrase: Option<&Secret>) -> Result<()> {
        let Some(passphrase) = passphrase else { return Ok(()) };
        let salt = self.read(|tx| salt_of(&tx.tx, tx.keyring))?;
        if is_passphrase_of(passphrase, &salt, &self.keyring.get().current)? {
            Ok(())
        } else {
            Err(Error::invalid(
                "a change to another passphrase was broken off: hand in that one, or restart keylender, which ends that \
                 change, and then change it to this one",
            ))
        }
    }
}

/// Seals a chunk of records anew, from a place on; returns where the next one begins and how many records changed.
fn reseal(tx: &WriteTransaction, keyring: &Keyring, from: Option<Place>) -> Result<(Option<Place>, usize)> {
    let failed = |e: redb::StorageError| fault("sealing anew", e);
    let mut names: Vec<String> = tx
        .list_tables()
        .map_err(failed)?
        .map(|table| table.name().to_owned())
        .filter(|name| !NOT_SEALED.contains(&name.as_str()))
        .collect();
    names.sort();
    let (from_table, mut from_key) = from.unwrap_or_default();
    let (mut left, mut changed) = (CHUNK_LEN, 0);
    for name in names.into_iter().filter(|name| *name >= from_table) {
        let after = if name == from_table { std::mem::take(&mut from_key) } else { String::new() };
        let mut table = tx.open_table(definition(&name)).map_err(|e| fault("opening a table", e))?;
        let range = (std::ops::Bound::Excluded(after.as_str()), std::ops::Bound::Unbounded);
        let rows: Vec<(String, Vec<u8>)> = table
            .range::<&str>(range)
            .map_err(failed)?
            .take(left)
            .map(|row| row.map(|(key, value)| (key.value().to_owned(), value.value().to_vec())))
            .collect::<std::result::Result<_, _>>()
            .map_err(failed)?;
        left -= rows.len();
        let last = rows.last().map(|(key, _)| key.clone());
        for (key, bytes) in rows {
            if let Some(bytes) = resealed(keyring, &name, &key, &bytes)? {
                table.insert(key.as_str(), bytes.as_slice()).map_err(failed)?;
                changed += 1;
            }
        }
        if let (0, Some(key)) = (left, last) {
            return Ok((Some((name, key)), changed));
        }
    }
    Ok((None, changed))
}

/// The record with its secrets sealed by the current key; none if nothing in it was sealed by a former one.
fn resealed(keyring: &Keyring, table: &str, key: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut record: Value = decode(table, bytes)?;
    let mut is_changed = false;
    visit(&mut record, &mut |text| {
        if let Some(fresh) = resealed_text(keyring, table, key, text)? {
            (*text, is_changed) = (fresh, true);
        }
        Ok(())
    })?;
    if is_changed { encode(table, &record).map(Some) } else { Ok(None) }
}

/// A text that opens with a former key, in this place, is a sealed secret: authentication leaves no other explanation.
fn resealed_text(keyring: &Keyring, table: &str, key: &str, text: &str) -> Result<Option<String>> {
    if !Sealed::may_be(text) {
        return Ok(None);
    }
    let sealed = Sealed(text.to_owned());
    let opens = |keys: &Keys| keys.open(table, key, &sealed).ok();
    if opens(&keyring.current).is_some() {
        return Ok(None);
    }
    let Some(secret) = keyring.former.iter().find_map(opens) else { return Ok(None) };
    let Sealed(fresh) = keyring.current.seal(table, key, &secret)?;
    Ok(Some(fresh))
}

fn visit(value: &mut Value, each: &mut impl FnMut(&mut String) -> Result<()>) -> Result<()> {
    match value {
        Value::String(text) => each(text),
        Value::Array(values) => values.iter_mut().try_for_each(|value| visit(value, each)),
        Value::Object(members) => members.values_mut().try_for_each(|value| visit(value, each)),
        _ => Ok(()),
    }
}
