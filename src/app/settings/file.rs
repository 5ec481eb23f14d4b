//! The settings file: `KEY=value` lines that a shell reads in the same way, and files that hold one secret.
//!
//! Nothing is ever run or expanded. **Invariant:** a line that is accepted means to `sh` exactly what it means here,
//! because init scripts source the file; whatever a shell would expand, split or run is an error.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::problems::{Place, Report};
use crate::base::Secret;

/// Longest settings file; a full one has a few kilobytes.
const FILE_LEN_MAX: u64 = 256 * 1024;
/// Longest file of a secret, so that `/dev/zero` does no harm.
const SECRET_LEN_MAX: u64 = 16 * 1024;
/// What separates words for a shell; other white space does not.
const BLANKS: [char; 2] = [' ', '\t'];
/// What may stand unquoted besides letters and digits.
const PLAIN: &str = "_-+=.,:/@%#";

/// One name with its value, as a source has it.
pub(super) struct Entry {
    pub name: String,
    pub text: Secret,
    pub place: Place,
}

/// The entries of the settings file. What cannot be read is a problem; the rest is returned.
pub(super) fn entries(path: &Path, report: &mut Report) -> Vec<Entry> {
    match read(path, FILE_LEN_MAX) {
        Ok(text) => parse(path, &text, report),
        Err(error) => {
            report.problem(&Place::File(path.into(), 0), format!("cannot be read: {error}"));
            Vec::new()
        }
    }
}

/// The content of the file of a secret, without its last line end.
pub(super) fn secret(path: &Path) -> io::Result<Secret> {
    let text = Secret::new(read(path, SECRET_LEN_MAX)?);
    let line = text.expose();
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() { Err(io::Error::other("the file is empty")) } else { Ok(Secret::new(line)) }
}

pub(super) fn read(path: &Path, len_max: u64) -> io::Result<String> {
    let mut text = String::new();
    let len = File::open(path)?.take(len_max + 1).read_to_string(&mut text)?;
    if len as u64 > len_max { Err(io::Error::other(format!("longer than {len_max} bytes"))) } else { Ok(text) }
}

/// Reads the text of a settings file, line by line; a bad line is a problem and the next one is read.
pub(super) fn parse(path: &Path, text: &str, report: &mut Report) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let place = Place::File(path.into(), index + 1);
        match assignment(line) {
            Ok(Some((name, text))) => entries.push(Entry { name: name.to_owned(), text: Secret::new(text), place }),
            Ok(None) => {}
            Err(message) => report.problem(&place, message),
        }
    }
    entries
}

/// The name and value of one line; none on an empty line and on a comment.
fn assignment(line: &str) -> Result<Option<(&str, String)>, &'static str> {
    let line = line.trim_start_matches(BLANKS);
    if line.ends_with('\r') {
        return Err("ends with a carriage return; a shell would take it for a part of the value");
    }
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err("holds a control character");
    }
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let exported = line.strip_prefix("export").filter(|rest| rest.starts_with(BLANKS));
    let line = exported.map_or(line, |rest| rest.trim_start_matches(BLANKS));
    let (name, rest) = line.split_once('=').ok_or("expected KEY=value")?;
    if name.ends_with(BLANKS) || rest.starts_with(BLANKS) && !is_tail(rest) {
        return Err("a shell takes no blank around `=`");
    }
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("expected KEY=value, with a key of letters, digits and _");
    }
    Ok(Some((name, value(rest)?)))
}

/// The value that stands after `=`.
fn value(rest: &str) -> Result<String, &'static str> {
    let (text, tail) = match rest.chars().next() {
        Some('\'') => single_quoted(&rest[1..])?,
        Some('"') => double_quoted(&rest[1..])?,
        _ => unquoted(rest)?,
    };
    if is_tail(tail) { Ok(text) } else { Err("nothing but a comment may follow a value; quote it as a whole") }
}

/// Whether this is what may follow a value: nothing, blanks, or blanks and a comment.
fn is_tail(rest: &str) -> bool {
    let comment = rest.trim_start_matches(BLANKS);
    comment.is_empty() || comment.starts_with('#') && comment.len() < rest.len()
}

fn single_quoted(rest: &str) -> Result<(String, &str), &'static str> {
    let (text, tail) = rest.split_once('\'').ok_or("the quote is not closed on this line")?;
    Ok((text.to_owned(), tail))
}

/// In double quotes a backslash protects `"`, `\`, `$` and the backtick, and is itself before anything else.
fn double_quoted(rest: &str) -> Result<(String, &str), &'static str> {
    let mut text = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((text, &rest[at + 1..])),
            '$' | '`' => return Err("nothing is expanded here; put the value in single quotes"),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some(c @ ('"' | '\\' | '$' | '`')) => text.push(c),
                Some(c) => text.extend(['\\', c]),
                None => break,
            },
            c => text.push(c),
        }
    }
    Err("the quote is not closed on this line")
}

fn unquoted(rest: &str) -> Result<(String, &str), &'static str> {
    let end = rest.find(BLANKS).unwrap_or(rest.len());
    let (text, tail) = rest.split_at(end);
    if text.chars().all(|c| c.is_ascii_alphanumeric() || PLAIN.contains(c)) {
        Ok((text.to_owned(), tail))
    } else {
        Err("holds a character that a shell may not take as it is; put the value in single quotes")
    }
}
