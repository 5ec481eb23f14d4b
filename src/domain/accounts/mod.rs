//! Broker users we answer for. What each should be is a record; `settle` makes it so; `reconcile` makes sure.
//!
//! **Invariant:** this module is the only code that changes broker users and permissions, and an account is changed only
//! by the owner that its record names.

mod administrator;
mod adopted;
mod batch;
mod counts;
mod drift;
mod follow;
pub mod held;
mod keyed_locks;
mod owned;
mod pair;
mod record;
mod resync;
mod rights;
mod settle;
mod site;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{AccountName, Error, Result, Secret, VhostName};
use crate::ports::amqp::AmqpDoor;
use crate::ports::broker::{self, Handle, Users};
use crate::store::{Cached, Store, WriteTx};

pub use administrator::{Administrator, AdministratorStatus, NAME_PREFIX, Rotated, TAG};
pub use batch::{Batch, IN_HAND};
pub use counts::{AccountCounts, AccountStatus};
pub use drift::{Drift, Reconciled};
pub use keyed_locks::KeyedLocks;
pub use owned::{Census, Owned};
pub use pair::{Begun, Pair, Slot};
pub use record::{Grant, Limits, OnDrift, Owner, Terms, TopicGrant};
pub use settle::REFUSED;

use record::{ACCOUNTS, Account, Login, SETTLED, Settled};
use site::Site;

/// How passwords are proven by a login.
#[derive(Clone)]
pub struct Probe {
    /// Where users log in.
    pub door: AmqpDoor,
    /// Whether each new password is proven before it is handed out, because the operator asked for that.
    pub always: bool,
}

/// What a broker user should be from now on.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Who wishes it, and may change it later.
    pub owner: Owner,
    /// How it logs in.
    pub login: LoginWish,
    /// What it may do.
    pub terms: Terms,
}

/// How a user should log in.
#[derive(Clone, Debug)]
pub enum LoginWish {
    /// With this password.
    Password(Secret),
    /// Not at all.
    Locked,
    /// As it does: somebody else made it, and keeps its password. Such a wish takes a user up that is none of ours yet.
    Kept,
}

/// The broker users we answer for.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    /// **Invariant:** the first is the main one.
    sites: Arc<[Site]>,
    /// None while no broker is configured.
    /// Shared, so that a clone copies no key of a certificate.
    probe: Option<Arc<Probe>>,
    counts: Cached<AccountCounts>,
}

impl Accounts {
    /// While no broker is configured wishes are kept and answered with `Unavailable`.
    pub fn new(store: Store, users: Handle<dyn Users>, probe: Option<Probe>) -> Self {
        Self { store, sites: [Site::main(users)].into(), probe: probe.map(Arc::new), counts: Cached::default() }
    }

    /// The same, with brokers that have the users of namespaces besides.
    pub fn also_at(self, further: impl IntoIterator<Item = broker::Site<dyn Users>>) -> Self {
        let main = Site::main(self.main().users.clone());
        Self { sites: [main].into_iter().chain(further.into_iter().map(Site::further)).collect(), ..self }
    }

    /// The broker that decides what is lent.
    fn main(&self) -> &Site {
        &self.sites[0]
    }

    /// Those that get what it has.
    fn further(&self) -> &[Site] {
        &self.sites[1..]
    }

    /// Whether there is a broker to bring accounts to.
    pub fn has_broker(&self) -> bool {
        self.main().users.is_some()
    }

    /// Writes down what an account should be. The caller's audit entry covers it; `settle` makes it true.
    ///
    /// # Errors
    /// `Conflict` when it is somebody else's.
    pub fn wish(&self, tx: &mut WriteTx<'_, '_>, name: &AccountName, wish: Wish) -> Result<()> {
        let before = tx.get(&ACCOUNTS, name)?;
        let login = match &wish.login {
            LoginWish::Password(password) => Login::Password(tx.seal(&ACCOUNTS, name, password)?),
            LoginWish::Locked => Login::Locked,
            LoginWish::Kept => Login::Kept,
        };
        let mut account = match before {
            Some(mut before) => {
                require_owner(name, &before, &wish.owner)?;
                // The user may have to be made again, or differ in a way that was only reported.
                let is_doubtful = matches!(before.login, Login::Gone) || before.terms.on_drift == OnDrift::Report;
                before.take_terms(wish.terms);
                if is_doubtful {
                    before.terms_wish = before.wish;
                }
                Account { login, ..before }
            }
            None => Account {
                owner: wish.owner,
                login,
                terms: wish.terms,
                wish: 1,
                terms_wish: 1,
                settled: BTreeMap::new(),
                leaving: Default::default(),
            },
        };
        if matches!(account.login, Login::Kept) {
            // Whose it was is no question: it was asked for.
            for site in self.sites.iter().filter(|site| account.owner.is_at(site)) {
                account.settled.entry(site.name.clone()).or_insert(0);
            }
        }
        tx.put(&ACCOUNTS, name, &account)
    }

    /// Writes down that an account should not be. The caller's audit entry covers it; `settle` deletes the user, which
    /// closes its connections, and then the record. A user whose login is kept stays as it is: nothing but the record was
    /// ours.
    ///
    /// # Errors
    /// `Conflict` when it is somebody else's.
    pub fn remove(&self, tx: &mut WriteTx<'_, '_>, name: &AccountName, owner: &Owner) -> Result<()> {
        let Some(mut account) = tx.get(&ACCOUNTS, name)? else { return Ok(()) };
        require_owner(name, &account, owner)?;
        if matches!(account.login, Login::Kept) {
            tx.delete(&ACCOUNTS, name);
            return Ok(());
        }
        account.login = Login::Gone;
        account.wish += 1;
        tx.put(&ACCOUNTS, name, &account)
    }

    /// Gives an account the terms that the settings say today, with the login it has. True when that is a change, which
    /// the caller's audit entry covers.
    ///
    /// # Errors
    /// `Conflict` when it is somebody else's.
    pub fn adjust(&self, tx: &mut WriteTx<'_, '_>, name: &AccountName, owner: &Owner, terms: &Terms) -> Result<bool> {
        let Some(mut account) = tx.get(&ACCOUNTS, name)? else { return Ok(false) };
        require_owner(name, &account, owner)?;
        if account.terms == *terms || matches!(account.login, Login::Gone) {
            return Ok(false);
        }
        account.take_terms(terms.clone());
        tx.put(&ACCOUNTS, name, &account)?;
        Ok(true)
    }

    /// Writes down that an account logs in in another way, with the terms that it has. False when there is none, or when it
    /// should be gone. The caller's audit entry covers it.
    ///
    /// # Errors
    /// `Conflict` when it is somebody else's.
    pub fn wish_login(
        &self,
        tx: &mut WriteTx<'_, '_>,
        name: &AccountName,
        owner: &Owner,
        login: LoginWish,
    ) -> Result<bool> {
        let account = tx.get(&ACCOUNTS, name)?.filter(|account| !matches!(account.login, Login::Gone));
        let Some(Account { terms, .. }) = account else { return Ok(false) };
        self.wish(tx, name, Wish { owner: owner.clone(), login, terms })?;
        Ok(true)
    }

    /// Forgets accounts of which no broker was ever told, so that there is nothing to take back; false when one was.
    pub fn forget_untold(&self, tx: &mut WriteTx<'_, '_>, names: &[AccountName], owner: &Owner) -> Result<bool> {
        for name in names {
            let Some(account) = tx.get(&ACCOUNTS, name)? else { continue };
            require_owner(name, &account, owner)?;
            if !account.settled.is_empty() {
                return Ok(false);
            }
        }
        names.iter().for_each(|name| tx.delete(&ACCOUNTS, name));
        Ok(true)
    }

    /// Whether there is a record of an account.
    pub fn exists(&self, tx: &WriteTx<'_, '_>, name: &AccountName) -> Result<bool> {
        Ok(tx.get(&SETTLED, name)?.is_some())
    }

    /// The password of an account and the vhost it may enter, if the main broker is known to accept them: `None` while it
    /// is not settled there. Nobody waits for the further ones.
    pub fn settled_login(&self, tx: &WriteTx<'_, '_>, name: &AccountName) -> Result<Option<(Secret, VhostName)>> {
        let Some(account) = tx.get(&SETTLED, name)?.filter(|account| account.is_settled_at(self.main())) else {
            return Ok(None);
        };
        let Settled { login: Login::Password(password), terms, .. } = account else { return Ok(None) };
        let Some(place) = terms.grants.into_iter().next() else { return Ok(None) };
        Ok(Some((tx.open(&ACCOUNTS, name, &password)?, place.vhost)))
    }

    /// The same for its owner, without a vhost, of which an account may have none.
    pub fn settled_password(&self, tx: &WriteTx<'_, '_>, name: &AccountName, owner: &Owner) -> Result<Option<Secret>> {
        let is_told = |account: &Account| account.owner == *owner && account.is_settled_at(self.main());
        let Some(Account { login: Login::Password(password), .. }) = tx.get(&ACCOUNTS, name)?.filter(is_told) else {
            return Ok(None);
        };
        tx.open(&ACCOUNTS, name, &password).map(Some)
    }

    /// Whether an account is this owner's, and should be there.
    pub fn owns(&self, tx: &WriteTx<'_, '_>, name: &AccountName, owner: &Owner) -> Result<bool> {
        let is_theirs = |account: Account| account.owner == *owner && !matches!(account.login, Login::Gone);
        Ok(tx.get(&ACCOUNTS, name)?.is_some_and(is_theirs))
    }

    /// Whether the main broker is known to be as we wish for this account.
    pub fn is_settled(&self, tx: &WriteTx<'_, '_>, name: &AccountName) -> Result<bool> {
        Ok(tx.get(&SETTLED, name)?.is_some_and(|account| account.is_settled_at(self.main())))
    }
}

/// Keeps an account from being changed by anybody but its owner.
fn require_owner(name: &AccountName, account: &Account, owner: &Owner) -> Result<()> {
    if account.owner == *owner {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "the broker user `{name}` belongs to {}: choose another name, or remove that first",
        account.owner
    )))
}
