//! How bytes, names and numbers are written where several layers write them.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use strsim::levenshtein;

/// All but the unreserved characters of RFC 3986, section 2.3: names hold `/`, `%`, `+`, `?` and worse.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How much of an unknown word is compared with known ones; none is half as long.
const COMPARED_CHARS_MAX: usize = 64;

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that these digits stand for, in either case.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// A text as one segment of a path, or one value of a query.
pub fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The same with its first letter large.
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}

/// How many there are of something: `1 queue`, `3 queues`.
pub fn pluralize(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// The known word that goes on where this one ends, or the other way round, or else takes the fewest edits; letter case,
/// dashes and underscores aside. It is empty if none is known.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> &'k str {
    let spelling = |word: &str| word.to_ascii_lowercase().replace(['_', '-'], "");
    let word: String = spelling(word).chars().take(COMPARED_CHARS_MAX).collect();
    let edits = |known: &&str| {
        let known = spelling(known);
        (!known.starts_with(&word) && !word.starts_with(&known), levenshtein(&word, &known))
    };
    known.into_iter().min_by_key(edits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_a_part_of_it_or_takes_the_fewest_edits() {
        let known = ["name", "image", "command", "env", "max-run-time"];
        for (word, expected) in [
            ("comand", "command"),
            ("Environment", "env"),
            ("MAX_RUN_TIME", "max-run-time"),
            ("imag", "image"),
            ("nmae", "name"),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"c".repeat(1 << 20), ["env", "command"]), "command");
        assert_eq!(nearest("x", []), "");
    }
}
