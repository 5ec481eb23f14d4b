//! Addresses of pages, with what their query asks for.

use super::session::Session;
use crate::base::text::url_encoded;

/// Name of the query parameter that says which audit entry was just made.
pub const ENTRY: &str = "entry";

/// The address of this page with some parameters changed; those with an empty value are left out.
pub fn address(session: &Session, changes: &[(&str, &str)]) -> String {
    let kept = session.queries().iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
    let pairs: Vec<String> = kept
        .chain(changes.iter().copied())
        .filter(|(name, value)| !value.is_empty() && *name != "export")
        .chain(changes.iter().copied().filter(|(name, value)| !value.is_empty() && *name == "export"))
        .map(|(name, value)| format!("{}={}", url_encoded(name), url_encoded(value)))
        .collect();
    if pairs.is_empty() { session.path.clone() } else { format!("{}?{}", session.path, pairs.join("&")) }
}
