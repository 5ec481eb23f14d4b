//! What is stored of an account: whose it is, what its user should be, and how far each broker is known to have that.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::site::Site;
use crate::base::{AccountName, NamespaceName, SiteName, VhostName};
use crate::ports::broker::{self, Access, TopicAccess};
use crate::store::{Sealed, Table};

pub(super) const ACCOUNTS: Table<AccountName, Account> = Table::audited("accounts");

/// For the mark that an account is about to be told to a broker, which is no change that anybody needs an entry for.
pub(super) const MARKED: Table<AccountName, Account> = Table::plain("accounts");

/// What a broker user should be, and how far we know that it is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Account {
    pub owner: Owner,
    pub login: Login,
    pub terms: Terms,
    /// Counts the wishes.
    pub wish: u64,
    /// The wish that changed the terms last. A broker that has carried out this one lacks a login at most.
    pub terms_wish: u64,
    /// The last wish that each broker is known to have carried out. Zero: it may have been told something.
    ///
    /// **Invariant:** a broker that is not in here was never told of this account: a user of its name there is somebody
    /// else's.
    pub settled: BTreeMap<SiteName, u64>,
    /// What was taken away and is there until all brokers are told.
    #[serde(default, skip_serializing_if = "Leaving::is_empty")]
    pub leaving: Leaving,
}

/// Who may change an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// It is one of the two users of this namespace.
    Namespace(NamespaceName),
    /// It is one of the two that we are to the broker. Their names were drawn by us.
    Administrator,
    /// A relay declares it.
    Relay(String),
    /// It is the login of this agent.
    Agent(String),
    /// Somebody else made it, and an operator has it watched.
    Adopted,
}

impl Owner {
    /// Whether its accounts are at this broker: those of namespaces are everywhere.
    pub(super) fn is_at(&self, site: &Site) -> bool {
        site.is_main() || matches!(self, Self::Namespace(_))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) => write!(f, "the namespace `{name}`"),
            Self::Administrator => f.write_str("keylender itself"),
            Self::Relay(name) => write!(f, "the relay `{name}`"),
            Self::Agent(id) => write!(f, "the agent `{id}`"),
            Self::Adopted => f.write_str("somebody else, and was adopted"),
        }
    }
}

/// How a user logs in, if it should be there at all.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Login {
    /// With this password.
    Password(Sealed),
    /// Not at all.
    Locked,
    /// There should be no such user. The record goes when no broker has one.
    Gone,
    /// With a password that only the broker knows. It is never written, and neither are the tags that go with it.
    Kept,
}

/// What a user should be, whatever its login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Its tags, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The vhosts it may enter, and what it may do there; each vhost once.
    pub grants: Vec<Grant>,
    /// How much of the broker it may use.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// What happens when the broker has it otherwise.
    #[serde(default, skip_serializing_if = "OnDrift::is_repair")]
    pub on_drift: OnDrift,
}

impl Terms {
    /// The same for a broker. A further one has users of namespaces only, and these may enter one vhost.
    pub(super) fn at(&self, site: &Site) -> Cow<'_, Self> {
        let Some(vhost) = &site.vhost else { return Cow::Borrowed(self) };
        let mut terms = self.clone();
        terms.grants.iter_mut().for_each(|grant| grant.vhost = vhost.clone());
        Cow::Owned(terms)
    }
}

/// What a user may do in a vhost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Where.
    pub vhost: VhostName,
    /// What.
    #[serde(with = "StoredAccess")]
    pub access: Access,
    /// With which routing keys, for the topic exchanges that are named here. Others are free.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicGrant>,
}

impl Grant {
    /// Without a word on topics.
    pub fn new(vhost: VhostName, access: Access) -> Self {
        Self { vhost, access, topics: Vec::new() }
    }
}

/// Which routing keys a user may use with a topic exchange: two regular expressions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TopicGrant {
    /// The exchange.
    pub exchange: String,
    /// Those it may publish with.
    pub write: String,
    /// Those it may bind with.
    pub read: String,
}

impl TopicGrant {
    /// As the broker is told.
    pub(super) fn access(&self) -> TopicAccess {
        TopicAccess { exchange: self.exchange.clone(), write: self.write.clone(), read: self.read.clone() }
    }
}

/// How much of a broker a user may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Connections at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Channels at once, over all connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_channels: Option<u32>,
}

impl Limits {
    /// As the broker is told.
    pub(super) fn to_broker(self) -> broker::Limits {
        broker::Limits { max_connections: self.max_connections, max_channels: self.max_channels }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens when a broker has an account otherwise than wished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDrift {
    /// It is told again.
    #[default]
    Repair,
    /// It is said, and left as it is until the next wish.
    Report,
}

impl OnDrift {
    fn is_repair(&self) -> bool {
        *self == Self::Repair
    }
}

/// What the terms before had and the present ones have not.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Leaving {
    /// Vhosts with something to take away: all of it, unless there is a grant still.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vhosts: Vec<VhostName>,
    /// Whether there were other limits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limits: bool,
}

impl Leaving {
    pub(super) fn is_empty(&self) -> bool {
        self.vhosts.is_empty() && !self.limits
    }

    fn note(&mut self, before: &Terms, now: &Terms) {
        for old in &before.grants {
            let new = now.grants.iter().find(|grant| grant.vhost == old.vhost);
            let has = |topic: &TopicGrant| {
                new.is_some_and(|grant| grant.topics.iter().any(|other| other.exchange == topic.exchange))
            };
            if (new.is_none() || !old.topics.iter().all(has)) && !self.vhosts.contains(&old.vhost) {
                self.vhosts.push(old.vhost.clone());
            }
        }
        self.limits |= before.limits != now.limits;
    }
}

impl Account {
    /// Whether this broker is known to be as we wish.
    pub(super) fn is_settled_at(&self, site: &Site) -> bool {
        !self.owner.is_at(site) || self.settled.get(&site.name) == Some(&self.wish)
    }

    /// Whether this broker is known to have the terms as wished, so that at most the login is new.
    pub(super) fn terms_are_settled_at(&self, site: &SiteName) -> bool {
        self.settled.get(site).is_some_and(|settled| *settled >= self.terms_wish)
    }

    /// A new wish with these terms.
    pub(super) fn take_terms(&mut self, terms: Terms) {
        self.wish += 1;
        if self.terms != terms {
            self.leaving.note(&self.terms, &terms);
            self.terms_wish = self.wish;
            self.terms = terms;
        }
    }

    /// Everything is told to all brokers again.
    pub(super) fn tell_again(&mut self) {
        self.wish += 1;
        self.terms_wish = self.wish;
    }

    /// Everything is told to this broker again, and nothing to those that know it already.
    pub(super) fn tell_again_at(&mut self, site: &SiteName) {
        let before = self.wish;
        self.tell_again();
        for (_, settled) in self.settled.iter_mut().filter(|(other, settled)| *other != site && **settled == before) {
            *settled = self.wish;
        }
    }
}

/// The same records, as far as every claim looks at them: whether a broker has them, and the password.
pub(super) const SETTLED: Table<AccountName, Settled> = Table::audited("accounts");

#[derive(Debug, Deserialize)]
pub(super) struct Settled {
    pub login: Login,
    pub terms: Entered,
    wish: u64,
    settled: BTreeMap<SiteName, u64>,
}

/// Of the terms, where it may go.
#[derive(Debug, Deserialize)]
pub(super) struct Entered {
    pub grants: Vec<Place>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Place {
    pub vhost: VhostName,
}

impl Settled {
    pub(super) fn is_settled_at(&self, site: &Site) -> bool {
        self.settled.get(&site.name) == Some(&self.wish)
    }
}

/// And as far as they are counted.
pub(super) const MARKS: Table<AccountName, Marks> = Table::audited("accounts");

#[derive(Deserialize)]
pub(super) struct Marks {
    owner: OwnerKind,
    pub login: LoginKind,
    pub wish: u64,
    pub settled: BTreeMap<SiteName, u64>,
}

impl Marks {
    /// Whether this broker is known to be as we wish; `None` when nothing of it should be there.
    pub(super) fn is_settled_at(&self, site: &Site) -> Option<bool> {
        let is_there = site.is_main() || matches!(self.owner, OwnerKind::Namespace(_));
        is_there.then(|| self.settled.get(&site.name) == Some(&self.wish))
    }
}

/// Whose an account is, without the name.
#[derive(Deserialize)]
enum OwnerKind {
    Namespace(IgnoredAny),
    Administrator,
    Relay(IgnoredAny),
    Agent(IgnoredAny),
    Adopted,
}

/// How a user logs in, without the password.
#[derive(Deserialize)]
pub(super) enum LoginKind {
    Password(IgnoredAny),
    Locked,
    Gone,
    Kept,
}

/// As broker and store are strangers, the form in which the one's word lies in the other.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Access")]
struct StoredAccess {
    configure: String,
    write: String,
    read: String,
}
