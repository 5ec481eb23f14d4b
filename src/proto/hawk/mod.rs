//! Hawk as Taskcluster uses it: SHA-256, `header` and `bewit` only (taskcluster.md 1).

pub mod bewit;
pub mod header;
pub mod host;
pub mod mac;

pub use bewit::Bewit;
pub use header::Header;
pub use mac::Target;

/// The characters of an attribute value (taskcluster.md 1.1). Neither `"` nor `\`, so nothing is ever escaped,
/// and no control characters, so a value cannot forge a line of the signed text.
fn is_value(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\')
}
