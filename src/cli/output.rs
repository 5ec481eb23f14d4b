//! Printing: tables for people, JSON for programs. A reader that goes away ends the printing, not with a panic. Much of
//! what is printed was written by others, and a terminal obeys some characters: they are written out here.

use std::io::{self, IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::base::invisible::written_out;
pub(super) use crate::base::text::url_encoded as segment;
use crate::base::{Clock, Span, Timestamp};

/// Characters of a text that are shown: as many as a note may have, more than any sentence of ours, and not the screens
/// that somebody else may fill. JSON has all of it.
const TEXT_LEN_MAX: usize = 2000;
/// To what width cells are filled up. One that is longer moves what follows it, and not all other rows.
const WIDTH_MAX: usize = 100;

/// Prints a line, or several.
pub(super) fn line(text: &str) {
    // There is nobody left to tell when standard output is closed.
    let _ = raw(&harmless(text));
}

/// Prints an entry in one line, and says whether there still was a reader: what goes on for long ends without one.
pub(super) fn entry_is_read(text: &str) -> bool {
    raw(&written_out(text)).is_ok()
}

/// The same with what a program reads: every byte as it is.
pub(super) fn raw_is_read(text: &str) -> bool {
    raw(text).is_ok()
}

/// Prints a document.
pub(super) fn json(document: &Value) {
    // As above.
    let _ = raw(&json_text(document));
}

/// Says something beside what was asked for, such as why it failed, on standard error.
pub(super) fn complain(text: &str) {
    remark(&format!("keylender: {text}"));
}

/// Says something on standard error where standard output is for programs.
pub(super) fn remark(text: &str) {
    // As above.
    let _ = writeln!(io::stderr().lock(), "{}", harmless(text));
}

fn raw(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Text in lines of ours.
fn harmless(text: &str) -> String {
    text.split('\n').map(written_out).collect::<Vec<_>>().join("\n")
}

/// Control characters are escaped as JSON has it; serde_json leaves out those above ASCII, which some terminals obey, too.
fn json_text(document: &Value) -> String {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    let is_raw = |c: char| c.is_control() && c != '\n';
    if !text.contains(is_raw) {
        return text;
    }
    let escaped = |c: char| if is_raw(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// Prints rows under a heading, each column as wide as its widest cell within reason; the last one as it is.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) {
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: Vec<Vec<_>> =
        rows.iter().map(|row| row.iter().map(|cell| written_out(cell).into_owned()).collect()).collect();
    let all = || std::iter::once(&heading).chain(&rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0).min(WIDTH_MAX);
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A text of a document as people see it, in one line; empty when it is not there.
pub(super) fn text(document: &Value, member: &str) -> String {
    match &document[member] {
        Value::String(text) => show_text(text),
        Value::Null => String::new(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(show_text).collect::<Vec<_>>().join(" "),
        other => written_out(&other.to_string()).into_owned(),
    }
}

/// The same as it is, to work with.
pub(super) fn value(document: &Value, member: &str) -> String {
    document[member].as_str().unwrap_or_default().to_owned()
}

fn show_text(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(TEXT_LEN_MAX) else {
        return written_out(text).into_owned();
    };
    format!("{}… {} more", written_out(&text[..end]), text[end..].chars().count())
}

/// The rows of a list in a document.
pub(super) fn rows(document: &Value, list: &str, members: &[&str]) -> Vec<Vec<String>> {
    let items = document[list].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| members.iter().map(|member| text(item, member)).collect()).collect()
}

/// Keeps the rows of a list that were idle for that long; `is_idle` hears the moment that long ago.
pub(super) fn retain_unused(list: &mut Value, span: Span, is_idle: impl Fn(&Value, Timestamp) -> bool) {
    let earliest = Clock::system().now().minus(span.size());
    if let Some(rows) = list.as_array_mut() {
        rows.retain(|row| is_idle(row, earliest));
    }
}

/// Whether a time in a document is that early, or not there.
pub(super) fn is_before(document: &Value, member: &str, moment: Timestamp) -> bool {
    document[member].as_str().and_then(|text| text.parse::<Timestamp>().ok()).is_none_or(|time| time <= moment)
}

/// How often a terminal hears that work goes on; what is done within is done without a word.
const TICK: Duration = Duration::from_secs(1);

/// Waits for work that may take long, and says on a terminal how long it has been at it.
pub(super) async fn working<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let mut work = pin!(work);
    let begun = Instant::now();
    let mut is_shown = false;
    loop {
        match timeout(TICK, &mut work).await {
            Ok(done) => {
                if is_shown {
                    // Without a terminal to write to there is nobody to tell.
                    let _ = write!(io::stderr(), "\r\x1b[K");
                }
                return done;
            }
            Err(_) => {
                is_shown = write!(io::stderr(), "\r{what}: {} s", begun.elapsed().as_secs()).is_ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_shown_in_one_line_and_cut() {
        let document = json!({
            "contact": "a\n\u{1b}[2J",
            "scopes": ["a\u{202e}", "b"],
            "count": 3,
            "note": "é".repeat(64 << 10),
        });
        assert_eq!(text(&document, "contact"), "a\\u{a}\\u{1b}[2J");
        assert_eq!(value(&document, "contact"), "a\n\u{1b}[2J");
        assert_eq!(["scopes", "count", "nothing"].map(|member| text(&document, member)), ["a\\u{202e} b", "3", ""]);
        assert_eq!(text(&document, "note"), "é".repeat(TEXT_LEN_MAX) + "… 63536 more");
    }

    #[test]
    fn json_says_the_same_without_a_control_character() {
        let document = json!({"contact": "a\n\u{1b}\u{7f}\u{9b}2J\u{202e}é"});
        let text = json_text(&document);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert_eq!(text.parse::<Value>().unwrap(), document);
    }
}
