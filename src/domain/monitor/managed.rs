//! What at the broker is ours to touch. A plan can hold nothing else, because nothing else has these types.

use std::fmt;

use crate::base::{AccountName, NamespaceName};
use crate::domain::namespaces::{Config, Slot};
use crate::ports::broker::Connection;

/// Exchanges that begin with it are the broker's own, whatever the prefixes say.
const BROKERS_OWN: &str = "amq.";
/// What follows the namespace in the names of its two users.
const SLOTS: [(&str, Slot); 2] = [("-1", Slot::First), ("-2", Slot::Second)];

/// How names of ours begin (interface.md, section 1).
#[derive(Clone, Debug)]
pub struct Prefixes {
    /// Before the namespace in the names of queues.
    pub queue: String,
    /// Before the namespace in the names of exchanges.
    pub exchange: String,
    /// Every namespace begins with it. When it is empty nothing is ours, for everything would be.
    pub namespace: String,
    /// Before the namespace in the names of users.
    pub username: String,
}

/// What a managed name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    Queue,
    Exchange,
}

/// The name of a queue or an exchange of ours.
///
/// **Invariant:** it reads `<prefix of its sort><namespace>/…`, and the namespace begins with the prefix of all
/// namespaces. Only [`Prefixes`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Managed {
    sort: Sort,
    name: String,
    namespace: NamespaceName,
}

/// A connection of a user of ours, with the same invariant for the name of its user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManagedConnection {
    name: String,
    user: AccountName,
    slot: Slot,
    namespace: NamespaceName,
}

impl Prefixes {
    /// How the names of these namespaces begin.
    pub(super) fn of(namespaces: &Config) -> Self {
        let Config { queue_prefix, exchange_prefix, namespace_prefix, username_prefix, .. } = namespaces.clone();
        Self { queue: queue_prefix, exchange: exchange_prefix, namespace: namespace_prefix, username: username_prefix }
    }

    /// The queue of this name, if it is ours.
    pub fn queue(&self, name: &str) -> Option<Managed> {
        self.managed(Sort::Queue, &self.queue, name)
    }

    /// The exchange of this name, if it is ours.
    pub fn exchange(&self, name: &str) -> Option<Managed> {
        self.managed(Sort::Exchange, &self.exchange, name)
    }

    /// The connection, if its user is ours.
    pub fn connection(&self, connection: &Connection) -> Option<ManagedConnection> {
        let user = connection.user.strip_prefix(self.username.as_str())?;
        let (namespace, slot) = SLOTS.iter().find_map(|(end, slot)| Some((user.strip_suffix(end)?, *slot)))?;
        Some(ManagedConnection {
            namespace: self.namespace(namespace)?,
            name: connection.name.clone(),
            user: AccountName::parse(&connection.user).ok()?,
            slot,
        })
    }

    fn managed(&self, sort: Sort, prefix: &str, name: &str) -> Option<Managed> {
        let (namespace, _) = name.strip_prefix(prefix)?.split_once('/')?;
        let namespace = self.namespace(namespace)?;
        (!name.starts_with(BROKERS_OWN)).then(|| Managed { sort, name: name.to_owned(), namespace })
    }

    fn namespace(&self, text: &str) -> Option<NamespaceName> {
        let is_ours = !self.namespace.is_empty() && text.starts_with(&self.namespace);
        if is_ours { NamespaceName::parse(text).ok() } else { None }
    }
}

impl Managed {
    /// Whether it is a queue or an exchange.
    pub fn sort(&self) -> Sort {
        self.sort
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn namespace(&self) -> &NamespaceName {
        &self.namespace
    }
}

impl ManagedConnection {
    /// The broker's name for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn user(&self) -> &AccountName {
        &self.user
    }

    /// Which of the two users of its namespace that is.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    pub fn namespace(&self) -> &NamespaceName {
        &self.namespace
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "queue",
            Self::Exchange => "exchange",
        })
    }
}
