//! `reconcile`: compares what the broker has with what it should have, and puts back what differs.

use std::borrow::Cow;
use std::collections::HashMap;

use futures_util::StreamExt;
use futures_util::future::join_all;

use super::record::{ACCOUNTS, Account, Login, MARKS, Marks};
use super::site::Site;
use super::{Accounts, Grant, OnDrift, Owner, Terms};
use crate::base::audit::{Action, Actor, Note};
use crate::base::{AccountName, Kind, Result, Secret, SiteName, VhostName};
use crate::domain::auth::Caller;
use crate::ports::broker::{self, Access, Limits, Permission, TopicAccess, TopicPermission, User};
use crate::store::WriteTx;

/// Accounts read or marked per transaction: bounds memory, and lets requests in between.
pub(super) const CHUNK: usize = 250;
/// Accounts settled side by side: the broker gains nothing beyond eight writers (rabbitmq.md 3).
pub(super) const WRITERS: usize = 8;
/// The name of the loop, in the audit log and on the console.
pub(super) const LOOP: &str = "reconcile";

/// Drifts of one pass that are told one by one.
const REPORTED_MAX: usize = 100;

/// What one pass of reconciliation found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Accounts looked at.
    pub seen: usize,
    /// Of these, how many a broker had otherwise than wished, and not by the wish that it is only said.
    pub drifted: usize,
    /// How many were put right.
    pub settled: usize,
    /// How many could not be put right now; the next pass tries again.
    pub failed: usize,
    /// Those that a broker has otherwise and that are left so, and how; the first hundred.
    pub reported: Vec<Drift>,
}

/// What a broker has otherwise than wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Which account.
    pub account: AccountName,
    /// How, in words.
    pub what: String,
    /// Whether it is left so: because that is wished, or because it cannot be mended here.
    pub is_left: bool,
    /// Whether it could be mended here: what goes with a password cannot while only the broker knows that.
    pub is_mendable: bool,
    /// The wish that it is measured by.
    wish: u64,
}

/// What a broker has, by user.
pub(super) struct Found<'s> {
    site: &'s Site,
    /// Wish and settlement of every account when we began to ask. What moved on since is not in the answer; a moment
    /// would not tell, because clocks are set back.
    asked_for: HashMap<AccountName, Revision>,
    pub users: HashMap<String, User>,
    permissions: HashMap<String, Vec<(String, Access)>>,
    topics: HashMap<String, Vec<(String, TopicAccess)>>,
    limits: HashMap<String, Limits>,
}

/// Passwords by account.
pub(super) type Passwords = HashMap<AccountName, Secret>;

/// How far an account was with a broker.
type Revision = (u64, Option<u64>);

fn revision(account: &Account, site: &SiteName) -> Revision {
    (account.wish, account.settled.get(site).copied())
}

impl Accounts {
    /// One pass over all accounts at all brokers, side by side: none waits for another. It visits every account even when
    /// some fail, and is safe at any time.
    pub async fn reconcile(&self) -> Result<Reconciled> {
        let passes = join_all(self.sites.iter().map(async |site| {
            let mut report = Reconciled::default();
            self.reconcile_at(site, &mut report).await.map(|()| report)
        }));
        let passes = passes.await.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(passes.into_iter().reduce(Reconciled::and).unwrap_or_default())
    }

    async fn reconcile_at(&self, site: &Site, report: &mut Reconciled) -> Result<()> {
        let found = self.look(site).await?;
        let mut chunks = self.store.chunks(&ACCOUNTS, CHUNK);
        while let Some(rows) = chunks.next().await? {
            report.seen += rows.len();
            let (left, drifts): (Vec<_>, Vec<_>) =
                found.drifts(&rows, &self.passwords(&rows)?).partition(|drift| drift.is_left);
            report.drifted += drifts.len();
            report.reported.extend(left);
            report.reported.truncate(REPORTED_MAX);
            let drifted: Vec<_> = drifts.iter().map(|drift| drift.account.clone()).collect();
            self.mark(site, drifts).await?;
            let unsettled = rows.into_iter().filter(|(_, account)| !account.is_settled_at(site));
            let unsettled: Vec<_> = unsettled.map(|(name, _)| name).filter(|name| !drifted.contains(name)).collect();
            self.put_right(unsettled.into_iter().chain(drifted), &found, report).await;
        }
        Ok(())
    }

    /// What a pass would find, and what of it it would put right.
    pub async fn drifts(&self) -> Result<Vec<Drift>> {
        let mut all = Vec::new();
        for site in self.sites.iter() {
            let (found, mut chunks) = (self.look(site).await?, self.store.chunks(&ACCOUNTS, CHUNK));
            while let Some(rows) = chunks.next().await? {
                all.extend(found.drifts(&rows, &self.passwords(&rows)?));
                let unsettled = rows.into_iter().filter(|(_, account)| !account.is_settled_at(site));
                let what = site.name.says("the broker was not told yet".to_owned());
                all.extend(unsettled.map(|(name, Account { wish, .. })| Drift {
                    account: name,
                    what: what.clone(),
                    is_left: false,
                    is_mendable: true,
                    wish,
                }));
            }
        }
        Ok(all)
    }

    /// The passwords of these accounts, to be compared with the broker's hashes.
    pub(super) fn passwords(&self, rows: &[(AccountName, Account)]) -> Result<Passwords> {
        self.store.read(|tx| {
            let known = rows.iter().filter_map(|(name, account)| match &account.login {
                Login::Password(sealed) => Some(tx.open(&ACCOUNTS, name, sealed).map(|open| (name.clone(), open))),
                Login::Locked | Login::Gone | Login::Kept => None,
            });
            known.collect()
        })
    }

    pub(super) async fn look<'s>(&self, site: &'s Site) -> Result<Found<'s>> {
        self.ask(site).await.map_err(|error| site.name_error(error))
    }

    async fn ask<'s>(&self, site: &'s Site) -> Result<Found<'s>> {
        let broker = site.users.get()?;
        let asked_for = self.revisions(&site.name).await?;
        let users = broker.users().await?.into_iter().map(|user| (user.name.clone(), user)).collect();
        let mut permissions: HashMap<String, Vec<(String, Access)>> = HashMap::new();
        for Permission { vhost, user, access } in broker.permissions().await? {
            permissions.entry(user).or_default().push((vhost, access));
        }
        let mut topics: HashMap<String, Vec<(String, TopicAccess)>> = HashMap::new();
        for TopicPermission { vhost, user, access } in broker.topic_permissions().await? {
            topics.entry(user).or_default().push((vhost, access));
        }
        let limits = broker.limits().await?.into_iter().map(|each| (each.user, each.limits)).collect();
        Ok(Found { site, asked_for, users, permissions, topics, limits })
    }

    /// How far every account was when we began to ask the broker.
    async fn revisions(&self, site: &SiteName) -> Result<HashMap<AccountName, Revision>> {
        let site = site.clone();
        let survey = self.store.survey(move |tx| {
            let mut all = HashMap::new();
            tx.each(&MARKS, |name, Marks { wish, settled, .. }| {
                _ = all.insert(name, (wish, settled.get(&site).copied()));
            })?;
            Ok(all)
        });
        survey.await
    }

    /// Notes that the broker has these accounts otherwise, so that settling them has work to do.
    async fn mark(&self, site: &Site, drifts: Vec<Drift>) -> Result<()> {
        if drifts.is_empty() {
            return Ok(());
        }
        let site = site.name.clone();
        self.store.write(move |tx| drifts.into_iter().try_for_each(|drift| drift.mark(tx, &site))).await
    }

    async fn put_right(&self, names: impl Iterator<Item = AccountName>, found: &Found<'_>, report: &mut Reconciled) {
        let mut outcomes = futures_util::stream::iter(names)
            .map(|name| async move {
                let strays = self.remove_strays(&name, found).await;
                let one = std::slice::from_ref(&name);
                let settled = self.settle_at(found.site, one, None, &Caller::of_loop(LOOP), |_| Ok(())).await;
                (strays.and(settled), name)
            })
            .buffer_unordered(WRITERS);
        while let Some((outcome, account)) = outcomes.next().await {
            match outcome {
                Ok(()) => report.settled += 1,
                // Somebody else's user has the name. That is no failure that another pass could heal.
                Err(error) if error.kind() == Kind::Conflict => {
                    let what = error.message().to_owned();
                    report.reported.push(Drift { account, what, is_left: true, is_mendable: false, wish: 0 });
                    report.reported.truncate(REPORTED_MAX);
                }
                Err(_) => report.failed += 1,
            }
        }
    }

    /// Takes away what the terms do not have, and settling leaves as it is: access to vhosts that are not granted, and
    /// topics and limits of others.
    async fn remove_strays(&self, name: &AccountName, found: &Found<'_>) -> Result<()> {
        // With a user that is gone all of it went.
        if !found.users.contains_key(name.as_str()) {
            return Ok(());
        }
        let account = self.store.read(|tx| tx.get(&ACCOUNTS, name))?;
        // A broker that was never told of it has somebody else's user of that name.
        let is_told = |account: &Account| account.settled.contains_key(&found.site.name);
        let is_ours = |account: &Account| account.terms.on_drift == OnDrift::Repair && is_told(account);
        let Some(account) = account.filter(is_ours) else { return Ok(()) };
        let (users, terms) = (found.site.users.get()?, found.terms(name, &account));
        for vhost in found.strays(name, &terms) {
            users.delete_permission(&VhostName::parse(vhost)?, name).await?;
        }
        // The broker cannot take one topic away: those that are granted are told again.
        for vhost in found.stray_topics(name, &terms) {
            users.delete_topic_permissions(&VhostName::parse(vhost)?, name).await?;
        }
        if found.limits_differ(name, &terms) {
            users.put_limits(name, &terms.limits.to_broker()).await?;
        }
        Ok(())
    }
}

impl Reconciled {
    /// This pass, and that over the same accounts at another broker.
    fn and(mut self, other: Self) -> Self {
        self.seen = self.seen.max(other.seen);
        self.drifted += other.drifted;
        self.settled += other.settled;
        self.failed += other.failed;
        self.reported.extend(other.reported);
        self.reported.truncate(REPORTED_MAX);
        self
    }
}

impl Drift {
    fn mark(self, tx: &mut WriteTx<'_, '_>, site: &SiteName) -> Result<()> {
        let Self { account: name, what, wish, .. } = self;
        // A newer wish is settled by whoever made it.
        let Some(mut account) = tx.get(&ACCOUNTS, &name)?.filter(|account| account.wish == wish) else {
            return Ok(());
        };
        account.tell_again_at(site);
        tx.put(&ACCOUNTS, &name, &account)?;
        tracing::warn!(account = %name, "the broker had `{name}` otherwise than wished: {what}");
        tx.audit(Note::done(Actor::Loop(LOOP.into()), Action::AccountDrift, &name).with("what", what));
        Ok(())
    }
}

impl Found<'_> {
    /// The accounts among these that the broker has otherwise than it had. One whose new wish it was not told yet is
    /// among them when it is known to have had its terms.
    pub fn drifts<'r>(
        &'r self,
        rows: &'r [(AccountName, Account)],
        passwords: &'r Passwords,
    ) -> impl Iterator<Item = Drift> + 'r {
        let site = &self.site.name;
        let known = rows.iter().filter(move |(name, account)| {
            let is_gone = matches!(account.login, Login::Gone);
            let is_as_it_was = self.asked_for.get(name) == Some(&revision(account, site));
            account.terms_are_settled_at(site) && !is_gone && is_as_it_was
        });
        known.filter_map(|(name, account)| {
            let (what, is_mendable) = self.differs(name, account, passwords)?;
            let is_left = !is_mendable || account.terms.on_drift == OnDrift::Report;
            let what = self.site.name.says(what);
            Some(Drift { account: name.clone(), what, is_left, is_mendable, wish: account.wish })
        })
    }

    /// What the broker has otherwise, in words, and whether we can mend it: who keeps its login keeps its tags, too.
    fn differs(&self, name: &AccountName, account: &Account, passwords: &Passwords) -> Option<(String, bool)> {
        let is_ours = !matches!(account.login, Login::Kept);
        let Some(User { tags, login, .. }) = self.users.get(name.as_str()) else {
            return Some(("the user is gone".into(), is_ours));
        };
        let terms = self.terms(name, account);
        let have_tags = same_set(tags, &terms.tags);
        let tags = (!have_tags).then(|| (format!("its tags are [{}]", tags.join(", ")), is_ours));
        let grants = self.grants_differ(name, &terms).map(|what| (what, true));
        if !is_ours {
            return grants.or(tags);
        }
        let has_login = !account.is_settled_at(self.site) || is_login(login.as_ref(), account, passwords.get(name));
        let login = (!has_login).then(|| ("its password was changed".to_owned(), true));
        tags.or(login).or(grants)
    }

    /// The terms that an account is measured by. Our administrators enter vhosts of relays by themselves, to declare something
    /// there: what they may do in others than their own is no stray.
    fn terms<'a>(&self, name: &AccountName, account: &'a Account) -> Cow<'a, Terms> {
        let mut terms = account.terms.at(self.site);
        if account.owner == Owner::Administrator {
            let strays = self.strays(name, &terms).filter_map(|vhost| VhostName::parse(vhost).ok());
            let may = |vhost: &VhostName| self.granted(name).iter().find(|(other, _)| other == vhost.as_str());
            let entered: Vec<Grant> = strays
                .filter_map(|vhost| may(&vhost).map(|(_, access)| Grant::new(vhost.clone(), access.clone())))
                .collect();
            if !entered.is_empty() {
                terms.to_mut().grants.extend(entered);
            }
        }
        terms
    }

    fn grants_differ(&self, name: &AccountName, terms: &Terms) -> Option<String> {
        for grant in &terms.grants {
            match self.granted(name).iter().find(|(vhost, _)| vhost == grant.vhost.as_str()) {
                None => return Some("its permissions are gone".into()),
                Some((_, access)) if *access != grant.access => return Some("its permissions were changed".into()),
                Some(_) => {}
            }
        }
        if let Some(vhost) = self.strays(name, terms).next() {
            return Some(format!("it may enter the vhost {vhost}"));
        }
        let wished: usize = terms.grants.iter().map(|grant| grant.topics.len()).sum();
        if self.topics_of(name).len() != wished || self.stray_topics(name, terms).next().is_some() {
            return Some("its topic permissions were changed".into());
        }
        self.limits_differ(name, terms).then(|| "its limits were changed".into())
    }

    fn limits_differ(&self, name: &AccountName, terms: &Terms) -> bool {
        self.limits_of(name) != terms.limits.to_broker()
    }

    /// The vhosts in which topics are granted that should not be, or otherwise than they should.
    pub fn stray_topics<'f>(&'f self, name: &AccountName, terms: &'f Terms) -> impl Iterator<Item = &'f str> {
        let is_granted = |vhost: &str, access: &TopicAccess| {
            let here = terms.grants.iter().filter(|grant| grant.vhost.as_str() == vhost);
            here.flat_map(|grant| &grant.topics).any(|topic| topic.access() == *access)
        };
        self.topics_of(name)
            .iter()
            .filter(move |(vhost, access)| !is_granted(vhost, access))
            .map(|(vhost, _)| vhost.as_str())
    }

    pub fn limits_of(&self, name: &AccountName) -> Limits {
        self.limits.get(name.as_str()).copied().unwrap_or_default()
    }

    pub fn topics_of(&self, name: &AccountName) -> &[(String, TopicAccess)] {
        self.topics.get(name.as_str()).map_or(&[], Vec::as_slice)
    }

    pub fn granted(&self, name: &AccountName) -> &[(String, Access)] {
        self.permissions.get(name.as_str()).map_or(&[], Vec::as_slice)
    }

    pub fn strays<'f>(&'f self, name: &AccountName, terms: &'f Terms) -> impl Iterator<Item = &'f str> {
        let is_granted = |vhost: &&str| terms.grants.iter().any(|grant| grant.vhost.as_str() == *vhost);
        self.granted(name).iter().map(|(vhost, _)| vhost.as_str()).filter(move |vhost| !is_granted(vhost))
    }
}

/// Whether a user logs in as its account says, as far as the broker tells.
fn is_login(told: Option<&broker::Login>, account: &Account, password: Option<&Secret>) -> bool {
    match (&account.login, told) {
        (Login::Kept | Login::Gone, _) | (_, None) => true,
        (Login::Locked, Some(told)) => *told == broker::Login::Locked,
        (Login::Password(_), Some(broker::Login::Hash(hash))) => password.is_none_or(|password| hash.matches(password)),
        (Login::Password(_), Some(broker::Login::Locked)) => false,
    }
}

pub(super) fn same_set(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().all(|tag| b.contains(tag))
}
