//! The log in a file: written by an appliance, checked by anybody.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::pages::{Page, Query, fetch};
use crate::app::operate::Operator;
use crate::base::{Error, Result};
use crate::cli::export::{self, unwritable};
use crate::cli::output;
use crate::store::{Checkpoint, Head, Verified, verify_exported};

/// What stands for standard input.
const STDIN: &str = "-";
/// Entries between two looks of the progress line: several a second, and none for a file that is checked at once.
const PROGRESS_PERIOD: u64 = 20_000;

/// Writes all entries, a page in memory at a time.
pub(super) async fn export(operator: &Operator, file: Option<&Path>) -> Result<()> {
    let entries = export::to(file, async |out| write_pages(operator, out).await).await?;
    if file.is_some() {
        output::line(&format!("exported {entries} entries"));
    }
    Ok(())
}

async fn write_pages(operator: &Operator, out: &mut dyn Write) -> Result<u64> {
    let all = Query::of([]);
    let mut entries: u64 = 0;
    let mut next = Some(1);
    let mut last = 0;
    let begin = operator.call("GET", "/audit/checkpoint", None).await?;
    let base = begin.get("base");
    if let Some(base) = base {
        writeln!(out, "{}", json!({ "checkpoint": base })).map_err(unwritable)?;
    }
    while let Some(from) = next {
        let bytes = fetch(operator, from, &all).await?;
        let page = Page::read(&bytes)?;
        for entry in &page.entries {
            writeln!(out, "{}", entry.get()).map_err(unwritable)?;
            entries += 1;
        }
        (next, last) = (page.next, page.seen);
    }
    let end = operator.call("GET", &format!("/audit/checkpoint?at={last}"), None).await?;
    if end.get("base") != base {
        return Err(Error::conflict(
            "the log was pruned while it was exported, so the file would have a gap: export again",
        ));
    }
    writeln!(out, "{}", json!({ "checkpoint": end["checkpoint"] })).map_err(unwritable)?;
    Ok(entries)
}

/// What a log must fit besides being whole in itself.
#[derive(Default)]
pub(super) struct Expected {
    /// The hash of its last entry.
    pub head: Option<String>,
    /// The public key that signs it.
    pub key: Option<String>,
    /// A signed head from the log of the program.
    pub checkpoint: Option<Checkpoint>,
}

impl Expected {
    /// Reads what was given. Text around the checkpoint, such as the rest of its line in the log, does no harm.
    pub(super) fn read(head: Option<String>, key: Option<String>, checkpoint: Option<&str>) -> Result<Self> {
        let checkpoint = checkpoint.map(|text| {
            let braces = text.find('{').zip(text.rfind('}')).map(|(from, to)| &text[from..=to]);
            let document: Option<Value> = braces.and_then(|document| serde_json::from_str(document).ok());
            let checkpoint = document.map(|document| document.get("checkpoint").cloned().unwrap_or(document));
            let checkpoint = checkpoint.and_then(|document| serde_json::from_value::<Checkpoint>(document).ok());
            let checkpoint = checkpoint.ok_or_else(|| Error::invalid("not a checkpoint as the log has it"))?;
            checkpoint.verify()?;
            Ok::<_, Error>(checkpoint)
        });
        Ok(Self { head, key, checkpoint: checkpoint.transpose()? })
    }

    fn check_key(&self, signed_by: Option<&str>) -> Result<()> {
        let expected = self.key.as_deref().or(self.checkpoint.as_ref().map(|checkpoint| checkpoint.key.as_str()));
        match (expected, signed_by) {
            (Some(_), None) => Err(Error::conflict("nothing signed the end of the file: it was cut off")),
            (Some(expected), Some(key)) if expected != key => {
                Err(Error::conflict(format!("another key signed it: {key}")))
            }
            _ => Ok(()),
        }
    }

    fn check_end(&self, seq: u64, hash: &str) -> Result<()> {
        if self.head.as_deref().is_some_and(|head| head != hash) {
            return Err(Error::conflict(format!(
                "the file ends with entry {seq} and another head: that entry was changed, or some were cut off or added"
            )));
        }
        match &self.checkpoint {
            Some(checkpoint) if checkpoint.seq > seq => Err(Error::conflict(format!(
                "it ends with entry {seq}, but had {} when the checkpoint was signed: its end was cut off",
                checkpoint.seq
            ))),
            _ => Ok(()),
        }
    }
}

/// Checks the log of an appliance.
pub(super) async fn verify_live(operator: &Operator, expected: &Expected, json: bool) -> Result<()> {
    let mut verified = output::working("checking the chain", operator.work("/audit/verify")).await?;
    let last = verified["last"].as_u64().unwrap_or_default();
    expected.check_key(verified["signingKey"].as_str())?;
    expected.check_end(last, &output::value(&verified, "head"))?;
    if let Some(checkpoint) = &expected.checkpoint {
        let path = format!("/audit/checkpoint?at={}", checkpoint.seq);
        let now = operator.call("GET", &path, None).await?;
        if now["checkpoint"]["hash"].as_str() != Some(&checkpoint.hash) {
            return Err(differs(checkpoint));
        }
    }
    if let Some(document) = verified.as_object_mut() {
        let key = document.remove("signingKey").unwrap_or_default();
        document.insert("signedBy".into(), key);
    }
    print_whole(&verified, json);
    Ok(())
}

fn differs(checkpoint: &Checkpoint) -> Error {
    Error::conflict(format!("entry {} is another one than the checkpoint was signed for", checkpoint.seq))
}

/// Checks an exported file. It needs no appliance, no store and no key.
pub(super) fn verify(path: &Path, expected: &Expected, json: bool) -> Result<()> {
    let whole = if path == Path::new(STDIN) {
        walk(io::stdin().lock(), None, expected)
    } else {
        let unreadable = |e: io::Error| Error::invalid(format!("cannot read {}", path.display())).because(e);
        let file = File::open(path).map_err(unreadable)?;
        let len = file.metadata().map_err(unreadable)?.len();
        walk(BufReader::new(file), Some(len), expected)
    }?;
    expected.check_end(whole.head.seq, &whole.head.hash_hex())?;
    expected.check_key(whole.signed_by.as_deref())?;
    print_whole(
        &json!({
            "entries": whole.entries,
            "last": whole.head.seq,
            "head": whole.head.hash_hex(),
            "signedBy": whole.signed_by,
        }),
        json,
    );
    Ok(())
}

/// Says that a chain is whole.
fn print_whole(verified: &Value, json: bool) {
    if json {
        return output::json(verified);
    }
    let head = output::text(verified, "head");
    output::line(&format!("the chain is whole: {} entries, head {head}", verified["entries"]));
    let first = verified["last"].as_u64().unwrap_or_default() - verified["entries"].as_u64().unwrap_or_default() + 1;
    if first > 1 {
        output::line(&format!("entries before {first} were pruned; a signed checkpoint stands for them"));
    }
    output::line(&match verified["signedBy"].as_str() {
        Some(key) => format!("signed by {key}"),
        None => "nothing signed its end: compare the head with one that you know".to_owned(),
    });
}

/// Walks a chain; on a terminal a line says how far it is.
fn walk(lines: impl BufRead, len: Option<u64>, expected: &Expected) -> Result<Verified> {
    let is_watched = io::stderr().is_terminal();
    let mut is_shown = false;
    let mut is_as_signed = true;
    let progress = |head: &Head, bytes: u64| {
        if let Some(checkpoint) = &expected.checkpoint
            && checkpoint.seq == head.seq
        {
            is_as_signed = checkpoint.hash == head.hash_hex();
        }
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
    match &expected.checkpoint {
        Some(checkpoint) if !is_as_signed => Err(differs(checkpoint)),
        _ => walked,
    }
}
