//! How accounts stand: one, and all of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::Accounts;
use super::record::{ACCOUNTS, LoginKind, MARKS};
use super::site::Site;
use crate::base::{AccountName, Result, SiteName};
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
    /// Brokers that the settings have no more, and how many accounts were told to each.
    pub left_at: BTreeMap<SiteName, u64>,
}

/// How an account stands, for operators.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Standing")]
pub struct AccountStatus {
    /// The broker user.
    pub account: AccountName,
    /// Whether it may log in.
    pub usable: bool,
    /// Whether every broker is known to be as we wish.
    pub settled: bool,
    /// The same of each, where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sites: BTreeMap<SiteName, bool>,
}

impl Accounts {
    /// How an account stands; `None` when we do not answer for it.
    pub fn status(&self, tx: &ReadTx<'_>, name: &AccountName) -> Result<Option<AccountStatus>> {
        let Some(marks) = tx.get(&MARKS, name)? else { return Ok(None) };
        let settled = |site: &Site| Some((site.name.clone(), marks.is_settled_at(site)?));
        let sites: BTreeMap<_, _> = self.sites.iter().filter_map(settled).collect();
        Ok(Some(AccountStatus {
            account: name.clone(),
            usable: matches!(marks.login, LoginKind::Password(_) | LoginKind::Kept),
            settled: sites.values().all(|settled| *settled),
            sites: if sites.len() > 1 { sites } else { BTreeMap::new() },
        }))
    }

    /// How all accounts stand. Read anew when one of them has changed.
    pub async fn counts(&self) -> Result<Arc<AccountCounts>> {
        let sites = Arc::clone(&self.sites);
        let read = move |tx: &Survey<'_>| {
            let mut counts = AccountCounts::default();
            tx.each(&MARKS, |name, marks| {
                counts.count += 1;
                counts.unsettled += u64::from(sites.iter().any(|site| marks.is_settled_at(site) == Some(false)));
                for left in marks.settled.into_keys().filter(|name| sites.iter().all(|site| site.name != *name)) {
                    *counts.left_at.entry(left).or_default() += 1;
                }
                if matches!(marks.login, LoginKind::Locked | LoginKind::Gone) {
                    counts.unusable.insert(name);
                }
            })?;
            Ok(counts)
        };
        self.counts.get(&self.store, &ACCOUNTS, read).await
    }
}
