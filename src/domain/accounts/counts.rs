//! How accounts stand: one, and all of them.

use std::collections::HashSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::Accounts;
use super::record::{ACCOUNTS, Login, LoginKind, MARKS, SETTLED};
use crate::base::{AccountName, Result};
use crate::store::{ReadTx, Survey};

/// How all accounts stand.
#[derive(Debug, Default)]
pub struct AccountCounts {
    /// How many there are.
    pub count: u64,
    /// Of these, how many some broker is not known to have as wished.
    pub unsettled: u64,
    /// Those that cannot log in.
    pub unusable: HashSet<AccountName>,
}

/// How an account stands, for operators.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Standing")]
pub struct AccountStatus {
    /// The broker user.
    pub account: AccountName,
    /// Whether it may log in.
    pub usable: bool,
    /// Whether the broker is known to be as we wish.
    pub settled: bool,
}

impl Accounts {
    /// How an account stands; `None` when we do not answer for it.
    pub fn status(&self, tx: &ReadTx<'_>, name: &AccountName) -> Result<Option<AccountStatus>> {
        let account = tx.get(&SETTLED, name)?;
        Ok(account.map(|account| AccountStatus {
            account: name.clone(),
            usable: matches!(account.login, Login::Password(_) | Login::Kept),
            settled: account.is_settled(&self.sites),
        }))
    }

    /// How all accounts stand. Read anew when one of them has changed.
    pub async fn counts(&self) -> Result<Arc<AccountCounts>> {
        let sites = Arc::clone(&self.sites);
        let read = move |tx: &Survey<'_>| {
            let mut counts = AccountCounts::default();
            tx.each(&MARKS, |name, marks| {
                counts.count += 1;
                counts.unsettled += u64::from(!marks.is_settled(&sites));
                if matches!(marks.login, LoginKind::Locked | LoginKind::Gone) {
                    counts.unusable.insert(name);
                }
            })?;
            Ok(counts)
        };
        self.counts.get(&self.store, &ACCOUNTS, read).await
    }
}
