//! `settle`: makes the broker what the store says, one account at a time, as often as one likes.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::MutexGuard;
use tokio::time::timeout;

use super::drift::same_set;
use super::{ACCOUNTS, Account, Accounts, Login, Probe};
use crate::base::audit::{Action, Actor, Note, Outcome};
use crate::base::{AccountName, Error, Kind, Result, Secret, VhostName};
use crate::domain::auth::Caller;
use crate::ports::broker::{self, Access, PasswordHash, UserWish};
use crate::store::WriteTx;

/// A login takes milliseconds; a broker that needs longer is not one to promise anything about.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// For all that settling waits for, also for the turn of these accounts, and for ours among all that ask the broker:
/// behind a broker that hangs, those queues take longer than any caller waits. Login, permission and proof may each
/// take their own five seconds.
const SETTLE_DEADLINE: Duration = Duration::from_secs(15);

/// A wish that the broker has carried out, before the store knows.
struct Carried {
    name: AccountName,
    wish: u64,
}

impl Accounts {
    /// Makes these accounts true on the broker, then runs `then` in the transaction that notes it.
    ///
    /// Safe to repeat and to abandon at any point. On an error nothing is noted; what the broker did is done again
    /// by the next call or the reconcile loop. `Unavailable` when the broker is away or does not take what is wished.
    /// `then` must look whether the accounts are settled: a newer wish may have come in between.
    pub async fn settle<T: Send + 'static>(
        &self,
        names: &[AccountName],
        caller: &Caller,
        then: impl FnOnce(&mut WriteTx<'_, '_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let brought = timeout(SETTLE_DEADLINE, self.bring(names)).await;
        let (_settling, carried) = match brought.unwrap_or_else(|_| Err(Error::unavailable("the broker is too slow"))) {
            Ok(brought) => brought,
            Err(error) => {
                self.note_failure(names, caller, &error).await;
                return Err(error);
            }
        };
        let actor = caller.actor();
        self.store
            .write(move |tx| {
                for Carried { name, wish } in carried.into_iter().flatten() {
                    note_carried(tx, &name, wish, &actor)?;
                }
                then(tx)
            })
            .await
    }

    /// Brings these accounts to the broker, and keeps everybody else from settling them until that is noted.
    async fn bring(&self, names: &[AccountName]) -> Result<(Vec<MutexGuard<'_, ()>>, Vec<Option<Carried>>)> {
        let settling = self.settling.take(names).await;
        let carried = try_join_all(names.iter().map(|name| self.carry_out(name))).await?;
        Ok((settling, carried))
    }

    /// Brings one account to the broker. `None` when it is settled already, or gone.
    async fn carry_out(&self, name: &AccountName) -> Result<Option<Carried>> {
        let wish = self.store.read(|tx| {
            let Some(account) = tx.get(&ACCOUNTS, name)?.filter(|account| !account.is_settled()) else {
                return Ok(None);
            };
            let password = match &account.login {
                Login::Password(sealed) => Some(tx.open(&ACCOUNTS, name, sealed)?),
                Login::Locked | Login::Gone => None,
            };
            Ok(Some((account, password)))
        })?;
        let Some((account, password)) = wish else { return Ok(None) };
        if account.settled == 0 {
            self.refuse_foreign(name, &account).await?;
        }
        match account.login {
            // That there was none is as good: an earlier try may have deleted it.
            Login::Gone => {
                self.broker()?.delete_user(name).await?;
            }
            Login::Password(_) | Login::Locked => self.put(name, &account, password.as_ref()).await?,
        }
        if let (Some(Probe { door, always: true }), Some(password)) = (self.probe.as_deref(), &password)
            && !door.verify_login(name.as_str(), password, PROBE_DEADLINE).await?
        {
            return Err(Error::unavailable("the broker refuses the login that it was just told of"));
        }
        Ok(Some(Carried { name: name.clone(), wish: account.wish }))
    }

    /// Whether the broker lets a user in over AMQP. `Unavailable` when it does not answer there.
    pub async fn try_login(&self, user: &str, password: &Secret) -> Result<bool> {
        let probe = self.probe.as_ref().ok_or_else(|| Error::unavailable("no broker is configured"))?;
        probe.door.verify_login(user, password, PROBE_DEADLINE).await
    }

    /// Keeps a new account from taking over a user that somebody else made, such as our own administrator. One with
    /// exactly our tags is taken for the trace of an earlier try.
    async fn refuse_foreign(&self, name: &AccountName, account: &Account) -> Result<()> {
        match self.broker()?.user(name).await? {
            Some(user) if !same_set(&user.tags, &account.tags) => {
                Err(Error::unavailable("the broker has a user of this name that is not ours"))
            }
            _ => Ok(()),
        }
    }

    async fn put(&self, name: &AccountName, account: &Account, password: Option<&Secret>) -> Result<()> {
        let login = password.map_or(broker::Login::Locked, |password| broker::Login::Hash(PasswordHash::of(password)));
        let permissions: [(VhostName, Access); 1] = [(account.vhost.clone(), account.access())];
        let wish = UserWish { name, login, tags: &account.tags, permissions: &permissions };
        let put = if account.access_settled {
            self.broker()?.put_login(&wish).await
        } else {
            self.broker()?.put_user(&wish).await
        };
        // Whatever the broker has against it, such as a missing vhost, is no matter of the caller's: it can only ask
        // again later.
        put.map_err(|error| match error.kind() {
            Kind::Internal => error,
            _ => error.into_kind(Kind::Unavailable),
        })
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

fn note_carried(tx: &mut WriteTx<'_, '_>, name: &AccountName, wish: u64, actor: &Actor) -> Result<()> {
    // Deleted meanwhile, by another settlement of the same wish.
    let Some(mut account) = tx.get(&ACCOUNTS, name)? else { return Ok(()) };
    account.settled = wish;
    account.access_settled |= account.is_settled();
    let action = match account.login {
        Login::Gone if account.is_settled() => {
            tx.delete(&ACCOUNTS, name);
            Action::AccountDelete
        }
        _ => {
            tx.put(&ACCOUNTS, name, &account)?;
            Action::AccountSettle
        }
    };
    tx.audit(Note::done(actor.clone(), action, name).with("wish", wish));
    Ok(())
}
