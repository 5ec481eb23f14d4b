//! The last lines of the log, in memory, for people who look at the console and not at the host.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines that are kept: what a person reads before they open the log itself.
const LINES_MAX: usize = 100;
/// Bytes of a line that are kept.
const LINE_LEN_MAX: usize = 1000;

/// The last lines. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// Adds a line, without its colours.
    pub fn add(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(&line[..line.len().min(LINE_LEN_MAX)]);
        let line = without_colours(line.trim_end());
        let mut lines = self.lock();
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The lines, the oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text without the sequences that colour it on a terminal.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_stay_and_none_is_long() {
        let tail = Tail::default();
        for number in 0..LINES_MAX + 2 {
            tail.add(format!("line {number}\n").as_bytes());
        }
        tail.add("é".repeat(LINE_LEN_MAX).as_bytes());
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (LINES_MAX, "line 3"));
        assert_eq!(lines[LINES_MAX - 1].len(), LINE_LEN_MAX);
    }

    #[test]
    fn colours_of_a_terminal_go() {
        let tail = Tail::default();
        tail.add(b"\x1b[2m2018\x1b[0m \x1b[32m INFO\x1b[0m listening \x1b[3mport\x1b[0m=80\n");
        assert_eq!(tail.lines(), ["2018  INFO listening port=80"]);
    }
}
