//! Characters that cannot be seen, or that change how others are shown: what somebody else wrote is not shown with them.

use std::borrow::Cow;

/// How much of a word is repeated in what is said about it.
const QUOTED_CHARS_MAX: usize = 64;

/// Whether a character cannot be seen, or changes how others are shown: it moves the cursor of a terminal, turns the
/// direction of reading, or takes no room.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text with what cannot be seen written out, such as `\u{202e}`. Any other text is as it was.
pub fn written_out(text: &str) -> Cow<'_, str> {
    // Nearly every text: by bytes, many at once.
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) || !text.contains(is_invisible) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown.into()
}

/// A word in what is said about it: not all of it if it is long, and with what cannot be seen written out.
pub fn shortened(word: &str) -> String {
    let head: String = word.chars().take(QUOTED_CHARS_MAX).collect();
    let rest = if head.len() < word.len() { "…" } else { "" };
    format!("{}{rest}", written_out(&head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out_and_nothing_else() {
        for (text, shown) in [
            ("\u{1b}[2J\u{9b}2J\u{7f}", "\\u{1b}[2J\\u{9b}2J\\u{7f}"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u{202e}b\\u{2066}c\\u{200f}"),
            ("a\nb\tc\r", "a\\u{a}b\\u{9}c\\u{d}"),
            ("pay\u{200b}pal \u{feff}\u{e0041}", "pay\\u{200b}pal \\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(written_out(text), shown);
            assert_eq!(written_out(shown), shown, "once");
        }
        for text in ["", "queue/a/b c", "müller, 東京, עברית, 🦀", r"C:\users \u{41}"] {
            assert!(matches!(written_out(text), Cow::Borrowed(shown) if shown == text), "{text}");
        }
    }
}
