//! Why a signed request is not believed.

use std::borrow::Cow;
use std::fmt;

use crate::base::Error;

/// The answer to a signature that does not hold, in the words of Taskcluster's auth service (taskcluster.md 1.1
/// and 2.3; vector group `authenticate_hawk`). The words go to the caller: they never hold an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Cow<'static, str>);

impl Refusal {
    /// A refusal with a message for the caller.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(message.into())
    }

    /// The message, exactly as the auth service words it where that is recorded.
    pub fn message(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::unauthenticated(refusal.0).with_code("AuthenticationFailed")
    }
}
