//! Closing the connections that use a password which is over, and the proof that the programs behind them came back.

use std::time::Duration;

use super::Relay;
use super::record::{AccountId, Awaited, Closing, NOTED, RECORDS, Record};
use crate::base::audit::Action;
use crate::base::{AccountName, Kind, Result, Timestamp, VhostName};
use crate::domain::accounts::held;
use crate::domain::auth::Caller;
use crate::proto::relay_profile::Account;
use crate::store::WriteTx;

/// What a client that is cut off reads.
const GOODBYE: &str = "the password of this account was replaced: log in with the new one";
/// How old the broker's word on consumers may be. What was there before the connections were closed is not taken for programs
/// that came back.
const STATISTICS_AGE_MAX: Duration = Duration::from_secs(15);

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
    pub(super) async fn close(&self, name: &AccountName, caller: &Caller) -> Result<()> {
        let (account, id) = (self.account(name)?, self.id(name)?);
        let record: Option<Record> = self.store.read(|tx| tx.get(&RECORDS, &id))?;
        let Some(record) = record.filter(|record| !record.incoming && record.fits(account)) else { return Ok(()) };
        let Some(closing) = record.closing.clone() else { return Ok(()) };
        let users: Vec<AccountName> =
            if closing.all { record.users.clone() } else { record.outdated().cloned().into_iter().collect() };
        let bus = self.bus.get()?;
        let mut had = 0;
        for user in &users {
            had += bus.connection_count(user).await?;
        }
        if had > closing.had {
            let (id, closing) = (id.clone(), Closing { had, ..closing.clone() });
            let note = move |tx: &mut WriteTx<'_, '_>| change(tx, &id, |record| record.closing = Some(closing));
            self.store.write(note).await?;
        }
        for user in &users {
            bus.close_connections_of(user, GOODBYE).await?;
        }
        let (had, wait) = (had.max(closing.had), account.back_within.map(|span| span.size().max(STATISTICS_AGE_MAX)));
        let note = caller.note(Action::RelayClose, name).with("connections", u64::try_from(had).unwrap_or(u64::MAX));
        let done = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            if closing.all {
                users.iter().try_for_each(|user| held::forget_holders_until(tx, user, closing.began))?;
            }
            let awaited = wait.filter(|_| had > 0).map(|wait| Awaited { by: tx.now().plus(wait), missing: Vec::new() });
            change(tx, &id, |record| (record.closing, record.awaited) = (None, awaited))
        };
        self.store.write(done).await
    }

    /// Looks whether the programs that were cut off are back, of all accounts whose time for that is over, and says what is
    /// missing; empty for nothing. An account is looked after until they are.
    pub async fn look_for_programs(&self) -> Result<String> {
        let Some(declared) = self.declared.clone() else { return Ok(String::new()) };
        let mut says = Vec::new();
        for (name, awaited) in self.awaited().await? {
            let Some(account) = declared.profile.accounts().iter().find(|account| account.name == name) else {
                continue;
            };
            let missing = self.missing_of(account).await?;
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
        Ok(says.join("; "))
    }

    /// The accounts whose programs did not come back in time, as it was when it was looked last.
    pub async fn missing(&self) -> Result<Vec<Missing>> {
        let awaited = self.awaited().await?.into_iter().filter(|(_, awaited)| !awaited.missing.is_empty());
        Ok(awaited.map(|(account, Awaited { by, missing })| Missing { account, by, what: missing }).collect())
    }

    /// The accounts whose programs had to be back by now.
    async fn awaited(&self) -> Result<Vec<(AccountName, Awaited)>> {
        let Some(declared) = self.declared.clone() else { return Ok(Vec::new()) };
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
        let bus = self.bus.get()?;
        let mut connections = 0;
        for user in account.users() {
            connections += bus.connection_count(&user).await?;
        }
        let mut missing = Vec::new();
        if connections == 0 {
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
        // The queue itself knows best, where we may ask it.
        let consumers = match bus.depth(vhost, queue).await {
            Ok(depth) => depth.map(|depth| Some(depth.consumers)),
            // It is somebody's own, who consumes it or not.
            Err(error) if error.kind() == Kind::Conflict => return Ok(None),
            Err(_) => bus.queue(vhost, queue).await?.map(|found| found.consumers),
        };
        Ok(match consumers {
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
