//! Users that somebody else made: taken up as they are, handed to whoever declares them, and given back. None of this changes
//! anything at a broker.

use std::collections::BTreeMap;

use super::record::{ACCOUNTS, Account, Login, MARKS};
use super::{Accounts, Grant, Limits, OnDrift, Owner, Terms, TopicGrant, require_owner};
use crate::base::{AccountName, Error, Result, SiteName, VhostName};
use crate::ports::broker::{self, Access, TopicAccess, User};
use crate::store::{ReadTx, WriteTx};

impl Accounts {
    /// The users of the main broker for whom nobody here answers, by name; those whose names are none of ours are left out.
    pub async fn strangers(&self) -> Result<Vec<AccountName>> {
        let users = self.main().users.get()?.users().await?;
        let names: Vec<AccountName> = users.iter().filter_map(|user| AccountName::parse(&user.name).ok()).collect();
        self.store.read(|tx| {
            let mut strangers = Vec::new();
            for name in names {
                if tx.get(&MARKS, &name)?.is_none() {
                    strangers.push(name);
                }
            }
            strangers.sort();
            Ok(strangers)
        })
    }

    /// What a user of the main broker may do for whom nobody here answers, to be only told when it changes.
    ///
    /// # Errors
    /// `NotFound` when there is no such user. `Conflict` when it is an account, or has rights that cannot be written down.
    pub async fn stranger(&self, name: &AccountName) -> Result<Terms> {
        self.store.read(|tx| require_stranger(name, tx.get(&ACCOUNTS, name)?))?;
        let found = self.look(self.main()).await?;
        let Some(User { tags, .. }) = found.users.get(name.as_str()) else {
            return Err(Error::not_found(format!("the broker has no user `{name}`")));
        };
        let mut grants = BTreeMap::new();
        for (vhost, access) in found.granted(name) {
            let vhost = readable(vhost)?;
            grants.insert(vhost.clone(), Grant::new(vhost, access.clone()));
        }
        for (vhost, topic) in found.topics_of(name) {
            let TopicAccess { exchange, write, read } = topic.clone();
            let grant = grants.get_mut(&readable(vhost)?).ok_or_else(|| {
                Error::conflict(format!(
                    "`{name}` has topic permissions in the vhost {vhost}, which it may not enter: clear them there first"
                ))
            })?;
            grant.topics.push(TopicGrant { exchange, write, read });
        }
        let broker::Limits { max_connections, max_channels } = found.limits_of(name);
        Ok(Terms {
            tags: tags.clone(),
            grants: grants.into_values().collect(),
            limits: Limits { max_connections, max_channels },
            on_drift: OnDrift::Report,
        })
    }

    /// Takes a user up that somebody else made, with the password and the terms that it has. The caller's audit entry covers
    /// it. The main broker is told nothing.
    ///
    /// # Errors
    /// `Conflict` when it is an account by now.
    pub fn adopt(&self, tx: &mut WriteTx<'_, '_>, name: &AccountName, terms: Terms) -> Result<()> {
        require_stranger(name, tx.get(&ACCOUNTS, name)?)?;
        let account = Account {
            owner: Owner::Adopted,
            login: Login::Kept,
            terms,
            wish: 1,
            terms_wish: 1,
            settled: BTreeMap::from([(SiteName::main(), 1)]),
            leaving: Default::default(),
        };
        tx.put(&ACCOUNTS, name, &account)
    }

    /// Hands an account to another owner, with other terms and the login it has. The caller's audit entry covers it; `settle`
    /// makes it true.
    ///
    /// # Errors
    /// `Conflict` when it is not of the former one.
    pub fn hand_over(
        &self,
        tx: &mut WriteTx<'_, '_>,
        name: &AccountName,
        [from, to]: [&Owner; 2],
        terms: Terms,
    ) -> Result<()> {
        let account = tx.get(&ACCOUNTS, name)?.filter(|account| !matches!(account.login, Login::Gone));
        let mut account = account.ok_or_else(|| Error::conflict(format!("`{name}` is given back or gone by now")))?;
        require_owner(name, &account, from)?;
        account.owner = to.clone();
        account.take_terms(terms);
        // What somebody changed meanwhile was only told.
        account.terms_wish = account.wish;
        tx.put(&ACCOUNTS, name, &account)
    }

    /// Gives a user back: nobody here answers for it any more, and it stays at the broker as it is. The caller's audit entry
    /// covers it.
    ///
    /// # Errors
    /// `Conflict` when it is somebody else's, or the broker was not told yet what is wished.
    pub fn release(&self, tx: &mut WriteTx<'_, '_>, name: &AccountName, owner: &Owner) -> Result<()> {
        let Some(account) = tx.get(&ACCOUNTS, name)? else { return Ok(()) };
        require_owner(name, &account, owner)?;
        let is_kept = matches!(account.login, Login::Kept);
        if !is_kept && !account.is_settled_at(self.main()) {
            return Err(Error::conflict(format!(
                "the broker was not told yet what `{name}` should be: try again when `reconcile` is through"
            )));
        }
        tx.delete(&ACCOUNTS, name);
        Ok(())
    }

    /// Whether an account has a password that only the broker knows.
    pub fn keeps_login(&self, tx: &WriteTx<'_, '_>, name: &AccountName) -> Result<bool> {
        Ok(tx.get(&ACCOUNTS, name)?.is_some_and(|account| matches!(account.login, Login::Kept)))
    }

    /// The same for whoever only reads.
    pub fn is_kept(&self, tx: &ReadTx<'_>, name: &AccountName) -> Result<bool> {
        Ok(tx.get(&ACCOUNTS, name)?.is_some_and(|account| matches!(account.login, Login::Kept)))
    }

    /// What an account should be, if there is one.
    pub fn terms(&self, tx: &ReadTx<'_>, name: &AccountName) -> Result<Option<Terms>> {
        Ok(tx.get(&ACCOUNTS, name)?.map(|account| account.terms))
    }
}

fn require_stranger(name: &AccountName, account: Option<Account>) -> Result<()> {
    match account {
        Some(account) => Err(Error::conflict(format!("the broker user `{name}` belongs to {} already", account.owner))),
        None => Ok(()),
    }
}

fn readable(vhost: &str) -> Result<VhostName> {
    VhostName::parse(vhost)
        .map_err(|error| Error::conflict(format!("the user may enter a vhost that cannot be written down: {error}")))
}

/// What a user may do, in a line: for people who are asked whether they want it.
impl Terms {
    /// A sentence for each thing it may do.
    pub fn sentences(&self) -> Vec<String> {
        let mut all = Vec::new();
        if !self.tags.is_empty() {
            all.push(format!("It has the tags {}.", self.tags.join(", ")));
        }
        for Grant { vhost, access: Access { configure, write, read }, topics } in &self.grants {
            let [configure, write, read] = [configure, write, read].map(|pattern| quoted(pattern));
            all.push(format!("In {vhost} it may configure {configure}, write {write}, read {read}."));
            all.extend(topics.iter().map(|TopicGrant { exchange, write, read }| {
                format!(
                    "In {vhost} its routing keys of `{exchange}` are: write {}, read {}.",
                    quoted(write),
                    quoted(read)
                )
            }));
        }
        let Limits { max_connections, max_channels } = self.limits;
        all.extend(max_connections.map(|most| format!("It may have {most} connections.")));
        all.extend(max_channels.map(|most| format!("It may have {most} channels.")));
        if all.is_empty() {
            all.push("It may do nothing.".into());
        }
        all
    }
}

/// An empty pattern fits nothing.
fn quoted(pattern: &str) -> String {
    if pattern.is_empty() { "nothing".to_owned() } else { format!("`{pattern}`") }
}
