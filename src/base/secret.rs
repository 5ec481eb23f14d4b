//! A string that must not be seen: not in logs, not in clear in the store, not by timing.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::slugid;

/// A secret text. It has no `Serialize`, `Debug` hides it, comparison takes constant time, and dropping wipes it.
///
/// A stored record cannot hold one; it holds what `WriteTx::seal` makes of it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text that came from outside.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// A fresh password: one random slugid (122 random bits), as the ancestor's (taskcluster.md 6.2, 9).
    pub fn generate() -> Self {
        Self::new(slugid::v4(random()))
    }

    /// A fresh access token or certificate seed: two random slugids, 44 characters (taskcluster.md 2.1, 2.2).
    pub fn generate_long() -> Self {
        Self::new(slugid::v4(random()) + &slugid::v4(random()))
    }

    /// The text itself, for the one place that must hand it on. Name no variable after it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Sixteen bytes from the operating system's generator.
#[expect(clippy::disallowed_methods, reason = "the one place that draws randomness for secrets")]
fn random() -> [u8; 16] {
    rand::random()
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
