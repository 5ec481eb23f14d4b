//! An exported audit log: one entry a line, checked without a store.

use std::io::{BufRead, Read as _};

use super::chain::Head;
use crate::base::{Error, Result};

/// Bytes of a line. Above any entry, and what a file that is no export may cost in memory.
const LINE_LEN_MAX: u64 = 16 << 20;

/// Walks the lines of an export and returns the head that they lead to; the error names the first entry that does not
/// fit, and its line. `progress` hears after every line how far it is: the head, and the bytes so far.
///
/// That the last entry was changed, or that entries behind it were cut off, shows in the head only: compare it with
/// one that is known.
pub fn verify_exported(mut lines: impl BufRead, mut progress: impl FnMut(&Head, u64)) -> Result<Head> {
    let mut head = Head::EMPTY;
    let mut line = Vec::new();
    let mut bytes_read = 0;
    loop {
        line.clear();
        let len = (&mut lines)
            .take(LINE_LEN_MAX)
            .read_until(b'\n', &mut line)
            .map_err(|e| Error::unavailable("the file cannot be read").because(e))?;
        if len == 0 {
            return Ok(head);
        }
        let number = head.seq + 1;
        let Some(entry) = line.strip_suffix(b"\n") else {
            return Err(Error::conflict(format!("line {number}: audit entry {number} is cut off or far too long")));
        };
        head.check_line(number, entry)?;
        bytes_read += u64::try_from(len).unwrap_or(u64::MAX);
        progress(&head, bytes_read);
    }
}
