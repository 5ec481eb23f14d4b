//! All accounts of one owner who declares them: what the main broker has of them, and of users that are nobody's here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::drift::{CHUNK, Drift};
use super::record::{ACCOUNTS, Account, Login, MARKS};
use super::{Accounts, Owner, Terms, require_owner};
use crate::base::{AccountName, Error, Result, SiteName, VhostName};
use crate::store::WriteTx;

/// The users of the main broker, and which of them are whose.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// All users there.
    pub users: BTreeSet<String>,
    /// The accounts of the owner who asked.
    pub owned: BTreeMap<AccountName, Owned>,
    /// Those of others, whether they are there or not.
    pub others: BTreeMap<AccountName, Owner>,
    /// Of these, what those may do that were adopted.
    pub adopted: BTreeMap<AccountName, Terms>,
}

/// An account of the owner who asked, and how the main broker has it.
#[derive(Clone, Debug, Default)]
pub struct Owned {
    /// What it should be.
    pub terms: Terms,
    /// Whether it should be gone.
    pub is_leaving: bool,
    /// Whether the broker was ever told of it: if not, a user of its name is somebody else's.
    pub is_told: bool,
    /// Whether the broker is known to have carried out the last wish.
    pub is_settled: bool,
    /// What the broker has otherwise than it had, in words.
    pub drift: Option<String>,
    /// Whether it has a password that only the broker knows. Its end is the end of our record.
    pub keeps_login: bool,
    /// Whether that can be put right with a new password only: the present one is the broker's alone.
    pub needs_password: bool,
    /// Where the user has something beside its terms.
    pub strays: Vec<VhostName>,
}

impl Accounts {
    /// Asks the main broker for all users. It is all of it or an error.
    pub async fn census(&self, owner: &Owner) -> Result<Census> {
        let site = self.main();
        let found = self.look(site).await?;
        let mut census = Census { users: found.users.keys().cloned().collect(), ..Census::default() };
        let mut chunks = self.store.chunks(&ACCOUNTS, CHUNK);
        while let Some(rows) = chunks.next().await? {
            let (ours, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, account)| account.owner == *owner);
            for (name, Account { owner, terms, .. }) in others {
                if owner == Owner::Adopted {
                    census.adopted.insert(name.clone(), terms);
                }
                census.others.insert(name, owner);
            }
            let passwords = self.passwords(&ours)?;
            let mut drifts: HashMap<AccountName, Drift> =
                found.drifts(&ours, &passwords).map(|drift| (drift.account.clone(), drift)).collect();
            for (name, account) in ours {
                let mut strays = BTreeSet::new();
                if drifts.contains_key(&name) {
                    let all = found.strays(&name, &account.terms).chain(found.stray_topics(&name, &account.terms));
                    strays.extend(all.filter_map(|vhost| VhostName::parse(vhost).ok()));
                }
                let drift = drifts.remove(&name);
                let owned = Owned {
                    is_leaving: matches!(account.login, Login::Gone),
                    is_told: account.settled.contains_key(&site.name),
                    is_settled: account.is_settled_at(site),
                    keeps_login: matches!(account.login, Login::Kept),
                    needs_password: drift.as_ref().is_some_and(|drift| !drift.is_mendable),
                    drift: drift.map(|drift| drift.what),
                    strays: strays.into_iter().collect(),
                    terms: account.terms,
                };
                census.owned.insert(name, owned);
            }
        }
        Ok(census)
    }

    /// Has the main broker told of an account again, and what its user has in these vhosts beside its terms taken away. The
    /// caller's audit entry covers it.
    ///
    /// # Errors
    /// `Conflict` when it is somebody else's.
    pub fn tell_again(
        &self,
        tx: &mut WriteTx<'_, '_>,
        name: &AccountName,
        owner: &Owner,
        strays: &[VhostName],
    ) -> Result<()> {
        let Some(mut account) = tx.get(&ACCOUNTS, name)? else { return Ok(()) };
        require_owner(name, &account, owner)?;
        account.tell_again_at(&SiteName::main());
        take_away(&mut account, strays);
        tx.put(&ACCOUNTS, name, &account)
    }

    /// Deletes a user of the main broker for whom nobody here answers. False when there was none.
    ///
    /// # Errors
    /// `Conflict` when it is an account.
    pub async fn delete_stranger(&self, name: &AccountName) -> Result<bool> {
        if self.store.read(|tx| tx.get(&MARKS, name))?.is_some() {
            return Err(Error::conflict(format!("the broker user `{name}` is an account of ours")));
        }
        self.main().users.get()?.delete_user(name).await
    }
}

fn take_away(account: &mut Account, strays: &[VhostName]) {
    for vhost in strays {
        if !account.leaving.vhosts.contains(vhost) {
            account.leaving.vhosts.push(vhost.clone());
        }
    }
    account.leaving.limits = true;
}
