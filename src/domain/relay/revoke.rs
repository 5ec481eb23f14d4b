//! Revoking: all passwords of an account end now, whatever was promised, and so do the connections that use them.

use super::record::RECORDS;
use super::{Relay, not_applied};
use crate::base::audit::Action;
use crate::base::{AccountName, Result, Secret};
use crate::domain::accounts::{LoginWish, held};
use crate::domain::auth::Caller;
use crate::proto::relay_profile::Account;
use crate::store::WriteTx;

impl Relay {
    /// Ends the passwords of an account now: the active user gets a new one, one that rests gets none, and their connections are
    /// closed. Whoever asks then gets the new password.
    ///
    /// **Invariant:** this is the one place where the promise of two that take turns is broken, on purpose and with a reason. It
    /// may be repeated: after a crash the passwords are brought to the broker by `reconcile` and the connections closed by
    /// `rotate`, and who held them is forgotten only when the connections are closed, too.
    pub async fn revoke(&self, name: &AccountName, caller: &Caller) -> Result<()> {
        self.check_names()?;
        let (this, account, by) = (self.clone(), self.account(name)?, caller.clone());
        let users = self.store.write(move |tx| this.replace_all(tx, &account, &by)).await?;
        self.accounts.settle(&users, caller, |_| Ok(())).await?;
        self.close(name, caller).await
    }

    fn replace_all(&self, tx: &mut WriteTx<'_, '_>, account: &Account, caller: &Caller) -> Result<Vec<AccountName>> {
        let mut record = self.applied(tx, account)?.ok_or_else(|| not_applied(account))?;
        let (password, owner) = (Secret::generate(), self.owner()?);
        for user in &record.users {
            let login = if record.lends(user) { LoginWish::Password(password.clone()) } else { LoginWish::Locked };
            self.accounts.wish_login(tx, user, &owner, login)?;
            held::revoke_holders(tx, user)?;
        }
        record.restart(account, tx.now());
        tx.put(&RECORDS, &self.id(&account.name)?, &record)?;
        let names: Vec<&str> = record.users.iter().map(AccountName::as_str).collect();
        tx.audit(caller.note(Action::RelayRevoke, &account.name).about(&password).with("accounts", names));
        Ok(record.users)
    }
}
