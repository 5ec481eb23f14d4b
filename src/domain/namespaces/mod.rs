//! Namespaces on the message bus: who claims one is lent a broker user limited to it.

mod apply_settings;
mod claim;
mod connection_string;
mod edit;
mod expire;
mod for_monitor;
mod holders;
mod leases;
mod of_sessions;
mod owners;
mod record;
mod revoke;
mod rotate;
mod summary;
mod test_claim;
#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{
    AccountName, Error, MailAddress, NamespaceName, ProxySessionId, Result, Secret, SiteName, Span, Timestamp,
    VhostName,
};
pub use crate::domain::accounts::AccountCounts;
use crate::domain::accounts::{AccountStatus, Accounts, Grant, KeyedLocks, LoginWish, Owner, Terms, Wish};
use crate::ports::broker::{Access, Bus, Handle, Site};
use crate::store::{ReadTx, Store};

pub use crate::domain::accounts::Slot;
pub use claim::{Claim, Claimed};
pub use connection_string::Amqp;
pub use edit::NOTE_LEN_MAX;
pub use expire::{Expired, Which};
pub use for_monitor::MonitoredNamespace;
pub use holders::Holder;
pub use leases::{Connected, HeldBy, NamespaceLease};
pub use owners::OWNERS_MAX;
pub use record::Times;
pub use rotate::{Rotated, When};
pub use summary::{Outlook, Phase, Summary};
pub use test_claim::{TEST_CLAIM_LASTS, TestClaim};

use record::{LISTED, NAMESPACES, Namespace};

/// Namespaces rotated or removed side by side. The broker takes eight changes at a time; the others wait for the disk
/// meanwhile.
const WORKERS: usize = 64;
/// Namespaces that a loop changes in step and that share their commits, which cost most of what is not the broker's. With
/// two such parties one keeps the broker busy while the other waits for the disk.
const PARTY: usize = 32;

/// Longest page of a list; a larger limit is cut silently (taskcluster.md 6.2).
pub const PAGE_LEN_MAX: usize = 1000;

/// What the settings say of namespaces (interface.md, section 1).
#[derive(Clone, Debug)]
pub struct Config {
    /// Every namespace begins with it. Empty: any name will do.
    pub namespace_prefix: String,
    /// Before the namespace in the name of a broker user.
    pub username_prefix: String,
    pub user_tags: Vec<String>,
    /// What the users may do; `{{namespace}}` stands for the name.
    pub access: Access,
    /// How long a password is lent before the slots change places.
    pub rotation_interval: Span,
    /// How long after its `expires` a namespace is removed.
    pub expiration_delay: Duration,
    /// Before the namespace in the names of its queues.
    pub queue_prefix: String,
    /// Before the namespace in the names of its exchanges.
    pub exchange_prefix: String,
    /// How clients reach the broker.
    pub amqp: Amqp,
}

impl Config {
    /// The broker user of a slot: `<prefix><namespace>-1` or `-2` (taskcluster.md 6.2).
    fn account(&self, namespace: &NamespaceName, slot: Slot) -> Result<AccountName> {
        AccountName::parse(&format!("{}{namespace}-{}", self.username_prefix, u8::from(slot)))
    }

    /// What the users of this namespace may do.
    fn access(&self, namespace: &NamespaceName) -> Access {
        let fill = |template: &str| template.replace("{{namespace}}", namespace.as_str());
        Access {
            configure: fill(&self.access.configure),
            write: fill(&self.access.write),
            read: fill(&self.access.read),
        }
    }

    /// What a user of this namespace should be, with this password or without the right to log in.
    fn wish(&self, namespace: &NamespaceName, password: Option<Secret>) -> Wish {
        let login = password.map_or(LoginWish::Locked, LoginWish::Password);
        Wish { owner: Owner::Namespace(namespace.clone()), login, terms: self.terms(namespace) }
    }

    fn terms(&self, namespace: &NamespaceName) -> Terms {
        let grants = vec![Grant::new(self.amqp.vhost.clone(), self.access(namespace))];
        Terms { tags: self.user_tags.clone(), grants, ..Terms::default() }
    }

    /// Half a rotation: how long a password still works after the slots have changed places.
    fn grace(&self) -> Duration {
        self.rotation_interval.size() / 2
    }
}

/// The namespaces of this appliance.
#[derive(Clone)]
pub struct Namespaces {
    store: Store,
    accounts: Accounts,
    /// The brokers that have them. **Invariant:** the first is the main one, which decides what is lent.
    sites: Arc<[Site<dyn Bus>]>,
    config: Arc<Config>,
    /// Keeps two that clear the same namespace apart: the later one could meet its next owner.
    clearing: Arc<KeyedLocks>,
}

/// One page of the list.
pub struct Page {
    /// In the order of their names.
    pub namespaces: Vec<(NamespaceName, Times)>,
    /// The first name of the next page, when there is one.
    pub next: Option<NamespaceName>,
}

/// A namespace with its users, for operators.
#[derive(Clone, Debug)]
pub struct Detail {
    pub namespace: NamespaceName,
    /// When it was made and when it ends.
    pub times: Times,
    pub contact: Option<String>,
    /// Whom else to tell, as operators settled it.
    pub owners: Vec<MailAddress>,
    /// What operators should know of it.
    pub note: String,
    /// The session of the task proxy that it is lent to, and with which it ends.
    pub session: Option<ProxySessionId>,
    /// Where it is in its life.
    pub phase: Phase,
    /// The slot whose password is lent now.
    pub active: Slot,
    /// When the slots change places.
    pub next_rotation: Timestamp,
    /// Until when the active password was promised to work.
    pub promised_until: Timestamp,
    /// The same for the resting one; [`Timestamp::MIN`] when it never was.
    pub resting_until: Timestamp,
    pub accounts: Vec<AccountStatus>,
    /// When one of them was last seen connected, less up to ten minutes.
    pub last_connected: Option<Timestamp>,
}

/// One page of the list for operators.
pub struct Details {
    /// In the order of their names.
    pub namespaces: Vec<Detail>,
    /// The first name of the next page, when there is one.
    pub next: Option<NamespaceName>,
}

impl Namespaces {
    /// The namespaces in this store, with users in these accounts.
    pub fn new(store: Store, accounts: Accounts, bus: Handle<dyn Bus>, config: Config) -> Self {
        let main = Site { name: SiteName::main(), vhost: config.amqp.vhost.clone(), side: bus };
        Self { store, accounts, sites: [main].into(), config: config.into(), clearing: Arc::default() }
    }

    /// The same, with brokers that have them besides.
    pub fn also_at(self, further: impl IntoIterator<Item = Site<dyn Bus>>) -> Self {
        Self { sites: self.sites.iter().cloned().chain(further).collect(), ..self }
    }

    pub(in crate::domain) fn config(&self) -> &Config {
        &self.config
    }

    /// Where they are at the broker.
    pub(in crate::domain) fn vhost(&self) -> &VhostName {
        &self.config.amqp.vhost
    }

    /// What follows the vhost in connection strings.
    pub fn amqp_query(&self) -> &str {
        &self.config.amqp.query
    }

    /// How every namespace begins, as the operator settled.
    pub fn prefix(&self) -> &str {
        &self.config.namespace_prefix
    }

    /// The name, if it is one and begins as the operator settled. The messages are the ancestor's
    /// (vectors `pulse-param-*`).
    pub fn parse(&self, text: &str) -> Result<NamespaceName> {
        let name = NamespaceName::parse(text).map_err(|_| {
            Error::invalid(
                "Invalid namespace provided.  Namespaces must be at most 64 bytes and contain only [A-Za-z-0-9_:-]",
            )
        })?;
        let prefix = &self.config.namespace_prefix;
        if text.starts_with(prefix) {
            Ok(name)
        } else {
            Err(Error::invalid(format!("Invalid namespace provided.  Namespaces must begin with '{prefix}'")))
        }
    }

    /// What the users of a namespace may do in the vhost.
    pub fn access(&self, name: &NamespaceName) -> Access {
        self.config.access(name)
    }

    /// When a namespace was made and when it ends.
    pub fn times(&self, name: &NamespaceName) -> Result<Times> {
        self.store.read(|tx| tx.get(&LISTED, name))?.ok_or_else(|| no_such(name))
    }

    /// A page of at most `limit` namespaces, from a name upwards.
    pub async fn list(&self, from: Option<NamespaceName>, limit: usize) -> Result<Page> {
        let limit = limit.clamp(1, PAGE_LEN_MAX);
        let mut namespaces = self
            .store
            .survey(move |tx| tx.scan(&LISTED, from.as_ref().map_or(Bound::Unbounded, Bound::Included), limit + 1))
            .await?;
        let next = namespaces.get(limit).map(|(name, _)| name.clone());
        namespaces.truncate(limit);
        Ok(Page { namespaces, next })
    }

    /// Changes whenever the list does.
    pub fn version(&self) -> u64 {
        self.store.version(&LISTED)
    }

    /// A namespace with its users.
    pub fn detail(&self, name: &NamespaceName) -> Result<Detail> {
        self.store.read(|tx| {
            let namespace = tx.get(&NAMESPACES, name)?.ok_or_else(|| no_such(name))?;
            self.described(tx, name.clone(), namespace)
        })
    }

    /// A page of at most `limit` namespaces with their users, from a name upwards: all as they are at one moment.
    pub async fn details(&self, from: Option<NamespaceName>, limit: usize) -> Result<Details> {
        let (this, limit) = (self.clone(), limit.clamp(1, PAGE_LEN_MAX));
        let survey = self.store.survey(move |tx| {
            let from = from.as_ref().map_or(Bound::Unbounded, Bound::Included);
            let mut rows = tx.scan(&NAMESPACES, from, limit + 1)?;
            let next = rows.get(limit).map(|(name, _)| name.clone());
            rows.truncate(limit);
            let described = rows.into_iter().map(|(name, namespace)| this.described(tx, name, namespace));
            Ok(Details { namespaces: described.collect::<Result<_>>()?, next })
        });
        survey.await
    }

    fn described(&self, tx: &ReadTx<'_>, name: NamespaceName, namespace: Namespace) -> Result<Detail> {
        let mut accounts = Vec::new();
        for account in &namespace.accounts {
            accounts.extend(self.accounts.status(tx, account)?);
        }
        Ok(Detail {
            namespace: name,
            phase: summary::phase(namespace.expires, namespace.incoming, namespace.ending, tx.now()),
            times: Times { created: namespace.created, expires: namespace.expires },
            contact: namespace.contact,
            owners: namespace.owners,
            note: namespace.note,
            session: namespace.session,
            active: namespace.active,
            next_rotation: namespace.next_rotation,
            promised_until: namespace.promised_until,
            resting_until: namespace.resting_until,
            accounts,
            last_connected: leases::last_connected(tx, &namespace.accounts)?,
        })
    }

    /// How many namespaces there are.
    pub fn count(&self) -> Result<u64> {
        self.store.read(|tx| tx.count(&NAMESPACES))
    }
}

fn no_such(name: &NamespaceName) -> Error {
    Error::not_found(format!("namespace '{name}' does not exist")).with_code("ResourceNotFound")
}
