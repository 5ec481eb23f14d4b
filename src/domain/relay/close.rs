//! Closing the connections that use a password which is over, and the proof that the programs behind them came back.

use std::time::Duration;

use super::Relay;
use super::record::{AccountId, Awaited, Closing, NOTED, RECORDS, Record};
use crate::base::audit::Action;
use crate::base::{AccountName, Error, Kind, Result, Timestamp, VhostName};
use crate::domain::accounts::held;
use crate::domain::auth::Caller;
use crate::ports::broker::Connection;
use crate::proto::relay_profile::Account;
use crate::store::WriteTx;

/// What a client that is cut off reads.
const GOODBYE: &str = "the password of this account was replaced: log in with the new one";
/// How old the broker's word on consumers may be. What was there before the connections were closed is not taken for programs
/// that came back.
const STATISTICS_AGE_MAX: Duration = Duration::from_secs(15);
/// How far the broker's clock may be ahead of ours; the doctor warns beyond.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(5);

/// How often closing starts over because passwords were replaced meanwhile, as with lending.
const TRIES: usize = 4;

/// An account whose programs did not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub account: AccountName,
    /// By when they had to be there.
    pub by: Timestamp,
    /// What is not there, a few words each.
    pub what: Vec<String>,
}

impl Relay {
    /// Closes the connections of an account that are to be closed; nothing while its new password is not known to be at the
    /// broker. How many there were is noted first: after a crash, nobody would know that programs were cut off.
    ///
    /// # Errors
    /// `Busy` when others keep replacing its passwords: what they began is theirs to finish.
    pub(super) async fn close(&self, name: &AccountName, caller: &Caller) -> Result<()> {
        for _ in 0..TRIES {
            let (account, id) = (self.account(name)?, self.id(name)?);
            let (record, now): (Option<Record>, _) = self.store.read(|tx| Ok((tx.get(&RECORDS, &id)?, tx.now())))?;
            let Some(record) = record.filter(|record| !record.incoming && record.fits(&account)) else { return Ok(()) };
            let Some(closing) = record.closes(now).cloned() else { return Ok(()) };
            if self.close_as(&account, caller, &record, &closing).await? {
                return Ok(());
            }
        }
        Err(Error::busy("others keep replacing the passwords of this account: look again in a moment"))
    }

    /// False when the passwords were replaced meanwhile, so that other connections are to be closed.
    async fn close_as(&self, account: &Account, caller: &Caller, record: &Record, closing: &Closing) -> Result<bool> {
        let id = self.id(&account.name)?;
        let users: Vec<AccountName> =
            if closing.all { record.users.clone() } else { record.outdated().cloned().into_iter().collect() };
        // Whoever has a password that is over would be back at once while the broker takes it.
        self.accounts.settle(&users, caller, |_| Ok(())).await?;
        let count = match closing.not_before {
            Some(_) => self.former_connections(&users, closing).await?.len(),
            None => self.connection_count(&users).await?,
        };
        let had = count.max(closing.had);
        let noted = Closing { had, ..closing.clone() };
        let (of, was, now, rotated) = (id.clone(), closing.clone(), noted.clone(), record.rotated);
        if !self.store.write(move |tx| change_if(tx, &of, &was, rotated, |record| record.closing = Some(now))).await? {
            return Ok(false);
        }
        let bus = self.bus.get()?;
        match closing.not_before {
            // Who has learned the new password meanwhile is let be.
            Some(_) => {
                for connection in self.former_connections(&users, closing).await? {
                    bus.close_connection(&connection, GOODBYE).await?;
                }
            }
            None => {
                for user in &users {
                    bus.close_connections_of(user, GOODBYE).await?;
                }
            }
        }
        let wait = account.back_within.map(|span| span.size().max(STATISTICS_AGE_MAX));
        let note =
            caller.note(Action::RelayClose, &account.name).with("connections", u64::try_from(had).unwrap_or(u64::MAX));
        let done = move |tx: &mut WriteTx<'_, '_>| {
            let by = wait.filter(|_| had > 0).map(|wait| tx.now().plus(wait));
            let is_done = change_if(tx, &id, &noted, rotated, |record| {
                record.closing = None;
                // Programs that were not back before are still looked for.
                let awaited = by.map(|by| Awaited { by, missing: Vec::new() });
                record.awaited = awaited.or(record.awaited.take());
            })?;
            if is_done {
                tx.audit(note);
                if noted.all {
                    users.iter().try_for_each(|user| held::forget_revoked(tx, user, noted.began))?;
                }
            }
            Ok(is_done)
        };
        self.store.write(done).await
    }

    async fn connection_count(&self, users: &[AccountName]) -> Result<usize> {
        let mut count = 0;
        for user in users {
            count += self.bus.get()?.connection_count(user).await?;
        }
        Ok(count)
    }

    /// The connections of these users that were there when they got their new passwords, and those of which the broker does
    /// not say since when they are.
    async fn former_connections(&self, users: &[AccountName], closing: &Closing) -> Result<Vec<String>> {
        let opened_before = closing.began.plus(CLOCKS_APART_MAX);
        let all = self.bus.get()?.connections().await?.into_iter();
        let is_former = |connection: &Connection| {
            let is_theirs = users.iter().any(|user| user.as_str() == connection.user);
            is_theirs && connection.connected_at.is_none_or(|at| at < opened_before)
        };
        Ok(all.filter(is_former).map(|connection| connection.name).collect())
    }

    /// Looks whether the programs that were cut off are back, of all accounts whose time for that is over, and says what is
    /// missing; empty for nothing. An account is looked after until they are.
    pub async fn look_for_programs(&self) -> Result<String> {
        let Some(declared) = self.declared().ok() else { return Ok(String::new()) };
        let (mut says, mut failed) = (Vec::new(), None);
        for (name, awaited) in self.awaited().await? {
            let Some(account) = declared.profile.accounts().iter().find(|account| account.name == name) else {
                continue;
            };
            let missing = match self.missing_of(account).await {
                Ok(missing) => missing,
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            if !missing.is_empty() {
                says.push(format!("the programs of {name} are not back: {}", missing.join(", ")));
            }
            if missing != awaited.missing || missing.is_empty() {
                let id = self.id(&name)?;
                let by = awaited.by;
                let note = move |tx: &mut WriteTx<'_, '_>| {
                    change(tx, &id, |record| {
                        // Connections that were closed since then are looked for at their own time.
                        if record.awaited.as_ref().is_some_and(|awaited| awaited.by == by) {
                            record.awaited = (!missing.is_empty()).then_some(Awaited { by, missing });
                        }
                    })
                };
                self.store.write(note).await?;
            }
        }
        failed.map_or_else(|| Ok(says.join("; ")), Err)
    }

    /// The accounts whose programs did not come back in time, as it was when it was looked last.
    pub async fn missing(&self) -> Result<Vec<Missing>> {
        let awaited = self.awaited().await?.into_iter().filter(|(_, awaited)| !awaited.missing.is_empty());
        Ok(awaited.map(|(account, Awaited { by, missing })| Missing { account, by, what: missing }).collect())
    }

    /// The accounts whose programs had to be back by now.
    async fn awaited(&self) -> Result<Vec<(AccountName, Awaited)>> {
        let Some(declared) = self.declared().ok() else { return Ok(Vec::new()) };
        let this = self.clone();
        let survey = self.store.survey(move |tx| {
            let mut all = Vec::new();
            for Account { name, .. } in declared.profile.accounts() {
                let record: Option<Record> = tx.get(&RECORDS, &this.id(name)?)?;
                let awaited = record.and_then(|record| record.awaited).filter(|awaited| awaited.by <= tx.now());
                all.extend(awaited.map(|awaited| (name.clone(), awaited)));
            }
            Ok(all)
        });
        survey.await
    }

    /// What is not there of the programs of an account. What the broker does not say is not missing.
    async fn missing_of(&self, account: &Account) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        if self.connection_count(&account.users()).await? == 0 {
            missing.push("no connection".to_owned());
        }
        for grant in &account.grants {
            for queue in &grant.consumes {
                missing.extend(self.missing_at(&grant.vhost, queue).await?);
            }
        }
        Ok(missing)
    }

    async fn missing_at(&self, vhost: &VhostName, queue: &str) -> Result<Option<String>> {
        let bus = self.bus.get()?;
        // The queue itself knows best, where we may ask it; but a stream says of itself that nobody reads it.
        let found = match bus.depth(vhost, queue).await {
            Ok(Some(depth)) if depth.consumers > 0 => return Ok(None),
            // It is somebody's own, who consumes it or not.
            Err(error) if error.kind() == Kind::Conflict => return Ok(None),
            Ok(None) => None,
            Ok(Some(_)) => bus.queue(vhost, queue).await?.map(|found| match found.stream() {
                Some(_) => found.consumers,
                None => Some(0),
            }),
            Err(_) => bus.queue(vhost, queue).await?.map(|found| found.consumers),
        };
        Ok(match found {
            None => Some(format!("no queue `{queue}` in {vhost}")),
            Some(Some(0)) => Some(format!("no consumer on `{queue}` in {vhost}")),
            Some(_) => None,
        })
    }
}

fn change(tx: &mut WriteTx<'_, '_>, id: &AccountId, by: impl FnOnce(&mut Record)) -> Result<()> {
    let Some(mut record) = tx.get(&NOTED, id)? else { return Ok(()) };
    by(&mut record);
    tx.put(&NOTED, id, &record)
}

/// Changes a record if the connections that are to be closed are still these, and it was not rotated since. False when they are not.
fn change_if(
    tx: &mut WriteTx<'_, '_>,
    id: &AccountId,
    closing: &Closing,
    rotated: Option<Timestamp>,
    change: impl FnOnce(&mut Record),
) -> Result<bool> {
    let Some(mut record) = tx.get(&NOTED, id)? else { return Ok(false) };
    let is_same = record.closing.as_ref().is_some_and(|now| (now.began, now.all) == (closing.began, closing.all));
    if !is_same || record.incoming || record.rotated != rotated {
        return Ok(false);
    }
    change(&mut record);
    tx.put(&NOTED, id, &record)?;
    Ok(true)
}
