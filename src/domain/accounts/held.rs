//! Who was lent the passwords that broker users have now, and when each user was last seen connected.
//!
//! Bookkeeping beside the audit log, which has every lend: written with the first lend to somebody, then once a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Accounts;
use crate::base::{AccountName, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::ports::broker::Connection;
use crate::store::{ReadTx, Survey, Table, WriteTx};

/// Who was lent the present password of a broker user.
const HOLDERS: Table<AccountName, Vec<HeldBy>> = Table::plain("namespaces_holders");
/// When a broker user was last seen connected.
const CONNECTED: Table<AccountName, Connected> = Table::plain("namespaces_connected");
/// Holders of one password that are remembered, the last ones; the audit log has all. Every claim reads them.
const HOLDERS_MAX: usize = 32;
/// Between two writes for one holder.
const NOTE_PERIOD: Duration = Duration::from_secs(60);
/// Between two writes for one user that stays connected: people ask about days.
const CONNECTED_PERIOD: Duration = Duration::from_secs(600);
/// Users written in one transaction.
const CHUNK: usize = 250;

/// Somebody who was lent a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBy {
    /// Who, as the audit log names them: `client builds`.
    pub holder: String,
    /// Where they asked from; nowhere for a user of this host.
    pub from: Option<IpAddr>,
    /// When first.
    pub since: Timestamp,
    /// When last, less up to a minute.
    pub last: Timestamp,
    /// When that password was revoked, while connections that use it may be open still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// That a broker user was seen connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// When last, less up to ten minutes.
    pub last: Timestamp,
    /// From where, as the broker says.
    pub from: Option<String>,
}

/// Notes that the password of this account is lent to a caller.
pub(in crate::domain) fn note_holder(tx: &mut WriteTx<'_, '_>, account: &AccountName, caller: &Caller) -> Result<()> {
    let (now, from, holder) = (tx.now(), caller.address(), caller.actor().to_string());
    let mut holders = tx.get(&HOLDERS, account)?.unwrap_or_default();
    match holders.iter_mut().find(|held| held.from == from && held.holder == holder) {
        // Whoever held the former password has another one now.
        Some(held) if held.revoked.is_some() => {
            *held = HeldBy { since: now, last: now, revoked: None, ..held.clone() };
        }
        Some(held) if held.last.is_within(NOTE_PERIOD, now) => return Ok(()),
        Some(held) => held.last = now,
        None => {
            if holders.len() >= HOLDERS_MAX {
                let oldest = holders.iter().enumerate().min_by_key(|(_, held)| held.last).map_or(0, |(place, _)| place);
                holders.swap_remove(oldest);
            }
            holders.push(HeldBy { holder, from, since: now, last: now, revoked: None });
        }
    }
    tx.put(&HOLDERS, account, &holders)
}

/// Notes that nobody was lent the password of an account, because it gets another one.
pub(in crate::domain) fn forget_holders(tx: &mut WriteTx<'_, '_>, account: &AccountName) -> Result<()> {
    tx.put(&HOLDERS, account, &Vec::new())
}

/// Notes that the password of an account was revoked. Who held it is forgotten when its connections are closed, too.
pub(in crate::domain) fn revoke_holders(tx: &mut WriteTx<'_, '_>, account: &AccountName) -> Result<()> {
    let (mut holders, now) = (tx.get(&HOLDERS, account)?.unwrap_or_default(), tx.now());
    for held in &mut holders {
        held.revoked.get_or_insert(now);
    }
    tx.put(&HOLDERS, account, &holders)
}

/// Forgets those whose password was revoked, by a revocation until then: what came later is another password.
pub(in crate::domain) fn forget_revoked(
    tx: &mut WriteTx<'_, '_>,
    account: &AccountName,
    until: Timestamp,
) -> Result<()> {
    let mut holders = tx.get(&HOLDERS, account)?.unwrap_or_default();
    holders.retain(|held| held.revoked.is_none_or(|revoked| revoked > until));
    tx.put(&HOLDERS, account, &holders)
}

/// Forgets an account that goes.
pub(in crate::domain) fn forget(tx: &mut WriteTx<'_, '_>, account: &AccountName) {
    tx.delete(&HOLDERS, account);
    tx.delete(&CONNECTED, account);
}

/// Who was lent a present password of these users last.
pub fn last_holder(tx: &ReadTx<'_>, accounts: &[AccountName]) -> Result<Option<HeldBy>> {
    let holders = accounts.iter().map(|account| Ok(tx.get(&HOLDERS, account)?.unwrap_or_default()));
    let holders = holders.collect::<Result<Vec<_>>>()?;
    Ok(holders.into_iter().flatten().max_by_key(|held| held.last))
}

/// Who was lent a present password last, by broker user.
pub fn last_holders(tx: &Survey<'_>) -> Result<HashMap<AccountName, HeldBy>> {
    let mut all = HashMap::new();
    tx.each(&HOLDERS, |account, holders| {
        all.extend(holders.into_iter().max_by_key(|held| held.last).map(|held| (account, held)));
    })?;
    Ok(all)
}

/// When one of these users was last seen connected.
pub fn last_connected(tx: &ReadTx<'_>, accounts: &[AccountName]) -> Result<Option<Timestamp>> {
    let seen = accounts.iter().map(|account| Ok(tx.get(&CONNECTED, account)?.map(|connected| connected.last)));
    Ok(seen.collect::<Result<Vec<_>>>()?.into_iter().flatten().max())
}

/// Something of each broker user.
type ByUser<T> = HashMap<AccountName, T>;

/// Who was lent the present passwords, and when each user was last seen connected.
pub fn all(tx: &Survey<'_>) -> Result<(ByUser<Vec<HeldBy>>, ByUser<Connected>)> {
    let (mut holders, mut connected) = (HashMap::new(), HashMap::new());
    tx.each(&HOLDERS, |account, held| {
        holders.insert(account, held);
    })?;
    tx.each(&CONNECTED, |account, seen| {
        connected.insert(account, seen);
    })?;
    Ok((holders, connected))
}

/// The same of one of them. Of a password from before the version that writes this down nobody knows who got it.
pub fn of(tx: &ReadTx<'_>, account: &AccountName) -> Result<(Option<Vec<HeldBy>>, Option<Connected>)> {
    Ok((tx.get(&HOLDERS, account)?, tx.get(&CONNECTED, account)?))
}

impl Accounts {
    /// Notes which of our users these connections belong to. What was written in the last ten minutes is not written
    /// again.
    pub async fn note_connected(&self, connections: &[Connection]) -> Result<()> {
        let mut due = Vec::new();
        self.store.read(|tx| {
            for connection in connections {
                let Ok(account) = AccountName::parse(&connection.user) else { continue };
                let noted = tx.get(&CONNECTED, &account)?;
                let is_noted = noted.is_some_and(|noted| noted.last.is_within(CONNECTED_PERIOD, tx.now()));
                if !is_noted && self.status(tx, &account)?.is_some() {
                    due.push((account, connection.peer_host.clone()));
                }
            }
            Ok(())
        })?;
        due.sort();
        due.dedup_by(|one, other| one.0 == other.0);
        for chunk in due.chunks(CHUNK) {
            let (chunk, accounts) = (chunk.to_vec(), self.clone());
            self.store
                .write(move |tx| {
                    for (account, from) in chunk {
                        if accounts.exists(tx, &account)? {
                            tx.put(&CONNECTED, &account, &Connected { last: tx.now(), from })?;
                        }
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }
}
