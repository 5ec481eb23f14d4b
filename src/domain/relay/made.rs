//! The records of accounts: made when an account is applied, gone when it ends, and how each account stands by its own.

use super::Relay;
use super::adopt::ADOPTED;
use super::record::{AccountId, RECORDS, Record};
use crate::base::{AccountName, Result, Secret, Timestamp};
use crate::domain::accounts::{LoginWish, Owner, Terms, Wish, held};
use crate::proto::relay_profile::Account;
use crate::store::WriteTx;

/// How an account stands that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When it got another password last.
    pub rotated: Option<Timestamp>,
    /// When it gets another one by itself, if it ever does.
    pub next_rotation: Option<Timestamp>,
    /// Until when the present password was promised, if it was.
    pub promised_until: Option<Timestamp>,
    /// How many hold a password of it that works; of very many only the last ones are known.
    pub holders: usize,
}

impl Relay {
    pub(super) fn id(&self, account: &AccountName) -> Result<AccountId> {
        Ok(AccountId { relay: self.declared()?.profile.name().to_owned(), account: account.clone() })
    }

    /// The record of an account, if all its users were applied as they are declared now.
    pub(super) fn applied(&self, tx: &WriteTx<'_, '_>, account: &Account) -> Result<Option<Record>> {
        let record = tx.get(&RECORDS, &self.id(&account.name)?)?.filter(|record| record.fits(account));
        let owner = self.owner()?;
        for user in record.iter().flat_map(|record| &record.users) {
            if !self.accounts.owns(tx, user, &owner)? {
                return Ok(None);
            }
        }
        Ok(record)
    }

    /// How an account stands; `None` while it is not applied.
    pub fn standing(&self, account: &Account) -> Result<Option<Standing>> {
        let id = self.id(&account.name)?;
        self.store.read(|tx| {
            let Some(record) = tx.get(&RECORDS, &id)?.filter(|record| record.fits(account)) else { return Ok(None) };
            let mut holders = 0;
            for user in &record.users {
                holders += held::of(tx, user)?.0.map_or(0, |holders| holders.len());
            }
            Ok(Some(Standing {
                rotated: record.rotated,
                next_rotation: record.next_rotation.filter(|_| account.rotation.is_some()),
                promised_until: Some(record.promised_until).filter(|until| *until > Timestamp::MIN),
                holders,
            }))
        })
    }

    /// The record of an account that is declared, or a new one if it has none with the users that are declared now.
    fn record_of(&self, tx: &WriteTx<'_, '_>, account: &AccountName) -> Result<(AccountId, Record)> {
        let (account, id) = (self.account(account)?, self.id(account)?);
        let before = tx.get(&RECORDS, &id)?.filter(|record| record.fits(&account));
        let record = before.unwrap_or_else(|| Record::new(&account, tx.now()));
        Ok((id, record))
    }

    /// Writes down that a user of an account should be there, with a new password if it is its turn. The password is of
    /// `A-Za-z0-9_-`: some programs put it into a URL as it is (mig.md 3).
    pub(super) fn make(
        &self,
        tx: &mut WriteTx<'_, '_>,
        account: &AccountName,
        user: &AccountName,
        terms: Terms,
    ) -> Result<()> {
        let (id, mut record) = self.record_of(tx, account)?;
        record.was_remade(user);
        let login = if record.lends(user) { LoginWish::Password(Secret::generate()) } else { LoginWish::Locked };
        held::forget_holders(tx, user)?;
        tx.put(&RECORDS, &id, &record)?;
        self.accounts.wish(tx, user, Wish { owner: self.owner()?, login, terms })
    }

    /// Writes down that a user which was adopted is one of an account from now on. It keeps its password.
    pub(super) fn take_over(
        &self,
        tx: &mut WriteTx<'_, '_>,
        account: &AccountName,
        user: &AccountName,
        terms: Terms,
    ) -> Result<()> {
        let (id, record) = self.record_of(tx, account)?;
        tx.put(&RECORDS, &id, &record)?;
        tx.delete(&ADOPTED, user);
        self.accounts.hand_over(tx, user, [&Owner::Adopted, &self.owner()?], terms)
    }

    /// Forgets what was kept of an account beside this user, which goes.
    pub(super) fn forget(&self, tx: &mut WriteTx<'_, '_>, user: &AccountName) -> Result<()> {
        held::forget(tx, user);
        // The account is declared no more, or with other users: its name is that of the user, or that without the turn.
        let in_turn = user.as_str().strip_suffix("-1").or_else(|| user.as_str().strip_suffix("-2"));
        for name in [Some(user.as_str()), in_turn].into_iter().flatten() {
            let Ok(name) = AccountName::parse(name) else { continue };
            let id = self.id(&name)?;
            let record: Option<Record> = tx.get(&RECORDS, &id)?;
            if record.is_some_and(|record| record.users.contains(user)) {
                tx.delete(&RECORDS, &id);
            }
        }
        Ok(())
    }

    /// Makes the records that accounts lack which are there: a version before this one made them.
    pub(super) fn record_all(&self, tx: &mut WriteTx<'_, '_>) -> Result<()> {
        let (declared, owner) = (self.declared()?, self.owner()?);
        for account in declared.profile.accounts() {
            let id = self.id(&account.name)?;
            let has_record = tx.get(&RECORDS, &id)?.is_some_and(|record| record.fits(account));
            let is_there = || account.users().iter().map(|user| self.accounts.owns(tx, user, &owner)).collect();
            let all: Result<Vec<bool>> = if has_record { Ok(Vec::new()) } else { is_there() };
            let all = all?;
            if !all.is_empty() && all.into_iter().all(|is_there| is_there) {
                tx.put(&RECORDS, &id, &Record::new(account, tx.now()))?;
            }
        }
        Ok(())
    }
}
