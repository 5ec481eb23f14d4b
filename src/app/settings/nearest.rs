//! The nearest name to one that is not in the list of settings.

use super::list::{LATER, flags};

/// How much of an unknown name is compared; no known one is half as long.
const NAME_LEN_MAX: usize = 64;

/// The known name that takes the fewest edits, letter case and dashes aside. A name spelt like a flag counts too, as in
/// `RABBIT_URL`.
pub(super) fn nearest(name: &str) -> &'static str {
    let spelling = |text: &str| text.to_ascii_uppercase().replace('-', "_");
    let name: String = spelling(name).chars().take(NAME_LEN_MAX).collect();
    let known = flags().flat_map(|flag| [(flag.name, flag.name), (flag.flag, flag.name)]);
    let known = known.chain(LATER.iter().map(|later| (*later, *later)));
    known.min_by_key(|(known, _)| edits(&name, &spelling(known))).map(|(_, name)| name).unwrap_or_default()
}

/// How many characters must be added, dropped or replaced to make one text of the other (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (left, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[left + 1];
            row[left + 1] = replaced.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[to.len()]
}
