//! Printing: tables for people, JSON for programs. A reader that goes away ends the printing, not with a panic.

use std::io::{self, IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::base::{Clock, Span, Timestamp};

/// What needs no escape inside one segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Prints a line.
pub(super) fn line(text: &str) {
    // There is nobody left to tell when standard output is closed.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a line, and says whether there still was a reader: what goes on for long ends without one.
pub(super) fn line_is_read(text: &str) -> bool {
    writeln!(io::stdout().lock(), "{text}").is_ok()
}

/// Prints a document.
pub(super) fn json(document: &Value) {
    line(&serde_json::to_string_pretty(document).unwrap_or_default());
}

/// Prints rows under a heading, each column as wide as its widest cell; the last one as it is.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) {
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    let all = || std::iter::once(&heading).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A text of a document; empty when it is not there.
pub(super) fn text(document: &Value, member: &str) -> String {
    match &document[member] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
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

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
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
