//! The nearest name to one that is not in the list of settings.

use super::list::{LATER, flags};
use crate::base::text;

/// The nearest known name. A name spelt like a flag counts too, as in `RABBIT_URL`.
pub(super) fn nearest(name: &str) -> &'static str {
    let spelt = || {
        let known = flags().flat_map(|flag| [(flag.name, flag.name), (flag.flag, flag.name)]);
        known.chain(LATER.iter().map(|later| (*later, *later)))
    };
    let found = text::nearest(name, spelt().map(|(spelling, _)| spelling));
    spelt().find(|(spelling, _)| *spelling == found).map(|(_, name)| name).unwrap_or_default()
}
