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
