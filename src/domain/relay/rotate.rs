//! Rotation of accounts: in place the user gets another password, in turn the user that rested does and becomes the active
//! one. The store has the new password first, then the broker, and what is begun is finished by the next call or pass.

use futures_util::StreamExt;

use super::record::{NOTED, RECORDS, Record};
use super::{Relay, not_applied};
use crate::base::audit::Action;
use crate::base::{AccountName, Error, Result, Secret, Timestamp};
use crate::domain::accounts::{Begun, LoginWish, held};
use crate::domain::auth::Caller;
use crate::proto::relay_profile::{Account, Delivery};
use crate::store::WriteTx;

/// Accounts that are rotated side by side: the broker gains nothing beyond eight writers (rabbitmq.md 3).
const WRITERS: usize = 8;
/// The name of the loop, in the audit log and on the console.
const LOOP: &str = "rotate";

/// What one pass of rotation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Accounts that have another password now.
    pub rotated: usize,
    /// Accounts whose connections with a former password were closed, because it was time.
    pub closed: usize,
    /// Accounts that are due and whose other password was promised for longer.
    pub waiting: usize,
    /// Accounts that could not be rotated now; the next pass goes on where they are.
    pub failed: usize,
}

/// When an account is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// If its time has come, or something was begun.
    Due,
    /// Whether or not: an operator asks.
    Now { closes: bool },
}

/// What a rotation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// The account has another password.
    Rotated,
    /// What an earlier one had left to do was done.
    Closed,
    /// Nothing: it is not its time, or somebody else was faster.
    Nothing,
}

/// What the first transaction of a rotation came to.
enum Step {
    Nothing,
    /// The other password was promised until then.
    Promised(Timestamp),
    /// The broker has to hear of this user.
    Settle(AccountName),
    /// Connections are to be closed, when it knows the passwords of these.
    Close(Vec<AccountName>),
}

impl Relay {
    /// The accounts that a pass would rotate: their time has come, or something was begun.
    pub async fn due(&self) -> Result<Vec<AccountName>> {
        self.find(|record, account, now| record.is_due(account, now) && !record.is_to_begin_anew(account, now)).await
    }

    /// The accounts whose records are so.
    async fn find(&self, is_so: fn(&Record, &Account, Timestamp) -> bool) -> Result<Vec<AccountName>> {
        let Some(declared) = self.declared().ok() else { return Ok(Vec::new()) };
        let this = self.clone();
        let survey = self.store.survey(move |tx| {
            let mut found = Vec::new();
            for account in declared.profile.accounts() {
                let record: Option<Record> = tx.get(&RECORDS, &this.id(&account.name)?)?;
                if record.is_some_and(|record| record.fits(account) && is_so(&record, account, tx.now())) {
                    found.push(account.name.clone());
                }
            }
            Ok(found)
        });
        survey.await
    }

    /// Rotates every account whose time has come. It visits every one even when some fail. Without a broker it does nothing.
    pub async fn rotate_due(&self) -> Result<Rotated> {
        let mut rotated = Rotated::default();
        if !self.accounts.has_broker() {
            return Ok(rotated);
        }
        let caller = &Caller::of_loop(LOOP);
        let work = self.find(Record::is_due).await?.into_iter().map(|name| async move {
            let outcome = self.rotate_as(&name, caller, When::Due).await;
            (name, outcome)
        });
        let mut outcomes = futures_util::stream::iter(work).buffer_unordered(WRITERS);
        while let Some((name, outcome)) = outcomes.next().await {
            match outcome {
                Ok(Came::Rotated) => rotated.rotated += 1,
                Ok(Came::Closed) => rotated.closed += 1,
                Ok(Came::Nothing) => rotated.waiting += 1,
                Err(error) => {
                    tracing::warn!("could not rotate the account `{name}`: {}", error.chain());
                    rotated.failed += 1;
                }
            }
        }
        Ok(rotated)
    }

    /// Gives an account another password now, and closes the connections that use the former one if that is wished.
    ///
    /// # Errors
    /// `Conflict` for an account that is not applied, and of one whose users take turns while the other password is promised.
    pub async fn rotate(&self, name: &AccountName, caller: &Caller, closes: bool) -> Result<()> {
        match self.rotate_as(name, caller, When::Now { closes }).await? {
            Came::Rotated | Came::Closed => Ok(()),
            Came::Nothing => Err(Error::conflict("the account was changed meanwhile: look again")),
        }
    }

    /// What a rotation would do now, a sentence each. It fails as that would.
    pub async fn plan_rotation(&self, name: &AccountName, closes: bool) -> Result<Vec<String>> {
        let (account, id) = (self.account(name)?, self.id(name)?);
        let (record, now) = self.store.read(|tx| {
            let record = tx.get(&RECORDS, &id)?.filter(|record| record.fits(&account));
            Ok((record.ok_or_else(|| not_applied(&account))?, tx.now()))
        })?;
        let promised = record.promised_until;
        let outdated = record.active().cloned();
        let mut effects = match record.clone().begin(now) {
            Some(Begun::Promised(until)) => return Err(promised_for_longer(until)),
            Some(Begun::Renew(user) | Begun::Renewed(user)) if record.users.len() > 1 => vec![
                format!("{user} gets a new password, and whoever asks for {name} gets that one from now on."),
                format!("The present password works on until {promised}, as it was promised."),
            ],
            _ => vec![format!(
                "{name} gets a new password. The present one opens no connection any more, whatever was promised."
            )],
        };
        effects.push(match outdated.filter(|_| closes) {
            None => match account.close_after {
                Some(after) if record.users.len() > 1 => {
                    format!("Connections stay open for {after} more, and until {promised}, and are closed then.")
                }
                Some(after) => format!("Connections of now stay open for {after} more, and are closed then."),
                None => "Connections stay open.".into(),
            },
            Some(user) => match self.bus.get()?.connection_count(&user).await {
                Ok(count) => format!("{count} connections of {user} are closed: its programs must log in again."),
                Err(_) => format!("Connections of {user} are closed. The broker does not say now how many there are."),
            },
        });
        effects.extend(match account.delivery {
            Delivery::Fetch => None,
            Delivery::Render => {
                Some("The new password has to be written into the configuration of its programs.".into())
            }
            Delivery::HandOver => Some("The new password has to be brought to its programs by a person.".into()),
        });
        Ok(effects)
    }

    /// Rotates one account, or finishes what was begun.
    ///
    /// The new password is settled before it is lent, and before anything is closed, so that an outage of the broker leaves
    /// the former one in force. A crash between any two steps is finished by the next call.
    async fn rotate_as(&self, name: &AccountName, caller: &Caller, when: When) -> Result<Came> {
        self.check_names()?;
        let (this, account, by) = (self.clone(), self.account(name)?, caller.clone());
        let came = match self.store.write(move |tx| this.begin(tx, &account, &by, when)).await? {
            Step::Nothing => return Ok(Came::Nothing),
            Step::Promised(until) if matches!(when, When::Now { .. }) => {
                return Err(promised_for_longer(until));
            }
            Step::Promised(_) => return Ok(Came::Nothing),
            Step::Settle(user) => {
                let (this, account, by) = (self.clone(), self.account(name)?, caller.clone());
                let finish = move |tx: &mut WriteTx<'_, '_>| this.finish(tx, &account, &by);
                if self.accounts.settle(&[user], caller, finish).await? { Came::Rotated } else { Came::Nothing }
            }
            Step::Close(users) => self.accounts.settle(&users, caller, |_| Ok(Came::Closed)).await?,
        };
        self.close(name, caller).await?;
        Ok(came)
    }

    fn begin(&self, tx: &mut WriteTx<'_, '_>, account: &Account, caller: &Caller, when: When) -> Result<Step> {
        let (id, now) = (self.id(&account.name)?, tx.now());
        let Some(mut record) = self.applied(tx, account)? else {
            return if when == When::Due { Ok(Step::Nothing) } else { Err(not_applied(account)) };
        };
        match when {
            When::Due if record.is_to_begin_anew(account, now) => {
                record.promise(account, now);
                tx.put(&NOTED, &id, &record)?;
                return Ok(Step::Nothing);
            }
            When::Due if !record.is_due(account, now) => return Ok(Step::Nothing),
            When::Due if !record.incoming && record.closes(now).is_some() => return Ok(Step::Close(record.users)),
            When::Now { closes: true } => record.close_now(now),
            When::Due | When::Now { .. } => {}
        }
        match record.begin(now) {
            Some(Begun::Renew(user)) => {
                let password = Secret::generate();
                tx.audit(
                    caller.note(Action::RelayRenew, &account.name).about(&password).with("account", user.as_str()),
                );
                self.accounts.wish_login(tx, &user, &self.owner()?, LoginWish::Password(password))?;
                tx.put(&RECORDS, &id, &record)?;
                Ok(Step::Settle(user))
            }
            Some(Begun::Renewed(user)) => {
                tx.put(&NOTED, &id, &record)?;
                Ok(Step::Settle(user))
            }
            Some(Begun::Promised(until)) => Ok(Step::Promised(until)),
            None => Ok(Step::Nothing),
        }
    }

    /// Ends a rotation that was begun, if the broker is known to have the new password. False when it is not.
    pub(super) fn finish(&self, tx: &mut WriteTx<'_, '_>, account: &Account, caller: &Caller) -> Result<bool> {
        let Some(mut record) = self.applied(tx, account)? else { return Ok(false) };
        // Somebody else finished it.
        let Some(user) = record.waits_for().cloned() else { return Ok(true) };
        if !self.accounts.is_settled(tx, &user)? {
            return Ok(false);
        }
        held::forget_holders(tx, &user)?;
        record.finish(account, tx.now());
        let note = caller.note(Action::RelayRotate, &account.name).with("account", user.as_str());
        tx.audit(match record.next_rotation {
            Some(next) => note.with("next_rotation", next.to_string()),
            None => note,
        });
        tx.put(&RECORDS, &self.id(&account.name)?, &record)?;
        Ok(true)
    }
}

fn promised_for_longer(until: Timestamp) -> Error {
    Error::conflict(format!("the other password of this account was promised until {until}"))
}
