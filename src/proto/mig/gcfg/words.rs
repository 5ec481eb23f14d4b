//! Words that a person wrote, in what is said about them.

use strsim::levenshtein;

/// How much of an unknown word is compared with known ones, and repeated; none is half as long.
const WORD_CHARS_MAX: usize = 64;

/// The known word that goes on where this one ends, or the other way round, or else takes the fewest edits; empty if
/// there is none.
pub(super) fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> &'static str {
    let spelling = |word: &str| word.to_ascii_lowercase().replace('_', "");
    let word: String = spelling(word).chars().take(WORD_CHARS_MAX).collect();
    let edits = |known: &&str| {
        let known = spelling(known);
        (!known.starts_with(&word) && !word.starts_with(&known), levenshtein(&word, &known))
    };
    known.min_by_key(edits).unwrap_or_default()
}

/// The word on one line, shortened.
pub(super) fn repeated(word: &str) -> String {
    word.chars().take(WORD_CHARS_MAX).flat_map(char::escape_debug).collect()
}
