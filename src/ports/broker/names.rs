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

/// The pattern that only this name fits, as Erlang's regular expressions of every version read it.
pub(super) fn exactly(name: &str) -> String {
    let escaped = name.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            text.push('\\');
        }
        text.push(c);
        text
    });
    format!("^{escaped}$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_of_a_name_means_nothing_else() {
        assert_eq!(exactly("queue/ns/a.b-ü+"), r"^queue\/ns\/a\.b\-ü\+$");
    }
}
