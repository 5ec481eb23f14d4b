//! `settle`: makes the broker what the store says, one account at a time, as often as one likes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join, try_join_all};
use tokio::time::{Instant, timeout_at};

use super::drift::same_set;
use super::record::{ACCOUNTS, Account, Leaving, Login, MARKED};
use super::site::Site;
use super::{Accounts, Batch, Grant, Limits, Owner, Probe};
use crate::base::audit::{Action, Actor, Note, Outcome};
use crate::base::{AccountName, Error, Kind, Result, Secret, SiteName};
use crate::domain::auth::Caller;
use crate::ports::broker::{self, PasswordHash, UserWish};
use crate::store::WriteTx;

/// A login takes milliseconds; a broker that needs longer is not one to promise anything about.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// For all that settling waits for, also for the turn of these accounts, and for ours among all that ask the broker:
/// behind a broker that hangs, those queues take longer than any caller waits. Login, permission and proof may each
/// take their own five seconds.
const SETTLE_DEADLINE: Duration = Duration::from_secs(15);

/// Asking again does not help: what is wished comes from the settings.
pub const REFUSED: &str =
    "the broker does not take what the settings say of its users: an operator must mend that, see `keylender doctor`";

/// What one broker has to be told of an account.
struct Pending {
    name: AccountName,
    account: Account,
    password: Option<Secret>,
    /// Whether the broker has a user of this name that is not ours.
    is_foreign: bool,
}

impl Pending {
    fn carried(self, site: &Site) -> Carried {
        Carried { site: site.name.clone(), name: self.name, wish: self.account.wish }
    }
}

/// A wish that a broker has carried out, before the store knows.
struct Carried {
    site: SiteName,
    name: AccountName,
    wish: u64,
}

impl Accounts {
    /// Makes these accounts true on the main broker, then runs `then` in the transaction that notes it. The further brokers
    /// are not waited for: [`Self::follow`] tells them.
    ///
    /// Safe to repeat and to abandon at any point. On an error nothing is noted; what the broker did is done again by the
    /// next call or the reconcile loop. `Unavailable` when it is away or does not take what is wished. `then` must look
    /// whether the accounts are settled: a newer wish may have come in between.
    pub async fn settle<T: Send + 'static>(
        &self,
        names: &[AccountName],
        caller: &Caller,
        then: impl FnOnce(&mut WriteTx<'_, '_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let settled = self.settle_at(self.main(), names, None, caller, then).await?;
        self.further().iter().for_each(|site| site.fall_behind(names));
        Ok(settled)
    }

    /// The same with one account of many that are settled one beside another.
    pub async fn settle_in(&self, batch: &Batch, name: &AccountName, caller: &Caller) -> Result<()> {
        let names = std::slice::from_ref(name);
        self.settle_at(self.main(), names, Some(batch), caller, |_| Ok(())).await?;
        self.further().iter().for_each(|site| site.fall_behind(names));
        Ok(())
    }

    /// The same on every broker, all waited for: for what has to end. Each outcome stands for itself, the main one's first.
    pub async fn settle_everywhere(&self, names: &[AccountName], caller: &Caller) -> Vec<Result<()>> {
        join_all(self.sites.iter().map(|site| self.settle_at(site, names, None, caller, |_| Ok(())))).await
    }

    /// The same on one of them, maybe as one of many.
    pub(super) async fn settle_at<T: Send + 'static>(
        &self,
        site: &Site,
        names: &[AccountName],
        batch: Option<&Batch>,
        caller: &Caller,
        then: impl FnOnce(&mut WriteTx<'_, '_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let by = Instant::now() + SETTLE_DEADLINE;
        let settling = timeout_at(by, site.settling.take(names)).await;
        let brought = match &settling {
            Ok(_) => self.bring(site, names, batch, by).await,
            Err(_) => Err(too_slow()),
        };
        match brought.map_err(|error| site.name_error(error)) {
            Ok(carried) => {
                let (sites, actor) = (Arc::clone(&self.sites), caller.actor());
                let note = move |tx: &mut WriteTx<'_, '_>| {
                    carried.iter().try_for_each(|one| one.note(tx, &sites, &actor)).and_then(|()| then(tx))
                };
                self.store.write(note).await
            }
            Err(error) => {
                self.note_failure(names, caller, &error).await;
                Err(error)
            }
        }
    }

    /// Brings these accounts to one broker. It returns what that did, when it did all of it.
    async fn bring(
        &self,
        site: &Site,
        names: &[AccountName],
        batch: Option<&Batch>,
        by: Instant,
    ) -> Result<Vec<Carried>> {
        let work = async {
            let pending = self.begin(site, batch, self.pending(site, names)?).await?;
            let is_gone = |each: &&Pending| matches!(each.account.login, Login::Gone);
            let (gone, wished): (Vec<&Pending>, Vec<&Pending>) = pending.iter().partition(is_gone);
            let put = try_join_all(wished.iter().map(|each| self.put(site, each)));
            try_join(self.delete(site, &gone), put).await?;
            Ok(pending.into_iter().map(|each| each.carried(site)).collect())
        };
        timeout_at(by, work).await.unwrap_or_else(|_| Err(too_slow()))
    }

    /// What the broker does not have yet.
    fn pending(&self, site: &Site, names: &[AccountName]) -> Result<Vec<Pending>> {
        self.store.read(|tx| {
            let mut pending = Vec::new();
            for name in names {
                // A record that should be gone and is there waits for another broker, maybe one that the settings have no
                // more. So its end is told again, which changes nothing here.
                let is_pending =
                    |account: &Account| !account.is_settled_at(site) || matches!(account.login, Login::Gone);
                let Some(account) = tx.get(&ACCOUNTS, name)?.filter(is_pending) else { continue };
                let password = match &account.login {
                    Login::Password(sealed) => Some(tx.open(&ACCOUNTS, name, sealed)?),
                    Login::Locked | Login::Gone | Login::Kept => None,
                };
                pending.push(Pending { name: name.clone(), account, password, is_foreign: false });
            }
            Ok(pending)
        })
    }

    /// Looks whether the broker has users of somebody else under names that it was never told, and marks that it is told
    /// of them now: whatever it has under them from now on is ours.
    async fn begin(&self, site: &Site, batch: Option<&Batch>, mut pending: Vec<Pending>) -> Result<Vec<Pending>> {
        let unknown = |each: &&mut Pending| {
            // The names of administrators were drawn: nobody else has them, whatever a restored store knows.
            each.account.owner != Owner::Administrator && !each.account.settled.contains_key(&site.name)
        };
        let looks = pending.iter_mut().filter(unknown).map(|each| async move {
            let may_be_there = batch.is_none_or(|batch| batch.may_have(&each.name));
            each.is_foreign = may_be_there && is_foreign(site, each).await?;
            if each.is_foreign && !matches!(each.account.login, Login::Gone) {
                return Err(Error::conflict(format!(
                    "the broker has a user `{}` that is not ours: delete it there, or choose another name",
                    each.name
                )));
            }
            // What somebody else has under a name that goes stays theirs, at the next try, too.
            Ok::<_, Error>((!each.is_foreign).then(|| each.name.clone()))
        });
        let begun: Vec<AccountName> = try_join_all(looks).await?.into_iter().flatten().collect();
        if !begun.is_empty() {
            let site = site.name.clone();
            self.store
                .write(move |tx| {
                    for name in begun {
                        let Some(mut account) = tx.get(&MARKED, &name)? else { continue };
                        account.settled.entry(site.clone()).or_insert(0);
                        tx.put(&MARKED, &name, &account)?;
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(pending)
    }

    /// Ends accounts at a broker, in one call where that is possible. That one is not there is as good: an earlier try may
    /// have deleted it.
    async fn delete(&self, site: &Site, gone: &[&Pending]) -> Result<()> {
        // One that is known to be gone here waits for another broker: what has its name here now is somebody else's.
        let ours = gone.iter().filter(|each| !each.is_foreign && !each.account.is_settled_at(site));
        let names: Vec<AccountName> = ours.map(|each| each.name.clone()).collect();
        if names.is_empty() { Ok(()) } else { site.users.get()?.delete_users(&names).await }
    }

    /// Brings one account to a broker.
    async fn put(&self, site: &Site, pending: &Pending) -> Result<()> {
        let Pending { name, account, password, .. } = pending;
        // Whatever the broker has against it, such as a missing vhost, is no matter of the caller's: it can only ask
        // again later. Who declares a relay can mend it, and reads what it is.
        let is_declared = matches!(account.owner, Owner::Relay(_));
        put(site, pending).await.map_err(|error| match error.kind() {
            Kind::Internal => error,
            Kind::Invalid if !is_declared => Error::unavailable(REFUSED).because(error),
            _ => error.into_kind(Kind::Unavailable),
        })?;
        if let (Some(Probe { door, always: true }), Some(password), true) =
            (self.probe.as_deref(), password, site.is_main())
            // The door is to the vhost of namespaces, which others need not be able to enter.
            && matches!(account.owner, Owner::Namespace(_) | Owner::Administrator)
            && !door.verify_login(name.as_str(), password, PROBE_DEADLINE).await?
        {
            return Err(Error::unavailable("the broker refuses the login that it was just told of"));
        }
        Ok(())
    }

    /// Whether the broker lets a user in over AMQP. `Unavailable` when it does not answer there.
    pub async fn try_login(&self, user: &str, password: &Secret) -> Result<bool> {
        let probe = self.probe.as_ref().ok_or_else(|| Error::unavailable("no broker is configured"))?;
        probe.door.verify_login(user, password, PROBE_DEADLINE).await
    }

    /// Says in the log and in the audit log that the broker was not brought along. An error of this is only logged:
    /// the first one is what the caller hears. The entry may be the only one of a request that failed, so it is what
    /// keeps a restart from believing that request again.
    async fn note_failure(&self, names: &[AccountName], caller: &Caller, cause: &Error) {
        let object = names.iter().map(AccountName::as_str).collect::<Vec<_>>().join(" ");
        tracing::warn!("could not settle {object}: {}", cause.chain());
        if matches!(caller.actor(), Actor::Loop(_)) {
            // A loop tries every account again at every pass: its status says that it fails.
            return;
        }
        let note = caller
            .note(Action::AccountSettle, object)
            .outcome(Outcome::Failed)
            .with("cause", cause.message().to_owned());
        let noted = self.store.note(note);
        if let Err(error) = noted.await {
            tracing::warn!("could not audit that: {}", error.chain());
        }
    }
}

impl Carried {
    fn note(&self, tx: &mut WriteTx<'_, '_>, sites: &[Site], actor: &Actor) -> Result<()> {
        let Self { site, name, wish } = self;
        // Deleted meanwhile, by another settlement of the same wish.
        let Some(mut account) = tx.get(&ACCOUNTS, name)? else { return Ok(()) };
        let settled = account.settled.entry(site.clone()).or_insert(0);
        *settled = (*settled).max(*wish);
        if account.terms_are_settled_at(&sites[0].name) {
            account.leaving = Leaving::default();
        }
        let action = match account.login {
            Login::Gone if sites.iter().all(|site| account.is_settled_at(site)) => {
                tx.delete(&ACCOUNTS, name);
                Action::AccountDelete
            }
            _ => {
                tx.put(&ACCOUNTS, name, &account)?;
                Action::AccountSettle
            }
        };
        tx.audit(Note::done(actor.clone(), action, name).with("wish", *wish));
        Ok(())
    }
}

/// Whether the broker has a user of this name that somebody else made. One that is in all exactly as we wish it is ours:
/// nobody but an appliance makes such a user, and this one or the one in whose place it came may have forgotten it, by a
/// backup that is older.
async fn is_foreign(site: &Site, Pending { name, account, .. }: &Pending) -> Result<bool> {
    let (broker, terms) = (site.users.get()?, account.terms.at(site));
    let Some(user) = broker.user(name).await? else { return Ok(false) };
    if !same_set(&user.tags, &terms.tags) || terms.grants.is_empty() {
        return Ok(true);
    }
    let all = broker.permissions().await?;
    let theirs: Vec<_> = all.iter().filter(|permission| permission.user == name.as_str()).collect();
    let has = |grant: &Grant| {
        theirs.iter().any(|theirs| theirs.vhost == grant.vhost.as_str() && theirs.access == grant.access)
    };
    Ok(theirs.len() != terms.grants.len() || !terms.grants.iter().all(has))
}

/// Makes a user what it should be.
async fn put(site: &Site, Pending { name, account, password, .. }: &Pending) -> Result<()> {
    let (broker, terms) = (site.users.get()?, account.terms.at(site));
    let knows_terms = account.terms_are_settled_at(&site.name);
    let permissions: Vec<_> = terms.grants.iter().map(|grant| (grant.vhost.clone(), grant.access.clone())).collect();
    if matches!(account.login, Login::Kept) {
        if !knows_terms {
            for (vhost, access) in &permissions {
                broker.put_permission(vhost, name, access).await?;
            }
        }
    } else {
        let login =
            password.as_ref().map_or(broker::Login::Locked, |password| broker::Login::Hash(PasswordHash::of(password)));
        let wish = UserWish { name, login, tags: &terms.tags, permissions: &permissions };
        if knows_terms { broker.put_login(&wish).await? } else { broker.put_user(&wish).await? }
    }
    if knows_terms {
        return Ok(());
    }
    // Of a further broker, `reconcile` looks what is too much: which vhosts it has is no matter of the terms.
    let leaving = if site.is_main() { account.leaving.vhosts.as_slice() } else { &[] };
    for vhost in leaving {
        if !terms.grants.iter().any(|grant| grant.vhost == *vhost) {
            broker.delete_permission(vhost, name).await?;
        }
        broker.delete_topic_permissions(vhost, name).await?;
    }
    for grant in &terms.grants {
        for topic in &grant.topics {
            broker.put_topic_permission(&grant.vhost, name, &topic.access()).await?;
        }
    }
    if account.leaving.limits || terms.limits != Limits::default() {
        broker.put_limits(name, &terms.limits.to_broker()).await?;
    }
    Ok(())
}

fn too_slow() -> Error {
    Error::unavailable("the broker is too slow")
}
