//! The administrator that we are to the broker: two users that take turns, so that its password can change while one of
//! them works.
//!
//! The login of the settings is where it begins, and the way back when the broker refuses what the store has. It is never
//! changed: its password is the operator's.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::pair::{Begun, Pair, Slot};
use super::record::{ACCOUNTS, Grant, Login, Owner, Terms};
use super::{AccountStatus, Accounts, LoginWish, Wish};
use crate::base::audit::Action;
use crate::base::{AccountName, Error, Result, Secret, Timestamp, VhostName};
use crate::domain::auth::Caller;
use crate::ports::broker::{Access, Credentials, Handle, Identity, Proven};
use crate::store::{ReadTx, Table, WriteTx};

const ADMINISTRATOR: Table<String, Record> = Table::audited("administrator");
/// The one key of that table.
const KEY: &str = "broker";
/// The tag without which a broker user can do nothing for us (rabbitmq.md 2.1).
pub const TAG: &str = "administrator";
/// How the names of our administrators begin. What follows is drawn once, because several appliances may share a broker.
pub const NAME_PREFIX: &str = "keylender-admin-";
/// Characters of what is drawn.
const STEM_LEN: usize = 6;
/// Administrators delete queues and exchanges over the API by what they may do in the vhost themselves.
const EVERYTHING: &str = ".*";
/// The name of the loop that makes sure, in the audit log.
const LOOP: &str = "reconcile";

/// Which of the two is what.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The two users.
    accounts: [AccountName; 2],
    /// Who we are; `None` until the first rotation is done: by the settings.
    active: Option<AccountName>,
    /// Who was given a new password, to become active as soon as it is proven.
    incoming: Option<AccountName>,
    /// When the active one became so.
    rotated: Option<Timestamp>,
}

impl Record {
    /// The two as a pair that takes turns when it is asked to, and of which nothing is promised. Before the first rotation
    /// the second is as good as active: the first is made.
    fn pair(&self) -> Pair {
        let active = if self.active.as_ref() == Some(&self.accounts[0]) { Slot::First } else { Slot::Second };
        let incoming = self.incoming.is_some();
        let never = Timestamp::MIN;
        let accounts = self.accounts.clone();
        Pair { accounts, active, incoming, next_rotation: never, promised_until: never, resting_until: never }
    }
}

/// How it stands, for operators.
#[derive(Clone, Debug)]
pub struct AdministratorStatus {
    /// Who we are to the broker, as far as the requests so far have shown.
    pub acting: String,
    /// Whether the broker refused the one of the store, so that the login of the settings stands in.
    pub is_refused: bool,
    /// The administrator that the store has, if there was a rotation.
    pub active: Option<AccountName>,
    /// When it became so.
    pub rotated: Option<Timestamp>,
    /// The one that a rotation began with and did not end with.
    pub incoming: Option<AccountName>,
    /// Our users, those that should be gone included until they are.
    pub accounts: Vec<AccountStatus>,
}

/// What a rotation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Who we are now.
    pub administrator: AccountName,
    /// Whether the one before is known to be gone; `reconcile` sees to it otherwise.
    pub is_retired: bool,
}

/// Who we are to the broker. Cheap to clone.
#[derive(Clone)]
pub struct Administrator {
    pub(super) accounts: Accounts,
    pub(super) identity: Handle<dyn Identity>,
    pub(super) vhost: VhostName,
    /// One rotation at a time.
    turn: Arc<Mutex<()>>,
}

impl Administrator {
    /// Acts as the administrator that the store has, if it has one.
    pub fn new(accounts: Accounts, identity: Handle<dyn Identity>, vhost: VhostName) -> Result<Self> {
        let this = Self { accounts, identity, vhost, turn: Arc::default() };
        this.act()?;
        Ok(this)
    }

    /// The login of the active administrator; `None` while that is the one of the settings.
    pub fn login(&self) -> Result<Option<Credentials>> {
        self.accounts.store.read(|tx| {
            let active = record(tx)?.and_then(|record| record.active);
            active.map_or(Ok(None), |active| self.credentials(tx, active))
        })
    }

    /// How it stands.
    pub fn status(&self) -> Result<AdministratorStatus> {
        let acting = self.identity.get()?.acting();
        self.accounts.store.read(|tx| {
            let record = record(tx)?;
            let names = record.iter().flat_map(|record| &record.accounts);
            let statuses = names.map(|name| self.accounts.status(tx, name)).collect::<Result<Vec<_>>>()?;
            let (active, incoming, rotated) =
                record.map_or((None, None, None), |record| (record.active, record.incoming, record.rotated));
            let accounts = statuses.into_iter().flatten().collect();
            Ok(AdministratorStatus {
                acting: acting.user,
                is_refused: acting.is_refused,
                active,
                rotated,
                incoming,
                accounts,
            })
        })
    }

    /// Makes the resting administrator with a new password, proves it, becomes it, and removes the one before.
    ///
    /// At every moment the one that the store calls active works. A crash or an outage between any two steps is finished
    /// by the next call or by [`Self::make_sure`]. `Unavailable` when the broker is away or does not do what is wished.
    pub async fn rotate(&self, caller: &Caller) -> Result<Rotated> {
        let _turn = self.turn.lock().await;
        self.rotate_now(caller).await
    }

    async fn rotate_now(&self, caller: &Caller) -> Result<Rotated> {
        self.identity.get()?;
        let incoming = self.begin(caller).await?;
        self.accounts.settle(std::slice::from_ref(&incoming), caller, |_| Ok(())).await?;
        if let Some(lack) = self.prove(&incoming).await? {
            self.resync(&incoming, caller, lack).await?;
            return Err(Error::unavailable(format!("the new administrator could not be proven: {lack}")));
        }
        let before = self.swap(&incoming, caller).await?;
        self.act()?;
        let retired = self.accounts.settle(&[before], caller, |_| Ok(())).await;
        if let Err(error) = &retired {
            tracing::warn!("the administrator before could not be removed yet: {}", error.chain());
        }
        Ok(Rotated { administrator: incoming, is_retired: retired.is_ok() })
    }

    /// Ends a rotation that was broken off, and makes good again what the broker refuses. Says what it did, if anything.
    pub async fn make_sure(&self) -> Result<Option<String>> {
        // Before the record is read: a rotation that somebody else is at is not one that was broken off.
        let _turn = self.turn.lock().await;
        let Some(record) = self.accounts.store.read(record)? else { return Ok(None) };
        let caller = &Caller::of_loop(LOOP);
        if record.incoming.is_some() {
            let name = self.rotate_now(caller).await?.administrator;
            return Ok(Some(format!("the rotation of the administrator was finished: it is `{name}`")));
        }
        let broker = self.identity.get()?;
        let (Some(active), Some(login)) = (record.active, self.login()?) else { return Ok(None) };
        let acting = broker.acting();
        if !acting.is_refused && acting.user != active.as_str() {
            broker.act_as(Some(login.clone()))?;
        }
        // A request shows whether the login is taken.
        broker.whoami().await?;
        if !broker.acting().is_refused {
            return Ok(None);
        }
        if broker.prove(&login, &self.vhost).await?.is_some_and(|proven| lack(&proven).is_none()) {
            broker.act_as(Some(login))?;
            return Ok(Some(format!("the broker takes its administrator `{active}` again")));
        }
        // Not with the password that it had: after a backup was restored that may be one that was ended long ago.
        let name = self.rotate_now(caller).await?.administrator;
        Ok(Some(format!("the broker refused its administrator `{active}`: it is `{name}` now")))
    }

    /// Gives our administrators the vhost that the settings say today; true when that is a change.
    pub async fn apply_settings(&self) -> Result<bool> {
        let Some(record) = self.accounts.store.read(record)? else { return Ok(false) };
        let this = self.clone();
        self.accounts
            .store
            .write(move |tx| {
                let mut changed = false;
                for account in &record.accounts {
                    if this.accounts.adjust(tx, account, &Owner::Administrator, &this.terms())? {
                        tx.audit(Caller::of_loop("start").note(Action::AccountAdjust, account));
                        changed = true;
                    }
                }
                Ok(changed)
            })
            .await
    }

    /// Gives the resting one a new password, unless a rotation that was broken off did.
    async fn begin(&self, caller: &Caller) -> Result<AccountName> {
        let (this, caller) = (self.clone(), caller.clone());
        self.accounts
            .store
            .write(move |tx| {
                let mut record = match tx.get(&ADMINISTRATOR, &KEY.to_owned())? {
                    Some(record) => record,
                    None => Record { accounts: names()?, active: None, incoming: None, rotated: None },
                };
                let incoming = match record.pair().begin(tx.now()) {
                    Begun::Renew(resting) => resting,
                    Begun::Renewed(incoming) => return Ok(incoming),
                    Begun::Promised(until) => return Err(Error::conflict(format!("promised until {until}"))),
                };
                let password = Secret::generate();
                tx.audit(caller.note(Action::AdministratorRenew, &incoming).about(&password));
                this.accounts.wish(tx, &incoming, this.wish(LoginWish::Password(password)))?;
                record.incoming = Some(incoming.clone());
                tx.put(&ADMINISTRATOR, &KEY.to_owned(), &record)?;
                Ok(incoming)
            })
            .await
    }

    /// What the new login lacks to be an administrator with all rights in the vhost.
    async fn prove(&self, incoming: &AccountName) -> Result<Option<&'static str>> {
        let login = self.accounts.store.read(|tx| self.credentials(tx, incoming.clone()))?;
        let login = login.ok_or_else(|| Error::conflict("the administrator was changed meanwhile: try again"))?;
        let proven = self.identity.get()?.prove(&login, &self.vhost).await?;
        Ok(proven.map_or(Some("the broker refuses the password that it was just told"), |proven| lack(&proven)))
    }

    /// The broker has it otherwise than it said: the next settlement tells it again.
    async fn resync(&self, incoming: &AccountName, caller: &Caller, lack: &'static str) -> Result<()> {
        let (note, incoming) = (caller.note(Action::AccountDrift, incoming), incoming.clone());
        self.accounts
            .store
            .write(move |tx| {
                let Some(mut account) = tx.get(&ACCOUNTS, &incoming)? else { return Ok(()) };
                account.tell_again();
                tx.audit(note.with("what", lack));
                tx.put(&ACCOUNTS, &incoming, &account)
            })
            .await
    }

    /// Makes the proven one active, and wishes the other one gone, whatever the store knows of it: a store that was
    /// restored may not know that it is there. Returns the other one.
    async fn swap(&self, incoming: &AccountName, caller: &Caller) -> Result<AccountName> {
        let (this, incoming, caller) = (self.clone(), incoming.clone(), caller.clone());
        self.accounts
            .store
            .write(move |tx| {
                let changed = || Error::conflict("the administrator was changed meanwhile: try again");
                let mut record = tx.get(&ADMINISTRATOR, &KEY.to_owned())?.ok_or_else(changed)?;
                if record.incoming.as_ref() != Some(&incoming) || !this.accounts.is_settled(tx, &incoming)? {
                    return Err(changed());
                }
                let mut pair = record.pair();
                pair.swap(Timestamp::MIN, Duration::ZERO);
                let before = pair.resting().clone();
                this.remove(tx, &before)?;
                (record.active, record.incoming) = (Some(pair.active().clone()), None);
                record.rotated = Some(tx.now());
                tx.audit(caller.note(Action::AdministratorRotate, &incoming).with("before", before.as_str()));
                tx.put(&ADMINISTRATOR, &KEY.to_owned(), &record)?;
                Ok(before)
            })
            .await
    }

    fn remove(&self, tx: &mut WriteTx<'_, '_>, name: &AccountName) -> Result<()> {
        if !self.accounts.exists(tx, name)? {
            self.accounts.wish(tx, name, self.wish(LoginWish::Locked))?;
        }
        self.accounts.remove(tx, name, &Owner::Administrator)
    }

    /// Is what the store says we are.
    fn act(&self) -> Result<()> {
        match (self.identity.get(), self.login()?) {
            (Ok(broker), Some(login)) => broker.act_as(Some(login)),
            _ => Ok(()),
        }
    }

    fn wish(&self, login: LoginWish) -> Wish {
        Wish { owner: Owner::Administrator, login, terms: self.terms() }
    }

    fn terms(&self) -> Terms {
        let grants = vec![Grant::new(self.vhost.clone(), everything())];
        Terms { tags: vec![TAG.to_owned()], grants, ..Terms::default() }
    }

    fn credentials(&self, tx: &ReadTx<'_>, user: AccountName) -> Result<Option<Credentials>> {
        match tx.get(&ACCOUNTS, &user)?.map(|account| account.login) {
            Some(Login::Password(sealed)) => {
                let password = tx.open(&ACCOUNTS, &user, &sealed)?;
                Ok(Some(Credentials { user, password }))
            }
            _ => Ok(None),
        }
    }
}

fn record(tx: &ReadTx<'_>) -> Result<Option<Record>> {
    tx.get(&ADMINISTRATOR, &KEY.to_owned())
}

pub(super) fn everything() -> Access {
    Access { configure: EVERYTHING.into(), write: EVERYTHING.into(), read: EVERYTHING.into() }
}

/// What an administrator lacks to do all that we do.
fn lack(proven: &Proven) -> Option<&'static str> {
    if proven.user.tags.iter().all(|tag| tag != TAG) {
        Some("it is no administrator")
    } else if proven.access != Some(everything()) {
        Some("it lacks rights in the vhost")
    } else {
        None
    }
}

/// Two names that no other appliance has.
fn names() -> Result<[AccountName; 2]> {
    let drawn = Secret::generate();
    let letters = drawn.expose().chars().filter(char::is_ascii_alphanumeric).take(STEM_LEN);
    let stem: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    let name = |turn: &str| AccountName::parse(&format!("{NAME_PREFIX}{stem}-{turn}"));
    Ok([name("a")?, name("b")?])
}
