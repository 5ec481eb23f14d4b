//! Broker users we answer for. What each should be is a record; `settle` makes it so; `reconcile` makes sure.
//!
//! **Invariant:** this module is the only code that changes broker users and permissions.

mod administrator;
mod doubt;
mod drift;
mod rights;
mod settle;
mod turns;

use std::collections::HashSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::base::{AccountName, Result, Secret, VhostName};
use crate::ports::amqp::AmqpDoor;
use crate::ports::broker::{Access, Handle, Users};
use crate::store::{Cached, ReadTx, Sealed, Store, Survey, Table, WriteTx};

pub use administrator::{Administrator, NAME_PREFIX, Rotated, Shown, TAG};
pub use drift::Reconciled;
pub use turns::Turns;

const ACCOUNTS: Table<AccountName, Account> = Table::audited("accounts");

/// What a broker user should be, and how far we know that it is.
#[derive(Debug, Serialize, Deserialize)]
struct Account {
    login: Login,
    tags: Vec<String>,
    vhost: VhostName,
    configure: String,
    write: String,
    read: String,
    /// Counts the wishes.
    wish: u64,
    /// The last wish that the broker is known to have carried out.
    settled: u64,
    /// Whether the broker is known to have the access as wished, so that only the login is new.
    access_settled: bool,
}

/// How a user logs in, if it should be there at all.
#[derive(Debug, Serialize, Deserialize)]
enum Login {
    /// With this password.
    Password(Sealed),
    /// Not at all.
    Locked,
    /// There should be no such user. The record goes when the broker has none.
    Gone,
}

impl Account {
    fn is_settled(&self) -> bool {
        self.settled == self.wish
    }

    fn access(&self) -> Access {
        Access { configure: self.configure.clone(), write: self.write.clone(), read: self.read.clone() }
    }
}

/// The same records, as far as every claim looks at them: whether the broker has them, and the password.
const SETTLED: Table<AccountName, Settled> = Table::audited("accounts");

#[derive(Debug, Deserialize)]
struct Settled {
    login: Login,
    vhost: VhostName,
    wish: u64,
    settled: u64,
}

/// And as far as they are counted.
const MARKS: Table<AccountName, Marks> = Table::audited("accounts");

#[derive(Deserialize)]
struct Marks {
    login: LoginKind,
    wish: u64,
    settled: u64,
}

/// How a user logs in, without the password.
#[derive(Deserialize)]
enum LoginKind {
    Password(IgnoredAny),
    Locked,
    Gone,
}

/// How passwords are proven by a login.
#[derive(Clone)]
pub struct Probe {
    /// Where users log in.
    pub door: AmqpDoor,
    /// Whether each new password is proven before it is handed out, because the operator asked for that.
    pub always: bool,
}

/// How all accounts stand.
#[derive(Debug, Default)]
pub struct Stand {
    /// How many there are.
    pub count: u64,
    /// Of these, how many the broker is not known to have as wished.
    pub unsettled: u64,
    /// Those that cannot log in.
    pub unusable: HashSet<AccountName>,
}

/// What a broker user should be from now on.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The password it logs in with, or `None` for a user that cannot log in.
    pub password: Option<Secret>,
    /// Its tags, all of them.
    pub tags: Vec<String>,
    /// The one vhost it may enter.
    pub vhost: VhostName,
    /// What it may do there.
    pub access: Access,
}

/// How an account stands, for operators.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Standing {
    /// The broker user.
    pub account: AccountName,
    /// Whether it may log in.
    pub usable: bool,
    /// Whether the broker is known to be as we wish.
    pub settled: bool,
}

/// The broker users we answer for.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    broker: Handle<dyn Users>,
    /// None while no broker is configured.
    /// Shared, so that a clone copies no key of a certificate.
    probe: Option<Arc<Probe>>,
    /// Keeps two settlements of one account apart, because the later answer must be the later wish.
    settling: Arc<Turns>,
    stand: Cached<Stand>,
}

impl Accounts {
    /// While no broker is configured wishes are kept and answered with `Unavailable`.
    pub fn new(store: Store, broker: Handle<dyn Users>, probe: Option<Probe>) -> Self {
        Self { store, broker, probe: probe.map(Arc::new), settling: Arc::default(), stand: Cached::default() }
    }

    /// Whether there is a broker to bring accounts to.
    pub fn has_broker(&self) -> bool {
        self.broker.is_some()
    }

    fn broker(&self) -> Result<&Arc<dyn Users>> {
        self.broker.get()
    }

    /// Writes down what an account should be. The caller's audit entry covers it; `settle` makes it true.
    pub fn wish(&self, tx: &mut WriteTx<'_, '_>, name: &AccountName, wish: &Wish) -> Result<()> {
        let before = tx.get(&ACCOUNTS, name)?;
        let login = match &wish.password {
            Some(password) => Login::Password(tx.seal(&ACCOUNTS, name, password)?),
            None => Login::Locked,
        };
        let Access { configure, write, read } = wish.access.clone();
        let mut account = Account {
            login,
            tags: wish.tags.clone(),
            vhost: wish.vhost.clone(),
            configure,
            write,
            read,
            wish: 1,
            settled: 0,
            access_settled: false,
        };
        if let Some(before) = before {
            account.wish = before.wish + 1;
            account.settled = before.settled;
            let same_access = before.vhost == account.vhost && before.access() == account.access();
            account.access_settled = before.access_settled && same_access;
        }
        tx.put(&ACCOUNTS, name, &account)
    }

    /// Writes down that an account should not be. The caller's audit entry covers it; `settle` deletes the user, which
    /// closes its connections, and then the record.
    pub fn remove(&self, tx: &mut WriteTx<'_, '_>, name: &AccountName) -> Result<()> {
        let Some(mut account) = tx.get(&ACCOUNTS, name)? else { return Ok(()) };
        account.login = Login::Gone;
        account.wish += 1;
        tx.put(&ACCOUNTS, name, &account)
    }

    /// Gives an account the access and tags that the settings say today, with the login it has. True when that is a
    /// change, which the caller's audit entry covers.
    pub fn adjust(&self, tx: &mut WriteTx<'_, '_>, name: &AccountName, wish: &Wish) -> Result<bool> {
        let Some(mut account) = tx.get(&ACCOUNTS, name)? else { return Ok(false) };
        let is_same = account.tags == wish.tags && account.vhost == wish.vhost && account.access() == wish.access;
        if is_same || matches!(account.login, Login::Gone) {
            return Ok(false);
        }
        (account.tags, account.vhost) = (wish.tags.clone(), wish.vhost.clone());
        let Access { configure, write, read } = wish.access.clone();
        (account.configure, account.write, account.read) = (configure, write, read);
        account.wish += 1;
        account.access_settled = false;
        tx.put(&ACCOUNTS, name, &account)?;
        Ok(true)
    }

    /// Whether there is a record of an account.
    pub fn exists(&self, tx: &WriteTx<'_, '_>, name: &AccountName) -> Result<bool> {
        Ok(tx.get(&SETTLED, name)?.is_some())
    }

    /// The password of an account and the vhost it may enter, if the broker is known to accept them: `None` while it is
    /// not settled.
    pub fn settled_login(&self, tx: &WriteTx<'_, '_>, name: &AccountName) -> Result<Option<(Secret, VhostName)>> {
        match tx.get(&SETTLED, name)? {
            Some(Settled { login: Login::Password(password), vhost, wish, settled }) if wish == settled => {
                Ok(Some((tx.open(&ACCOUNTS, name, &password)?, vhost)))
            }
            _ => Ok(None),
        }
    }

    /// Whether the broker is known to be as we wish for this account.
    pub fn is_settled(&self, tx: &WriteTx<'_, '_>, name: &AccountName) -> Result<bool> {
        Ok(tx.get(&SETTLED, name)?.is_some_and(|account| account.wish == account.settled))
    }

    /// How an account stands; `None` when we do not answer for it.
    pub fn standing(&self, tx: &ReadTx<'_>, name: &AccountName) -> Result<Option<Standing>> {
        let account = tx.get(&SETTLED, name)?;
        Ok(account.map(|account| Standing {
            account: name.clone(),
            usable: matches!(account.login, Login::Password(_)),
            settled: account.wish == account.settled,
        }))
    }

    /// How all accounts stand. Read anew when one of them has changed.
    pub async fn stand(&self) -> Result<Arc<Stand>> {
        let read = |tx: &Survey<'_>| {
            let mut stand = Stand::default();
            tx.each(&MARKS, |name, Marks { login, wish, settled }| {
                stand.count += 1;
                stand.unsettled += u64::from(wish != settled);
                if !matches!(login, LoginKind::Password(_)) {
                    stand.unusable.insert(name);
                }
            })?;
            Ok(stand)
        };
        self.stand.get(&self.store, &ACCOUNTS, read).await
    }
}
