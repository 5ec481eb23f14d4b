//! `reconcile`: compares what the broker has with what it should have, and puts back what differs.

use std::collections::HashMap;

use futures_util::StreamExt;

use super::{ACCOUNTS, Account, Accounts, Login, MARKS, Marks};
use crate::base::audit::{Action, Actor, Note};
use crate::base::{AccountName, Result, VhostName};
use crate::domain::auth::Caller;
use crate::ports::broker::{Access, Permission, User};
use crate::store::WriteTx;

/// Accounts read or marked per transaction: bounds memory, and lets requests in between.
pub(super) const CHUNK: usize = 250;
/// Accounts settled side by side: the broker gains nothing beyond eight writers (rabbitmq.md 3).
const WRITERS: usize = 8;
/// The name of the loop, in the audit log and on the console.
const LOOP: &str = "reconcile";

/// What one pass of reconciliation found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Accounts looked at.
    pub seen: usize,
    /// Of these, how many the broker had otherwise than wished.
    pub drifted: usize,
    /// How many were put right.
    pub settled: usize,
    /// How many could not be put right now; the next pass tries again.
    pub failed: usize,
}

/// What the broker has, by user.
struct Found {
    /// Wish and settlement of every account when we began to ask. What moved on since is not in the answer; a moment
    /// would not tell, because clocks are set back.
    asked_for: HashMap<AccountName, (u64, u64)>,
    users: HashMap<String, Vec<String>>,
    permissions: HashMap<String, Vec<(String, Access)>>,
}

impl Accounts {
    /// One pass over all accounts. It visits every one even when some fail, and is safe at any time.
    pub async fn reconcile(&self) -> Result<Reconciled> {
        let found = self.found().await?;
        let (mut report, mut chunks) = (Reconciled::default(), self.store.chunks(&ACCOUNTS, CHUNK));
        while let Some(rows) = chunks.next().await? {
            report.seen += rows.len();
            let drifts: Vec<_> =
                found.drifts(&rows).map(|(name, account, what)| (name.clone(), account.wish, what)).collect();
            report.drifted += drifts.len();
            let drifted: Vec<_> = drifts.iter().map(|(name, ..)| name.clone()).collect();
            self.mark(drifts).await?;
            let unsettled = rows.into_iter().filter(|(_, account)| !account.is_settled()).map(|(name, _)| name);
            let unsettled: Vec<_> = unsettled.filter(|name| !drifted.contains(name)).collect();
            self.put_right(unsettled.into_iter().chain(drifted), &found, &mut report).await;
        }
        Ok(report)
    }

    /// What a pass would put right, and why.
    pub async fn drifts(&self) -> Result<Vec<(AccountName, String)>> {
        let found = self.found().await?;
        let (mut all, mut chunks) = (Vec::new(), self.store.chunks(&ACCOUNTS, CHUNK));
        while let Some(rows) = chunks.next().await? {
            all.extend(found.drifts(&rows).map(|(name, _, what)| (name.clone(), what)));
            let unsettled = rows.into_iter().filter(|(_, account)| !account.is_settled());
            all.extend(unsettled.map(|(name, _)| (name, "the broker was not told yet".to_owned())));
        }
        Ok(all)
    }

    async fn found(&self) -> Result<Found> {
        let broker = self.broker()?;
        let asked_for = self.revisions().await?;
        Ok(Found::new(asked_for, broker.users().await?, broker.permissions().await?))
    }

    /// How far every account was when we began to ask the broker.
    async fn revisions(&self) -> Result<HashMap<AccountName, (u64, u64)>> {
        let survey = self.store.survey(|tx| {
            let mut all = HashMap::new();
            tx.each(&MARKS, |name, Marks { wish, settled, .. }| _ = all.insert(name, (wish, settled)))?;
            Ok(all)
        });
        survey.await
    }

    /// Notes that the broker has these accounts otherwise, so that settling them has work to do.
    async fn mark(&self, drifts: Vec<(AccountName, u64, String)>) -> Result<()> {
        if drifts.is_empty() {
            return Ok(());
        }
        self.store
            .write(move |tx| {
                for (name, wish, what) in drifts {
                    mark(tx, &name, wish, what)?;
                }
                Ok(())
            })
            .await
    }

    async fn put_right(&self, names: impl Iterator<Item = AccountName>, found: &Found, report: &mut Reconciled) {
        let outcomes: Vec<bool> = futures_util::stream::iter(names)
            .map(|name| async move {
                let strays = self.remove_strays(&name, found).await;
                let settled = self.settle(&[name], &Caller::of_loop(LOOP), |_| Ok(())).await;
                strays.is_ok() && settled.is_ok()
            })
            .buffer_unordered(WRITERS)
            .collect()
            .await;
        report.settled += outcomes.iter().filter(|done| **done).count();
        report.failed += outcomes.iter().filter(|done| !**done).count();
    }

    /// Takes away access to vhosts other than the account's own, which `put_user` leaves as it is.
    async fn remove_strays(&self, name: &AccountName, found: &Found) -> Result<()> {
        let Some(account) = self.store.read(|tx| tx.get(&ACCOUNTS, name))? else { return Ok(()) };
        for vhost in found.strays(name, &account) {
            let vhost = VhostName::parse(vhost)?;
            self.broker()?.delete_permission(&vhost, name).await?;
        }
        Ok(())
    }
}

fn mark(tx: &mut WriteTx<'_, '_>, name: &AccountName, wish: u64, what: String) -> Result<()> {
    // A newer wish is settled by whoever made it.
    let Some(mut account) = tx.get(&ACCOUNTS, name)?.filter(|account| account.wish == wish) else { return Ok(()) };
    account.wish += 1;
    account.access_settled = false;
    tx.put(&ACCOUNTS, name, &account)?;
    tracing::warn!(account = %name, "the broker had `{name}` otherwise than wished: {what}");
    tx.audit(Note::done(Actor::Loop(LOOP.into()), Action::AccountDrift, name).with("what", what));
    Ok(())
}

impl Found {
    fn new(asked_for: HashMap<AccountName, (u64, u64)>, users: Vec<User>, permissions: Vec<Permission>) -> Self {
        let mut by_user: HashMap<String, Vec<(String, Access)>> = HashMap::new();
        for Permission { vhost, user, access } in permissions {
            by_user.entry(user).or_default().push((vhost, access));
        }
        Self { asked_for, users: users.into_iter().map(|user| (user.name, user.tags)).collect(), permissions: by_user }
    }

    /// The accounts among these that the broker has otherwise than it had. One whose new wish it was not told yet is
    /// among them when it is known to have had its access.
    fn drifts<'r>(
        &'r self,
        rows: &'r [(AccountName, Account)],
    ) -> impl Iterator<Item = (&'r AccountName, &'r Account, String)> {
        let known = rows.iter().filter(|(name, account)| {
            let is_gone = matches!(account.login, Login::Gone);
            account.access_settled && !is_gone && self.asked_for.get(name) == Some(&(account.wish, account.settled))
        });
        known.filter_map(|(name, account)| Some((name, account, self.differs(name, account)?)))
    }

    /// What the broker has otherwise, in words. Passwords cannot be compared (rabbitmq.md, fact 10).
    fn differs(&self, name: &AccountName, account: &Account) -> Option<String> {
        let Some(tags) = self.users.get(name.as_str()) else { return Some("the user is gone".into()) };
        if !same_set(tags, &account.tags) {
            return Some(format!("its tags are [{}]", tags.join(", ")));
        }
        let own = self.granted(name).iter().find(|(vhost, _)| vhost == account.vhost.as_str());
        match own {
            None => Some("its permissions are gone".into()),
            Some((_, access)) if *access != account.access() => Some("its permissions were changed".into()),
            Some(_) => self.strays(name, account).next().map(|vhost| format!("it may enter the vhost {vhost}")),
        }
    }

    fn granted(&self, name: &AccountName) -> &[(String, Access)] {
        self.permissions.get(name.as_str()).map_or(&[], Vec::as_slice)
    }

    fn strays<'f>(&'f self, name: &AccountName, account: &Account) -> impl Iterator<Item = &'f str> {
        let own = account.vhost.clone();
        self.granted(name).iter().map(|(vhost, _)| vhost.as_str()).filter(move |vhost| *vhost != own.as_str())
    }
}

pub(super) fn same_set(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().all(|tag| b.contains(tag))
}
