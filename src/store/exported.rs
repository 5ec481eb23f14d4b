//! An exported audit log: one entry a line, checked without a store.
//!
//! Its last line is a checkpoint, the signed head. When the beginning of the log was pruned, its first line is the
//! checkpoint that stands for that.

use std::io::{BufRead, Read as _};

use serde::{Deserialize, Serialize};

use super::chain::Head;
use super::sign::Checkpoint;
use crate::base::{Error, Result};

/// Bytes of a line. Above any entry, and what a file that is no export may cost in memory.
const LINE_LEN_MAX: u64 = 16 << 20;

/// A line that is no entry.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    checkpoint: Checkpoint,
}

impl Checkpoint {
    /// Its line in an export, without the end of the line.
    pub fn line(&self) -> Result<String> {
        let line = Line { checkpoint: self.clone() };
        serde_json::to_string(&line).map_err(|e| Error::internal("writing a checkpoint", e))
    }
}

/// What an exported log says.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its end.
    pub head: Head,
    /// Entries in the file.
    pub entries: u64,
    /// The public key that signed its end; none when nothing did. Only who knows the key as the appliance's own knows
    /// that nobody wrote the file anew from its beginning to its end.
    pub signed_by: Option<String>,
}

/// Walks the lines of an export and returns the head that they lead to; the error names the first entry that does not
/// fit, and its line. `progress` hears after every line how far it is: the head, and the bytes so far.
///
/// Without a signed head at its end, that the last entry was changed, or that entries behind it were cut off, shows in
/// the head only: compare it with one that is known.
pub fn verify_exported(mut lines: impl BufRead, mut progress: impl FnMut(&Head, u64)) -> Result<Verified> {
    let mut walk = Walk { head: Head::EMPTY, lines: 0, entries: 0, base: None, end: None };
    let mut line = Vec::new();
    let mut bytes_read = 0;
    loop {
        line.clear();
        let len = (&mut lines)
            .take(LINE_LEN_MAX)
            .read_until(b'\n', &mut line)
            .map_err(|e| Error::unavailable("the file cannot be read").because(e))?;
        if len == 0 {
            return walk.end();
        }
        walk.line(&line)?;
        bytes_read += u64::try_from(len).unwrap_or(u64::MAX);
        progress(&walk.head, bytes_read);
    }
}

struct Walk {
    head: Head,
    lines: u64,
    entries: u64,
    /// The public keys that signed the first and the last line, if they are checkpoints.
    base: Option<String>,
    end: Option<String>,
}

impl Walk {
    fn line(&mut self, line: &[u8]) -> Result<()> {
        self.lines += 1;
        let number = self.lines;
        if self.end.is_some() {
            return Err(Error::conflict(format!("line {number}: there is something behind the signed head")));
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            let seq = self.head.seq + 1;
            return Err(Error::conflict(format!("line {number}: audit entry {seq} is cut off or far too long")));
        };
        if !text.starts_with(b"{\"checkpoint\"") {
            self.head.check_line(number, text)?;
            self.entries += 1;
            return Ok(());
        }
        let broken = |what: String| Error::conflict(format!("line {number}: {what}"));
        let Line { checkpoint } =
            serde_json::from_slice(text).map_err(|e| broken("the checkpoint cannot be read".into()).because(e))?;
        let signed = checkpoint.verify().map_err(|e| broken(e.message().to_owned()))?;
        // Its numbers and times could be written in another way and mean the same: an export has one form.
        if checkpoint.line()?.as_bytes() != text {
            return Err(broken("the checkpoint was written by something else".into()));
        }
        if number == 1 {
            (self.head, self.base) = (signed, Some(checkpoint.key));
        } else if signed == self.head {
            self.end = Some(checkpoint.key);
        } else {
            return Err(broken(format!(
                "the signed head is entry {} with another hash than what comes before: entries were changed, cut off \
                 or added",
                signed.seq
            )));
        }
        Ok(())
    }

    fn end(self) -> Result<Verified> {
        // An empty log has one line, which is its end.
        let is_empty = self.lines == 1 && self.head.seq == 0;
        let signed_by = if is_empty { self.base.clone() } else { self.end };
        if let (Some(base), Some(end)) = (&self.base, &signed_by)
            && base != end
        {
            return Err(Error::conflict("the first and the last line are signed by different keys"));
        }
        Ok(Verified { head: self.head, entries: self.entries, signed_by })
    }
}
