//! The broker user of an agent: what it is called, and what it may do.

use crate::base::{AccountName, Error, HostName, Queueloc, Result};
use crate::domain::accounts::{Grant, Owner, Terms, TopicGrant};
use crate::ports::broker::Access;
use crate::proto::relay_profile::{Agents, ExchangeType};

/// What stands before a location in the name of its queue, and in its routing key (mig.md 1.1).
pub const QUEUE_PREFIX: &str = "mig.agt.";
/// The routing keys that agents send to.
const SENDS: &str = r"^mig\.agt\.(heartbeats|results)$";

/// Who owns the account of a host's agent.
pub(super) fn owner(host: &HostName) -> Owner {
    Owner::Agent(host.to_string())
}

/// What the account of a host's agent is called.
pub(super) fn name(agents: &Agents, host: &HostName) -> Result<AccountName> {
    AccountName::parse(&format!("{}{host}", agents.account_prefix))
        .map_err(|_| Error::conflict("the name of this host is too long for the name of an account"))
}

/// What an agent may do: what one does, and nothing with any other's queue (the table in mig.md, 3). Where the exchanges are
/// direct ones, no broker can keep it from binding its queue to another's routing key.
pub(super) fn terms(agents: &Agents, queueloc: &Queueloc) -> Terms {
    let queue = escaped(&format!("{QUEUE_PREFIX}{queueloc}"));
    let either = |exchange: &str| format!("^({}|{queue})$", escaped(exchange));
    let own = format!("^{queue}$");
    let access = Access { configure: own.clone(), write: either(&agents.sends_to), read: either(&agents.takes_from) };
    let topics = match agents.exchange_type {
        ExchangeType::Direct => Vec::new(),
        ExchangeType::Topic if agents.sends_to == agents.takes_from => {
            vec![TopicGrant { exchange: agents.sends_to.clone(), write: SENDS.to_owned(), read: own }]
        }
        ExchangeType::Topic => vec![
            TopicGrant { exchange: agents.sends_to.clone(), write: SENDS.to_owned(), read: NOTHING.to_owned() },
            TopicGrant { exchange: agents.takes_from.clone(), write: NOTHING.to_owned(), read: own },
        ],
    };
    Terms { grants: vec![Grant { topics, ..Grant::new(agents.vhost.clone(), access) }], ..Terms::default() }
}

/// A pattern that fits nothing.
const NOTHING: &str = "^$";

/// A pattern that fits just this text.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if letter.is_ascii_punctuation() && letter != '_' {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}
