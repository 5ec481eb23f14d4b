//! Fetching: the login of an account for a program that may have it, with the end of its promise. What the broker does not
//! have yet is brought there first, and nothing leaves before its audit entry is durable.

use std::time::Duration;

use super::record::{RECORDS, Record};
use super::{Relay, not_applied};
use crate::base::audit::{Action, Actor};
use crate::base::text::url_encoded;
use crate::base::{AccountName, Error, Result, Secret, Timestamp, VhostName};
use crate::domain::accounts::held;
use crate::domain::auth::Caller;
use crate::proto::relay_profile::Account;
use crate::store::{Lent, WriteTx};

/// When to ask again for an account that never rotates by itself: an operator may rotate it, and an hour is what a program that
/// is refused meanwhile waits at most if it does nothing but ask at that time.
const RECHECK: Duration = Duration::from_secs(60 * 60);
/// The same while a rotation in place is late: it may come at any moment.
const RECHECK_LATE: Duration = Duration::from_secs(60);
/// How often lending starts over because the wish was changed meanwhile, as with claims.
const TRIES: usize = 4;

/// The login of an account. It leaves only as [`Lent`].
#[derive(Debug)]
pub struct Login {
    pub account: AccountName,
    /// The broker user.
    pub username: AccountName,
    pub password: Secret,
    /// How to reach each vhost that is declared for it, in their order.
    pub vhosts: Vec<(VhostName, Secret)>,
    /// When to ask again. In turn the password works at least until then; in place it is the next rotation.
    pub expires: Timestamp,
}

impl Relay {
    /// Lends the login of an account to a caller who may.
    ///
    /// # Errors
    /// `Conflict` for an account that is not applied, with what to do. `Unavailable` while the broker is away and has not what
    /// is wished: nothing is handed out, and asking again is safe.
    pub async fn lend(&self, caller: &Caller, name: &AccountName) -> Result<Lent<Login>> {
        self.lend_in(caller, name, None).await
    }

    /// Refuses an account of which nothing can be lent whatever the broker says: one that is not applied, or whose password
    /// only the broker knows.
    pub fn require_lendable(&self, name: &AccountName) -> Result<()> {
        let account = self.account(name)?;
        self.store.read(|tx| {
            let id = self.id(name)?;
            let record: Option<Record> = tx.get(&RECORDS, &id)?.filter(|record: &Record| record.fits(&account));
            let user = record.as_ref().and_then(Record::active).ok_or_else(|| not_applied(&account))?;
            if self.accounts.is_kept(tx, user)? { Err(kept(user, &account)) } else { Ok(()) }
        })
    }

    /// The same in a part that is written, if it has a name.
    pub(super) async fn lend_in(&self, caller: &Caller, name: &AccountName, part: Option<&str>) -> Result<Lent<Login>> {
        let account = self.account(name)?;
        for _ in 0..TRIES {
            let (this, of, by, part) = (self.clone(), account.clone(), caller.clone(), part.map(str::to_owned));
            if let Some(lent) = self.store.write(move |tx| this.lend_if_settled(tx, &of, &by, part)).await? {
                let request_id = caller.request_id();
                tracing::info!(request_id, account.name = %name, "lent the account `{name}` to {}", caller.actor());
                return Ok(lent);
            }
            self.accounts.settle(&account.users(), caller, |_| Ok(())).await?;
        }
        Err(Error::busy("others keep changing this account: ask again in a moment"))
    }

    /// `None` while the broker is not known to have the present password.
    fn lend_if_settled(
        &self,
        tx: &mut WriteTx<'_, '_>,
        account: &Account,
        caller: &Caller,
        part: Option<String>,
    ) -> Result<Option<Lent<Login>>> {
        // Whoever asks between the broker and the end of a rotation gets the new password.
        self.finish(tx, account, caller)?;
        let mut record = self.applied(tx, account)?.ok_or_else(|| not_applied(account))?;
        let Some(user) = record.active().cloned() else { return Err(not_applied(account)) };
        if self.accounts.keeps_login(tx, &user)? {
            return Err(kept(&user, account));
        }
        let Some(password) = self.accounts.settled_password(tx, &user, &self.owner()?)? else {
            return Ok(None);
        };
        if record.stretch(account, tx.now()) {
            tx.put(&RECORDS, &self.id(&account.name)?, &record)?;
        }
        // A session of the task proxy uses it and hands it to nobody: those who have it are not to be forgotten over that.
        if !matches!(caller.actor(), Actor::Session(_)) {
            held::note_holder(tx, &user, caller)?;
        }
        let expires = ask_again(&record, account, tx.now());
        let vhosts = account.grants.iter().map(|grant| {
            let vhost = grant.vhost.clone();
            Ok((vhost.clone(), self.connection_string(&user, &password, &vhost)?))
        });
        let note = caller
            .lend_note(Action::RelayLend, &account.name)
            .about(&password)
            .with("account", user.as_str())
            .with("expires", expires.to_string());
        let note = part.into_iter().fold(note, |note, part| note.with("part", part));
        let login = Login {
            account: account.name.clone(),
            vhosts: vhosts.collect::<Result<_>>()?,
            username: user,
            password,
            expires,
        };
        Ok(Some(tx.lend(note, login)))
    }

    /// Names of accounts are whatever a broker takes; in a URL they are escaped.
    fn connection_string(&self, user: &AccountName, password: &Secret, vhost: &VhostName) -> Result<Secret> {
        let user = AccountName::parse(&url_encoded(user.as_str()))
            .map_err(|_| Error::conflict("the name of this account is too long for a connection string"))?;
        Ok(self.config.amqp.connection_string(&user, password, vhost))
    }
}

fn kept(user: &AccountName, account: &Account) -> Error {
    Error::conflict(format!(
        "the user `{user}` was taken over with a password that only the broker knows: an operator draws one by \
         `keylender relay rotate {}`",
        account.name
    ))
}

/// When a program has to ask again.
pub(super) fn ask_again(record: &Record, account: &Account, now: Timestamp) -> Timestamp {
    if account.rotation.is_none() {
        return now.plus(RECHECK);
    }
    record.promised_until.max(now.plus(RECHECK_LATE))
}
