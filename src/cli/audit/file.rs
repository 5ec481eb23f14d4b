//! The log in a file: written by an appliance, checked by anybody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::pages::{Page, Query, fetch};
use crate::app::operate::Operator;
use crate::base::{Error, Result};
use crate::cli::output;
use crate::store::{Head, verify_exported};

/// What stands for standard input.
const STDIN: &str = "-";
/// Entries between two looks of the progress line: several a second, and none for a file that is checked at once.
const PROGRESS_PERIOD: u64 = 20_000;

/// Writes all entries, a page in memory at a time. A file that could not be written to its end is taken away again.
pub(super) async fn export(operator: &Operator, file: Option<&Path>) -> Result<()> {
    let Some(path) = file else {
        return write_pages(operator, &mut io::stdout().lock()).await.map(drop);
    };
    // A new one: an export that somebody keeps is not written over. What was done is for nobody else's eyes.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = made.map_err(|e| Error::invalid(format!("cannot make {}", path.display())).because(e))?;
    let mut out = BufWriter::new(&file);
    let written = match write_pages(operator, &mut out).await {
        Ok(entries) => out.flush().and_then(|()| file.sync_all()).map(|()| entries).map_err(unwritable),
        Err(error) => Err(error),
    };
    match written {
        Ok(entries) => output::line(&format!("exported {entries} entries")),
        Err(error) => {
            // The first error is the one to hear of.
            let _ = fs::remove_file(path);
            return Err(error);
        }
    }
    Ok(())
}

async fn write_pages(operator: &Operator, out: &mut impl Write) -> Result<u64> {
    let all = Query::of([]);
    let mut entries: u64 = 0;
    let mut next = Some(1);
    while let Some(from) = next {
        let bytes = fetch(operator, from, &all).await?;
        let page = Page::read(&bytes)?;
        for entry in &page.entries {
            writeln!(out, "{}", entry.get()).map_err(unwritable)?;
            entries += 1;
        }
        next = page.next;
    }
    out.flush().map_err(unwritable)?;
    Ok(entries)
}

fn unwritable(error: io::Error) -> Error {
    Error::unavailable("the export cannot be written").because(error)
}

/// Checks an exported file. It needs no appliance, no store and no key.
pub(super) fn verify(path: &Path, head: Option<&str>, json: bool) -> Result<()> {
    let whole = if path == Path::new(STDIN) {
        walk(io::stdin().lock(), None)
    } else {
        let unreadable = |e: io::Error| Error::invalid(format!("cannot read {}", path.display())).because(e);
        let file = File::open(path).map_err(unreadable)?;
        let len = file.metadata().map_err(unreadable)?.len();
        walk(BufReader::new(file), Some(len))
    }?;
    if head.is_some_and(|head| head != whole.hash_hex()) {
        return Err(Error::conflict(format!(
            "the file ends with entry {} and another head: that entry was changed, or some were cut off or added",
            whole.seq
        )));
    }
    let verified = json!({ "entries": whole.seq, "head": whole.hash_hex() });
    match json {
        true => output::json(&verified),
        false => print_whole(&verified),
    }
    Ok(())
}

/// Says that a chain is whole.
pub(super) fn print_whole(verified: &Value) {
    let head = output::text(verified, "head");
    output::line(&format!("the chain is whole: {} entries, head {head}", verified["entries"]));
}

/// Walks a chain; on a terminal a line says how far it is.
fn walk(lines: impl BufRead, len: Option<u64>) -> Result<Head> {
    let is_watched = io::stderr().is_terminal();
    let mut is_shown = false;
    let progress = |head: &Head, bytes: u64| {
        if is_watched && head.seq.is_multiple_of(PROGRESS_PERIOD) {
            let share = len.filter(|len| *len > 0).map(|len| format!(", {} %", bytes.saturating_mul(100) / len));
            // Without a terminal to write to there is nobody to tell.
            let _ = write!(io::stderr(), "\rchecked {} entries{}", head.seq, share.unwrap_or_default());
            is_shown = true;
        }
    };
    let walked = verify_exported(lines, progress);
    if is_shown {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    walked
}
