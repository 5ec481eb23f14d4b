//! The nearest name to one that is not in the list of settings.

use strsim::levenshtein;

use super::list::{LATER, flags};

/// How much of an unknown name is compared; no known one is half as long.
const NAME_LEN_MAX: usize = 64;

/// The known name that takes the fewest edits, letter case and dashes aside. A name spelt like a flag counts too, as in
/// `RABBIT_URL`.
pub(super) fn nearest(name: &str) -> &'static str {
    let known = flags().flat_map(|flag| [(flag.name, flag.name), (flag.flag, flag.name)]);
    let known = known.chain(LATER.iter().map(|later| (*later, *later)));
    nearest_of(name, known)
}

/// The same among others; each is what stands beside it.
pub(super) fn nearest_of<'k>(name: &str, known: impl Iterator<Item = (&'k str, &'static str)>) -> &'static str {
    let spelling = |text: &str| text.to_ascii_uppercase().replace('-', "_");
    let name: String = spelling(name).chars().take(NAME_LEN_MAX).collect();
    known.min_by_key(|(known, _)| levenshtein(&name, &spelling(known))).map(|(_, name)| name).unwrap_or_default()
}
