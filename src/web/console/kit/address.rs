//! Addresses of pages, with what their query asks for.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::session::Session;

/// Name of the query parameter that says which audit entry was just made.
pub const ENTRY: &str = "entry";

/// What is escaped in an address: all but what never needs it (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of this page with some parameters changed; those with an empty value are left out.
pub fn address(session: &Session, changes: &[(&str, &str)]) -> String {
    let kept = session.queries().iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
    let pairs: Vec<String> = kept
        .chain(changes.iter().copied())
        .filter(|(name, value)| !value.is_empty() && *name != "export")
        .chain(changes.iter().copied().filter(|(name, value)| !value.is_empty() && *name == "export"))
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    if pairs.is_empty() { session.path.clone() } else { format!("{}?{}", session.path, pairs.join("&")) }
}

/// A text as one value in an address.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
