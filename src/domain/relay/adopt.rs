//! Users that somebody else made: adopted, so that it is known whose they are and told when they change, and released again.
//! Neither changes anything at the broker.

use serde::{Deserialize, Serialize};

use super::record::{RECORDS, Record};
use super::{Relay, protect};
use crate::base::audit::Action;
use crate::base::{AccountName, Error, Result, Timestamp};
use crate::domain::accounts::{OnDrift, Owner, Terms, held};
use crate::domain::auth::Caller;
use crate::store::{Table, WriteTx};

pub(super) const ADOPTED: Table<AccountName, Adopted> = Table::audited("relay_adopted");

/// Longest word on who answers for an adopted user, and longest note, in bytes: they stand in audit entries and in tables.
const WORDS_LEN_MAX: usize = 200;

/// Who answers for a user, and what for, as an operator says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    owner: String,
    note: String,
    on_drift: OnDrift,
}

impl Adoption {
    /// What changes is put back, or told only.
    ///
    /// # Errors
    /// `Invalid` without an owner, and for words that are too long.
    pub fn new(owner: &str, note: &str, repairs: bool) -> Result<Self> {
        let (owner, note) = (owner.trim(), note.trim());
        if owner.is_empty() {
            return Err(Error::invalid("say who answers for this user: its owner is missing"));
        }
        if let Some(words) = [owner, note].into_iter().find(|words| words.len() > WORDS_LEN_MAX) {
            return Err(Error::invalid(format!(
                "an owner and a note have at most {WORDS_LEN_MAX} bytes each, not {}",
                words.len()
            )));
        }
        let on_drift = if repairs { OnDrift::Repair } else { OnDrift::Report };
        Ok(Self { owner: owner.to_owned(), note: note.to_owned(), on_drift })
    }
}

/// A user that was adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// Who answers for it, as an operator says.
    pub owner: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Since when it is watched.
    pub adopted: Timestamp,
}

impl Relay {
    /// The users that were adopted, with what they may do.
    pub async fn adopted(&self) -> Result<Vec<(AccountName, Adopted, Terms)>> {
        let accounts = self.accounts.clone();
        let survey = self.store.survey(move |tx| {
            let mut all = Vec::new();
            tx.each(&ADOPTED, |name, adopted| all.push((name, adopted)))?;
            let with_terms = all.into_iter().map(|(name, adopted)| {
                let terms = accounts.terms(tx, &name)?.unwrap_or_default();
                Ok((name, adopted, terms))
            });
            with_terms.collect()
        });
        survey.await
    }

    /// The users of the broker that may be adopted: nobody here answers for them, and none of them is who we are.
    pub async fn strangers(&self) -> Result<Vec<AccountName>> {
        let mut all = self.accounts.strangers().await?;
        let mut free = Vec::new();
        for name in all.drain(..) {
            if self.check_free(&name).is_ok() {
                free.push(name);
            }
        }
        Ok(free)
    }

    fn check_free(&self, name: &AccountName) -> Result<()> {
        protect::check_name(name, &self.config.reserved, &self.administrator.acting()?)
    }

    /// What adopting a user would note, a sentence each. It fails as that would.
    pub async fn plan_adoption(&self, name: &AccountName) -> Result<Vec<String>> {
        self.check_free(name)?;
        let terms = self.accounts.stranger(name).await?;
        let mut effects = vec![format!(
            "{name} stays as it is, with the password that it has, and whatever of it changes from now on is told."
        )];
        effects.extend(terms.sentences());
        Ok(effects)
    }

    /// Has a user watched that somebody else made: with what it may do now, who answers for it, and what for.
    ///
    /// # Errors
    /// `NotFound` when the broker has none. `Conflict` for one that is an account here, or who we are to the broker.
    pub async fn adopt(&self, name: &AccountName, caller: &Caller, adoption: Adoption) -> Result<()> {
        self.check_free(name)?;
        let Adoption { owner, note, on_drift } = adoption;
        let terms = Terms { on_drift, ..self.accounts.stranger(name).await? };
        let (accounts, name) = (self.accounts.clone(), name.clone());
        let entry = caller.note(Action::RelayAdopt, &name).with("owner", owner.clone()).with("note", note.clone());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            accounts.adopt(tx, &name, terms)?;
            tx.audit(entry);
            tx.put(&ADOPTED, &name, &Adopted { owner, note, adopted: tx.now() })
        };
        self.store.write(change).await
    }

    /// What releasing would end, a sentence each. It fails as that would.
    pub async fn plan_release(&self, name: &AccountName) -> Result<Vec<String>> {
        let (users, holders) = self.store.read(|tx| {
            if tx.get(&ADOPTED, name)?.is_some() {
                return Ok((vec![name.clone()], 0));
            }
            let record: Option<Record> = match self.id(name) {
                Ok(id) => tx.get(&RECORDS, &id)?,
                Err(_) => None,
            };
            let users = record.map_or_else(Vec::new, |record| record.users);
            let mut holders = 0;
            for user in &users {
                holders += held::of(tx, user)?.0.map_or(0, |holders| holders.len());
            }
            Ok((users, holders))
        })?;
        if users.is_empty() {
            return Err(not_ours(name));
        }
        let users: Vec<&str> = users.iter().map(AccountName::as_str).collect();
        let mut effects = vec![
            format!(
                "Nobody here answers any more for {}, and nothing of it changes at the broker.",
                users.join(" and ")
            ),
            "It is neither watched nor rotated, and has to be deleted there when it is not needed.".to_owned(),
        ];
        if holders > 0 {
            effects.push(format!("{holders} were lent its password, which goes on to work for them."));
        }
        Ok(effects)
    }

    /// Gives a user that was adopted, or all users of an account, back as they are.
    ///
    /// # Errors
    /// `NotFound` for a name that is neither. `Conflict` while the broker was not told all of it, or a rotation is going on.
    pub async fn release(&self, name: &AccountName, caller: &Caller) -> Result<()> {
        let (this, name, caller) = (self.clone(), name.clone(), caller.clone());
        self.store.write(move |tx| this.give_back(tx, &name, &caller)).await
    }

    fn give_back(&self, tx: &mut WriteTx<'_, '_>, name: &AccountName, caller: &Caller) -> Result<()> {
        let users = if tx.get(&ADOPTED, name)?.is_some() {
            tx.delete(&ADOPTED, name);
            self.accounts.release(tx, name, &Owner::Adopted)?;
            held::forget(tx, name);
            vec![name.clone()]
        } else if self.declared().is_ok() {
            let (id, owner) = (self.id(name)?, self.owner()?);
            let record = tx.get(&RECORDS, &id)?.ok_or_else(|| not_ours(name))?;
            if record.incoming || record.closes(tx.now()).is_some() {
                return Err(Error::conflict(format!(
                    "the password of `{name}` is being replaced just now: release it when that is through"
                )));
            }
            for user in &record.users {
                self.accounts.release(tx, user, &owner)?;
                held::forget(tx, user);
            }
            tx.delete(&RECORDS, &id);
            record.users
        } else {
            return Err(not_ours(name));
        };
        let names: Vec<&str> = users.iter().map(AccountName::as_str).collect();
        tx.audit(caller.note(Action::RelayRelease, name).with("users", names));
        Ok(())
    }
}

fn not_ours(name: &AccountName) -> Error {
    Error::not_found(format!("`{name}` is neither an adopted user nor an account of the relay that was applied"))
}
