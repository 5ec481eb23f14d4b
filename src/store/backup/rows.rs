//! The rows of a backup as bytes: a letter, lengths, and what they are the lengths of.

use std::io::{Error as IoError, ErrorKind, Read, Result, Write};

use super::Contents;

/// Bytes of one key or value. Above any record, and what damage may cost in memory.
const PART_LEN_MAX: u32 = 64 << 20;

/// A row of a backup.
pub(super) enum Row {
    /// The records that follow belong to this table.
    Table(String),
    /// A record: its key and its bytes.
    Record(String, Vec<u8>),
    /// An audit entry: its number and its bytes.
    Entry(u64, Vec<u8>),
    /// The end, with what came before it.
    End(Contents),
}

pub(super) fn write_row(to: &mut impl Write, row: &Row) -> Result<()> {
    match row {
        Row::Table(name) => {
            to.write_all(b"t")?;
            write_part(to, name.as_bytes())
        }
        Row::Record(key, value) => {
            to.write_all(b"r")?;
            write_part(to, key.as_bytes())?;
            write_part(to, value)
        }
        Row::Entry(seq, entry) => {
            to.write_all(b"e")?;
            to.write_all(&seq.to_be_bytes())?;
            write_part(to, entry)
        }
        Row::End(contents) => {
            to.write_all(b"z")?;
            to.write_all(&contents.records.to_be_bytes())?;
            to.write_all(&contents.entries.to_be_bytes())
        }
    }
}

pub(super) fn read_row(from: &mut impl Read) -> Result<Row> {
    let [kind] = read_array(from)?;
    Ok(match kind {
        b't' => Row::Table(read_text(from)?),
        b'r' => Row::Record(read_text(from)?, read_part(from)?),
        b'e' => Row::Entry(read_number(from)?, read_part(from)?),
        b'z' => Row::End(Contents { records: read_number(from)?, entries: read_number(from)? }),
        _ => return Err(invalid("a row of an unknown kind")),
    })
}

fn write_part(to: &mut impl Write, part: &[u8]) -> Result<()> {
    let len = u32::try_from(part.len()).ok().filter(|len| *len <= PART_LEN_MAX);
    to.write_all(&len.ok_or_else(|| invalid("a record is too long"))?.to_be_bytes())?;
    to.write_all(part)
}

fn read_part(from: &mut impl Read) -> Result<Vec<u8>> {
    let len = u32::from_be_bytes(read_array(from)?);
    if len > PART_LEN_MAX {
        return Err(invalid("a record is too long"));
    }
    let mut part = Vec::new();
    if from.take(u64::from(len)).read_to_end(&mut part)? < len as usize {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(part)
}

fn read_text(from: &mut impl Read) -> Result<String> {
    String::from_utf8(read_part(from)?).map_err(|_| invalid("a key is no text"))
}

fn read_number(from: &mut impl Read) -> Result<u64> {
    read_array(from).map(u64::from_be_bytes)
}

fn read_array<const N: usize>(from: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn invalid(what: &'static str) -> IoError {
    IoError::new(ErrorKind::InvalidData, what)
}
