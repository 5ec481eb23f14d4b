//! Words that a person wrote, in what is said about them.

/// How much of an unknown word is repeated.
const WORD_CHARS_MAX: usize = 64;

/// The word on one line, shortened.
pub(super) fn repeated(word: &str) -> String {
    word.chars().take(WORD_CHARS_MAX).flat_map(char::escape_debug).collect()
}
