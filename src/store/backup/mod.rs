//! Backups: the whole store as one sealed stream, checked when it was written, and made into a store again.
//!
//! A file is a line of JSON, the *label*, in clear, and behind it rows, packed by deflate and sealed in chunks by a key
//! derived from the store's. Rows lie as they lie in the tables, so what is restored is the same store.

mod chunks;
mod directory;
mod restore;
mod rows;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use redb::TableHandle;
use serde::{Deserialize, Serialize};

pub use directory::{BackupDirectory, Listed};
pub use restore::{Drilled, RestoredFrom};

use super::chain::Head;
use super::key_file::{KeySource, candidates};
use super::migrate::{SCHEMA, salt_of};
use super::seal::{Keys, random_bytes};
use super::survey::Survey;
use super::tx::definition;
use super::{AUDIT, Store, fault};
use crate::base::text::{hex, unhex};
use crate::base::{Error, Result, Timestamp};
use chunks::{Opening, PREFIX_LEN, Seal, Sealing};
use rows::{Row, read_row, write_row};

/// What a label begins with, so that a file says itself what it is.
const FORMAT: &str = "keylender backup 1";
/// Bytes of the label. Its own are some hundreds.
const LABEL_LEN_MAX: u64 = 4096;

/// What a backup says of itself to whoever holds the file. It is bound to the rest: a changed one opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Label {
    format: String,
    /// The schema of its store.
    pub schema: u64,
    /// When it was made.
    pub made: Timestamp,
    /// The last audit entry in it.
    pub last_entry: u64,
    /// The hash of that entry.
    pub head: String,
    /// The public name of the key that opens it.
    pub key_id: String,
    /// For a key that comes from a passphrase.
    salt: String,
    nonce: String,
}

/// What is in a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Records of all tables, without the audit log.
    pub records: u64,
    /// Entries of the audit log.
    pub entries: u64,
}

/// A backup that was read from its beginning to its end, and is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What it says of itself.
    pub label: Label,
    /// What is in it.
    pub contents: Contents,
}

impl Store {
    /// Writes a backup of what the store holds now. Writers and readers go on meanwhile.
    pub fn back_up(&self, mut to: impl Write) -> Result<Label> {
        self.survey_here(|tx| {
            let base = tx.base_head()?;
            let head = match tx.last_entry()? {
                Some(seq) => tx.entry(seq)?.map_or(base, |bytes| Head { seq: seq - 1, ..base }.after(&bytes)),
                None => base,
            };
            let current = &tx.keyring.current;
            let prefix = random_bytes::<PREFIX_LEN>();
            let salt = salt_of(&tx.tx, tx.keyring)?;
            let label = Label {
                format: FORMAT.into(),
                schema: SCHEMA,
                made: tx.now(),
                last_entry: head.seq,
                head: head.hash_hex(),
                key_id: current.id().to_owned(),
                salt: hex(&salt),
                nonce: hex(&prefix),
            };
            let mut line = serde_json::to_vec(&label).map_err(|e| Error::internal("writing a label", e))?;
            line.push(b'\n');
            to.write_all(&line).map_err(unwritable)?;
            let sealing = Sealing::new(&mut to, Seal::new(current.backups(), prefix, line));
            let mut packing = DeflateEncoder::new(sealing, Compression::fast());
            write_rows(tx, &mut packing)?;
            packing.finish().and_then(Sealing::finish).and_then(|to| to.flush()).map_err(unwritable)?;
            Ok(label)
        })
    }

    /// Reads a backup of this store to its end and checks that it is whole: every byte, the chain, and how much there is.
    pub fn check_backup(&self, from: impl Read) -> Result<Checked> {
        let keyring = self.keyring.get();
        check(from, |label| keyring.by_id(&label.key_id).ok_or_else(|| other_key(label)))
    }
}

/// The same for a file, by the key of a source: it needs no store.
pub fn check_backup_file(path: &Path, key: &KeySource) -> Result<Checked> {
    let label = label_of(path)?;
    let keys = key_of(key, &label)?;
    check(open(path)?, |_| Ok(&keys))
}

/// What a backup says of itself.
pub fn label_of(path: &Path) -> Result<Label> {
    read_label(&mut BufReader::new(open(path)?)).map(|(label, _)| label)
}

fn open(path: &Path) -> Result<File> {
    File::open(path)
        .map_err(|e| Error::invalid("the backup cannot be opened").because(format!("{}: {e}", path.display())))
}

fn write_rows(tx: &Survey<'_>, to: &mut impl Write) -> Result<()> {
    let failed = |e: redb::Error| fault("reading the store", e);
    let mut contents = Contents::default();
    let mut names: Vec<String> =
        tx.tx.list_tables().map_err(|e| failed(e.into()))?.map(|table| table.name().to_owned()).collect();
    names.sort();
    for name in names.iter().filter(|name| *name != "audit") {
        write_row(to, &Row::Table(name.clone())).map_err(unwritable)?;
        let table = tx.tx.open_table(definition(name)).map_err(|e| failed(e.into()))?;
        for row in redb::ReadableTable::iter(&table).map_err(|e| failed(e.into()))? {
            let (key, value) = row.map_err(|e| failed(e.into()))?;
            write_row(to, &Row::Record(key.value().to_owned(), value.value().to_vec())).map_err(unwritable)?;
            contents.records += 1;
        }
    }
    match tx.tx.open_table(AUDIT) {
        Ok(log) => {
            for row in redb::ReadableTable::iter(&log).map_err(|e| failed(e.into()))? {
                let (seq, entry) = row.map_err(|e| failed(e.into()))?;
                write_row(to, &Row::Entry(seq.value(), entry.value().to_vec())).map_err(unwritable)?;
                contents.entries += 1;
            }
        }
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(e) => return Err(failed(e.into())),
    }
    write_row(to, &Row::End(contents)).map_err(unwritable)
}

/// Reads a backup to its end. `keys` finds the key for a label.
fn check<'k>(from: impl Read, keys: impl FnOnce(&Label) -> Result<&'k Keys>) -> Result<Checked> {
    walk(from, keys, |_| Ok(()))
}

/// Walks the rows of a backup, and checks at its end that it was whole.
fn walk<'k>(
    from: impl Read,
    keys: impl FnOnce(&Label) -> Result<&'k Keys>,
    mut each: impl FnMut(Row) -> Result<()>,
) -> Result<Checked> {
    let mut from = BufReader::new(from);
    let (label, line) = read_label(&mut from)?;
    let keys = keys(&label)?;
    let prefix = unhex(&label.nonce).and_then(|nonce| nonce.try_into().ok()).ok_or_else(no_backup)?;
    let opening = Opening::new(from, Seal::new(keys.backups(), prefix, line));
    let mut unpacking = BufReader::new(DeflateDecoder::new(BufReader::new(opening)));
    let (mut contents, mut head, mut base) = (Contents::default(), None, Head::EMPTY);
    let mut is_meta = false;
    loop {
        let row = read_row(&mut unpacking).map_err(|e| Error::conflict("the backup is damaged").because(e))?;
        match &row {
            Row::Table(name) => is_meta = name == "meta",
            Row::Record(key, value) => {
                contents.records += 1;
                // The log comes behind all tables.
                if is_meta && key == super::checkpoints::BASE {
                    base = super::checkpoints::read_base(value)?.verify()?;
                }
            }
            Row::Entry(seq, entry) => {
                contents.entries += 1;
                head.get_or_insert(base).check(*seq, entry)?;
            }
            Row::End(counted) if *counted == contents => break,
            Row::End(_) => return Err(Error::conflict("the backup does not hold what it counted")),
        }
        each(row)?;
    }
    let rest = unpacking.read(&mut [0]).map_err(|e| Error::conflict("the backup is damaged").because(e))?;
    let head = head.unwrap_or(base);
    if rest > 0 || head.seq != label.last_entry || head.hash_hex() != label.head {
        return Err(Error::conflict("the backup does not end as its label says"));
    }
    Ok(Checked { label, contents })
}

fn read_label(from: &mut impl BufRead) -> Result<(Label, Vec<u8>)> {
    let mut line = Vec::new();
    let mut limited = from.take(LABEL_LEN_MAX);
    limited.read_until(b'\n', &mut line).map_err(|e| Error::unavailable("the backup cannot be read").because(e))?;
    let label: Label = serde_json::from_slice(&line).map_err(|e| no_backup().because(e))?;
    if label.format != FORMAT {
        return Err(no_backup());
    }
    if label.schema > SCHEMA {
        return Err(Error::conflict("the backup was made by a newer keylender: upgrade keylender"));
    }
    Ok((label, line))
}

/// The key that a source has for a backup.
fn key_of(source: &KeySource, label: &Label) -> Result<Keys> {
    let salt = unhex(&label.salt).ok_or_else(no_backup)?;
    for master in candidates(source, &[salt])? {
        let keys = Keys::derive(master)?;
        if keys.id() == label.key_id {
            return Ok(keys);
        }
    }
    Err(other_key(label))
}

fn other_key(label: &Label) -> Error {
    Error::conflict(format!("the backup is sealed by another key: {}", label.key_id))
}

fn no_backup() -> Error {
    Error::conflict("the file is no backup of keylender")
}

fn unwritable(error: std::io::Error) -> Error {
    Error::unavailable("the backup cannot be written").because(error)
}
