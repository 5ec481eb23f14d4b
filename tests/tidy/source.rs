//! A file as the rules look at it: its text, its code without comments and strings, and the same without tests.

use std::fs;
use std::ops::Range;
use std::path::Path;

/// What is not ours: built, fetched or version control's own.
const SKIPPED: [&str; 3] = [".git", "target", "node_modules"];

/// One file. Lines of `code` and `lasting` are the lines of `text`, so that a place in one is a place in all.
pub struct Source {
    pub path: String,
    pub text: String,
    /// Without comments, and with blanks inside of strings. Empty for what is not Rust.
    pub code: String,
    /// The code that the product is made of: without test modules.
    pub lasting: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { without_words(text) } else { String::new() };
        let is_test = !path.starts_with("src/") || path.ends_with("/tests.rs") || path.contains("/tests/");
        let lasting = if is_test { String::new() } else { without_tests(&code) };
        Self { path: path.into(), text: text.into(), code, lasting }
    }

    /// The module that this file is, from the root of the crate: `src/store/seal.rs` is `store`, `seal`.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("src/").unwrap_or_default();
        let path = path.strip_suffix(".rs").unwrap_or(path);
        path.split('/').filter(|part| !["mod", "lib", "main", ""].contains(part)).collect()
    }
}

/// Every text file below a directory, with paths from there.
pub fn tree(root: &Path) -> Vec<Source> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) => folders.push(entry.path()),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    let relative = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let read = |path: &Path| fs::read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    found.iter().filter_map(|path| Some(Source::new(&relative(path), &read(path)?))).collect()
}

/// The number of the line that a byte stands in.
pub fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Every identifier with its place.
pub fn words(code: &str) -> Vec<(usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut words, mut begun) = (Vec::new(), None);
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        match (is_word(c), begun) {
            (true, None) => begun = Some(at),
            (false, Some(start)) => {
                words.push((start, &code[start..at]));
                begun = None;
            }
            _ => {}
        }
    }
    words
}

/// From an opening brace to behind the one that closes it.
pub fn block(code: &str, open: usize) -> Range<usize> {
    let mut depth = 0;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return open..open + at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    open..code.len()
}

/// The code with everything blank that is a comment or inside of a string or character.
fn without_words(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let after_word = code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let (len, is_code) = piece(rest, after_word);
        if is_code {
            code.push_str(&rest[..len])
        } else {
            code.extend(rest[..len].bytes().map(|byte| match byte {
                b'\n' => '\n',
                b'"' => '"',
                _ => ' ',
            }))
        }
        rest = &rest[len..];
    }
    code
}

/// The length of the piece that a text begins with, and whether it is code.
fn piece(rest: &str, after_word: bool) -> (usize, bool) {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |at| at + 2), false);
    }
    let raw = rest.trim_start_matches('b');
    if let (false, Some(hashed)) = (after_word, raw.strip_prefix('r')) {
        let hashes = hashed.len() - hashed.trim_start_matches('#').len();
        if let Some(body) = hashed[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body_len = body.find(&end).map_or(body.len(), |at| at + end.len());
            return (rest.len() - body.len() + body_len, false);
        }
    }
    match rest.strip_prefix('"') {
        Some(body) => (1 + quoted(body, '"').unwrap_or(body.len()), false),
        None => match rest.strip_prefix('\'').and_then(|body| Some((body, quoted(body, '\'')?))) {
            // Anything longer is a lifetime, and another one further on.
            Some((body, len)) if body.starts_with('\\') || body.chars().nth(1) == Some('\'') => (1 + len, false),
            _ => (first, true),
        },
    }
}

/// The length up to behind the closing quote.
fn quoted(body: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn without_tests(code: &str) -> String {
    let mut lasting = code.to_owned();
    let mark = "#[cfg(test)]\nmod tests {";
    while let Some(at) = lasting.find(mark) {
        let tests = at..block(&lasting, at + mark.len() - 1).end;
        let blank: String = lasting[tests.clone()].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        lasting.replace_range(tests, &blank);
    }
    lasting
}
