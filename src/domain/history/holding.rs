//! What somebody held: an interval.

use crate::base::Timestamp;

/// What kind of thing is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldingKind {
    /// A password of a namespace.
    Namespace,
    /// Temporary credentials of a host.
    Host,
    Client,
    /// A password of an account of the relay.
    Relay,
    /// A password of an agent's account.
    Agent,
    /// A session of the task proxy.
    Proxy,
}

impl HoldingKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Host => "host",
            Self::Client => "client",
            Self::Relay => "relay",
            Self::Agent => "agent",
            Self::Proxy => "proxy",
        }
    }
}

/// Why somebody does not hold something any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was replaced by another one.
    Replaced,
    /// It was removed, or refused.
    Removed,
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub kind: HoldingKind,
    /// The namespace, host, client, account or session; of an agent, its host.
    pub object: String,
    /// The broker user, the client id of a host's credentials, or the task of a session.
    pub part: String,
    /// Who, as the audit log names them.
    pub holder: String,
    /// At which address; unknown for users of this host, and in entries of earlier versions.
    pub from: Option<String>,
    pub since: Timestamp,
    /// When it was lent last.
    pub last: Timestamp,
    /// Until when, and why no longer; `None` while it is held.
    pub until: Option<(Timestamp, End)>,
}
