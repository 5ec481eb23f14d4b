//! Leases: the passwords of accounts that were lent and work now, and who got them.

use super::Relay;
use super::lend::ask_again;
use super::record::{RECORDS, Record};
use crate::base::{AccountName, Result, Timestamp};
use crate::domain::accounts::AccountCounts;
use crate::domain::accounts::held::{self, Connected, HeldBy};
use crate::store::Survey;

/// A password of an account that somebody was lent and that works.
#[derive(Clone, Debug)]
pub struct AccountLease {
    pub account: AccountName,
    /// The broker user whose password it is.
    pub user: AccountName,
    /// Until when it was promised, or when its holder has to ask again. It works until it is replaced, which may be later.
    pub until: Timestamp,
    pub held: HeldBy,
    /// When it was last seen in use.
    pub connected: Option<Connected>,
}

impl Relay {
    /// The passwords of accounts that were lent and work now, in the order of the profile. `counts` is how all broker users stand.
    pub fn leases(&self, tx: &Survey<'_>, counts: &AccountCounts, mut look: impl FnMut(AccountLease)) -> Result<()> {
        let Some(declared) = self.declared().ok() else { return Ok(()) };
        for account in declared.profile.accounts() {
            let record: Option<Record> = tx.get(&RECORDS, &self.id(&account.name)?)?;
            let Some(record) = record.filter(|record| record.fits(account)) else { continue };
            for user in record.users.iter().filter(|user| !counts.unusable.contains(*user)) {
                let (holders, connected) = held::of(tx, user)?;
                for held in holders.unwrap_or_default() {
                    let until =
                        if record.lends(user) { ask_again(&record, account, held.last) } else { record.resting_until };
                    let (account, user, connected) = (account.name.clone(), user.clone(), connected.clone());
                    look(AccountLease { account, user, until, held, connected });
                }
            }
        }
        Ok(())
    }
}
