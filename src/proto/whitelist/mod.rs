//! The whitelist of MIG's scheduler: whose heartbeats it takes.
//!
//! The scheduler reads the file anew for every heartbeat, line by line, and stops at the first line that admits the
//! agent. A line is the name of one queue, to the letter; or, with `re:` before it, a pattern of Go, to which the
//! scheduler puts `^` and `$` as text. It stops for good at a pattern that does not compile, with an error, and at a
//! line that is too long, without a word. Then nobody who is listed behind it is admitted.

mod oddity;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fmt, mem,
};

use super::go_regex::{GoRegex, Refusal};
pub use oddity::{Oddity, Warning};

/// Longest line, with a carriage return at its end and without the newline. The scheduler reads with a buffer of 64 KiB,
/// in which the newline has to be, too.
pub const LINE_LEN_MAX: usize = 64 * 1024 - 1;
/// Longest file: 50,000 of the longest names, and patterns besides. The scheduler reads it for every heartbeat, of which each
/// agent sends one in five minutes.
pub const FILE_LEN_MAX: usize = 20 << 20;
/// Bytes of all patterns of a file, compiled. A pattern as in MIG's examples takes about 3,000.
pub const PROGRAMS_SIZE_MAX: usize = 32 << 20;
/// Warnings and mistakes that are kept, of each. Who has more of them does not read them one by one.
const REMARKS_MAX: usize = 500;
/// What makes a line a pattern, if there are at least two bytes behind it.
const PATTERN_PREFIX: &str = "re:";

/// A line that the scheduler reads.
#[derive(Clone, Debug)]
pub struct Line {
    /// From 1 on.
    pub number: usize,
    /// As it is compared, without the end of the line.
    pub text: String,
    /// Compiled, if it is a pattern.
    pattern: Option<GoRegex>,
}

impl Line {
    /// Whether it admits agents by a pattern.
    pub fn is_pattern(&self) -> bool {
        self.pattern.is_some()
    }

    fn admits(&self, queueloc: &str) -> bool {
        self.pattern.as_ref().map_or_else(|| self.text == queueloc, |pattern| pattern.is_match(queueloc))
    }
}

/// A line at which a scheduler stops, or may stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// From 1 on.
    pub line: usize,
    /// What it is.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has bytes that are no UTF-8. No agent's name has such, and no pattern of Go.
    NotText,
    /// Its pattern is refused. Place and substitute are those of the line.
    Pattern(Refusal),
    /// With it the file is longer than [`FILE_LEN_MAX`].
    FileTooLong,
    /// With it the patterns have more than [`PROGRAMS_SIZE_MAX`] bytes.
    ProgramsTooLarge,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: ", self.line)?;
        match &self.fault {
            Fault::NotText => out.write_str("it is not UTF-8, which every agent's name is"),
            Fault::Pattern(refusal) => refusal.fmt(out),
            Fault::FileTooLong => write!(out, "a whitelist has at most {FILE_LEN_MAX} bytes"),
            Fault::ProgramsTooLarge => write!(out, "the patterns up to here take more than {PROGRAMS_SIZE_MAX} bytes"),
        }
    }
}

/// Whom the scheduler admits.
///
/// **Invariant:** every pattern in it is one that all versions of Go take, and take alike.
#[derive(Clone, Debug)]
pub struct Whitelist {
    lines: Vec<Line>,
    warnings: Vec<Warning>,
}

impl Whitelist {
    /// What is in the file, or everything that is wrong with it; there is at least one mistake then.
    pub fn parse(file: &[u8]) -> Result<Self, Vec<Mistake>> {
        let mut reading = Reading::default();
        let mut rest = file;
        while !rest.is_empty() && reading.takes(line_of(&mut rest), rest) {}
        let Reading { lines, warnings, mistakes, .. } = reading;
        if mistakes.is_empty() { Ok(Self { lines, warnings }) } else { Err(mistakes) }
    }

    /// The line that lets this queue's agent in: the first of those that do.
    pub fn admits(&self, queueloc: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.admits(queueloc))
    }

    /// What the scheduler reads, in the order in which it does.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What is right and yet may not be what was meant.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The file as it should be: names before patterns, so that no pattern can lock a name out, each line once and
    /// otherwise in the order of the list. Empty lines are left out, and blanks around a name: no queue has either.
    pub fn to_file(&self) -> String {
        let (patterns, names): (Vec<&Line>, Vec<&Line>) = self.lines.iter().partition(|line| line.is_pattern());
        let names = names.into_iter().map(|line| {
            let name = line.text.trim();
            // It must not become a pattern by that.
            if pattern_of(name).is_some() { line.text.as_str() } else { name }
        });
        let patterns = patterns.into_iter().map(|line| line.text.as_str());
        let mut written = HashSet::new();
        let lines = names.chain(patterns).filter(|line| !line.is_empty() && written.insert(*line));
        lines.flat_map(|line| [line, "\n"]).collect()
    }
}

/// In what two lists differ, each line once and in the order of its list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference<'l> {
    /// Lines that are in the file, and that nobody wants.
    pub only_in_file: Vec<&'l str>,
    /// Lines that the file lacks.
    pub only_wanted: Vec<&'l str>,
}

/// What would have to be taken out of the file, and what put in. Lines are compared as text.
pub fn difference<'l>(file: &'l Whitelist, wanted: &'l Whitelist) -> Difference<'l> {
    Difference { only_in_file: missing(file, wanted), only_wanted: missing(wanted, file) }
}

/// The lines of the one list that the other does not have.
fn missing<'l>(list: &'l Whitelist, other: &Whitelist) -> Vec<&'l str> {
    let known: HashSet<&str> = other.lines.iter().map(|line| line.text.as_str()).collect();
    let mut told = HashSet::new();
    let texts = list.lines.iter().map(|line| line.text.as_str());
    texts.filter(|text| !known.contains(text) && told.insert(*text)).collect()
}

/// Whether a line admits agents by a pattern.
pub fn is_pattern(line: &str) -> bool {
    pattern_of(line).is_some()
}

/// What a line has behind `re:`, if that makes it a pattern.
fn pattern_of(line: &str) -> Option<&str> {
    line.strip_prefix(PATTERN_PREFIX).filter(|pattern| pattern.len() > 1)
}

/// Takes the first line off, without its newline.
fn line_of<'f>(rest: &mut &'f [u8]) -> &'f [u8] {
    let file = *rest;
    let len = file.iter().position(|byte| *byte == b'\n').unwrap_or(file.len());
    *rest = file.get(len + 1..).unwrap_or_default();
    &file[..len]
}

/// A file that is being read.
#[derive(Default)]
struct Reading {
    number: usize,
    len: usize,
    programs_size: usize,
    has_carriage_return: bool,
    lines: Vec<Line>,
    /// Which line had a text first.
    seen: HashMap<String, usize>,
    warnings: Vec<Warning>,
    mistakes: Vec<Mistake>,
}

impl Reading {
    /// Reads a line, and tells whether the next one is read, too.
    fn takes(&mut self, raw: &[u8], rest: &[u8]) -> bool {
        self.number += 1;
        self.len += raw.len() + 1;
        if self.len > FILE_LEN_MAX + 1 {
            self.mistake(Fault::FileTooLong);
            return false;
        }
        if raw.len() > LINE_LEN_MAX {
            let behind = rest.split_inclusive(|byte| *byte == b'\n').count();
            self.warn(Oddity::TooLong { behind });
            return false;
        }
        let line = raw.strip_suffix(b"\r").unwrap_or(raw);
        if line.len() < raw.len() && !mem::replace(&mut self.has_carriage_return, true) {
            self.warn(Oddity::CarriageReturn);
        }
        match std::str::from_utf8(line) {
            Ok(text) => self.text(text),
            Err(_) => self.mistake(Fault::NotText),
        }
        // Whoever has so many mistakes, or patterns so large, need not wait for the rest to be tried.
        self.programs_size <= PROGRAMS_SIZE_MAX && self.mistakes.len() < REMARKS_MAX
    }

    fn text(&mut self, text: &str) {
        let number = self.number;
        let pattern = match pattern_of(text).map(compiled).transpose() {
            Ok(pattern) => pattern,
            Err(refusal) => return self.mistake(Fault::Pattern(refusal)),
        };
        for oddity in oddity::of_line(text, pattern.as_ref()) {
            self.warn(oddity);
        }
        match self.seen.get(text) {
            Some(first) => self.warn(Oddity::Duplicate { first: *first }),
            None => drop(self.seen.insert(text.to_owned(), number)),
        }
        self.programs_size += pattern.as_ref().map_or(0, GoRegex::size);
        if self.programs_size > PROGRAMS_SIZE_MAX {
            return self.mistake(Fault::ProgramsTooLarge);
        }
        self.lines.push(Line { number, text: text.to_owned(), pattern });
    }

    fn warn(&mut self, oddity: Oddity) {
        if self.warnings.len() < REMARKS_MAX {
            self.warnings.push(Warning { line: self.number, oddity });
        }
    }

    fn mistake(&mut self, fault: Fault) {
        if self.mistakes.len() < REMARKS_MAX {
            self.mistakes.push(Mistake { line: self.number, fault });
        }
    }
}

/// As the scheduler compiles what stands behind `re:`. A refusal speaks of the line, and not of the pattern.
fn compiled(pattern: &str) -> Result<GoRegex, Refusal> {
    GoRegex::compile(&format!("^{pattern}$")).map_err(|refusal| {
        let at = PATTERN_PREFIX.len() + refusal.at.saturating_sub(1).min(pattern.len());
        let held = refusal.instead.as_deref().and_then(|instead| instead.strip_prefix('^')?.strip_suffix('$'));
        let instead = held.filter(|held| held.len() > 1).map(|held| format!("{PATTERN_PREFIX}{held}"));
        refusal.moved(at, instead)
    })
}
