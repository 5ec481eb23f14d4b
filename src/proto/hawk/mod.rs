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

/// A request of which we want to know who sent it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The method, in any letter case.
    pub method: &'a str,
    /// The request target exactly as transmitted.
    pub resource: &'a str,
    /// The host that was signed, see [`host::signed_authority`].
    pub host: &'a str,
    /// The port that was signed.
    pub port: u16,
    /// The `Authorization` header, if there is one.
    pub authorization: Option<&'a str>,
}
