//! Names that the broker's API can reach.

use crate::base::{Error, Result};

/// Refuses the names that a URL cannot express: the empty one, `.` and `..` (rabbitmq.md 2.1).
pub(super) fn require_reachable(name: &str) -> Result<()> {
    match name {
        "" | "." | ".." => Err(Error::invalid("the broker's API cannot reach this name")),
        _ => Ok(()),
    }
}

/// Refuses the broker's own exchanges. It would refuse, too, in the words it has for a missing right of ours.
pub(super) fn require_deletable_exchange(name: &str) -> Result<()> {
    if name.starts_with("amq.") {
        return Err(Error::forbidden("exchanges named amq.* belong to the broker"));
    }
    require_reachable(name)
}

/// The same for the name of something that we declare. Carriage returns and line feeds are lost when it is declared, so that it
/// would come back under another name.
pub(super) fn require_declarable(name: &str) -> Result<()> {
    if name.contains(['\r', '\n']) {
        return Err(Error::invalid("the broker drops line ends from names"));
    }
    if name.starts_with("amq.") {
        return Err(Error::forbidden("names that begin with amq. belong to the broker"));
    }
    require_reachable(name)
}
