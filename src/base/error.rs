//! One error for the whole product, named by what its reader can do next.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What the caller can do about an error. `web/error.rs` holds the only mapping to status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Correct the request.
    Invalid,
    /// Present other credentials.
    Unauthenticated,
    /// Ask for more rights.
    Forbidden,
    /// Ask for something that exists.
    NotFound,
    /// Look at the present state, then decide again.
    Conflict,
    /// Ask again a little later: a limit was reached.
    Busy,
    /// Ask less often, and again after the time that the error says.
    Limited,
    /// Ask again later: a neighbour is away.
    Unavailable,
    /// Report it: the fault is ours.
    Internal,
}

/// The result of everything that can fail below `cli`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with a message for the caller and a source chain for the operator.
///
/// **Invariant:** `message` holds no secret and no path of this host; causes belong into the source.
pub struct Error {
    kind: Kind,
    code: Option<&'static str>,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of the given kind with a message for the caller.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), retry_after: None, source: None }
    }

    /// The request is wrong; the message says what was expected.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// The credentials were not accepted.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, message)
    }

    /// The credentials do not reach this far.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// It is there already, or in another state.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// A limit was reached.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(Kind::Busy, message)
    }

    /// The caller asks too often; `after` is how long to wait.
    pub fn limited(message: impl Into<String>, after: Duration) -> Self {
        Self { retry_after: Some(after), ..Self::new(Kind::Limited, message) }
    }

    /// A neighbour (broker, authority, disk) is away; `message` names it.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// A fault of ours; `doing` is what we were doing, for the log.
    pub fn internal(doing: impl Into<String>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, doing).because(source)
    }

    /// Adds the cause, which only the log shows.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the stable code of a wire protocol (`InsufficientScopes`, …; taskcluster.md 5.3).
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The same error for another reader, who can do something else about it.
    #[must_use]
    pub fn into_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The same error with other words for the caller, made of its own.
    #[must_use]
    pub fn reworded(self, words: impl FnOnce(String) -> String) -> Self {
        Self { message: words(self.message), ..self }
    }

    /// What the caller can do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The stable code, where the protocol has one.
    pub fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// How long to wait before asking again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The message for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Message and all causes in one line, for the log and for the terminal.
    pub fn chain(&self) -> String {
        let mut line = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
