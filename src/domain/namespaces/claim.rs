//! Claiming: the record and the wish in one transaction, then the broker, then the answer.

use std::time::Duration;

use super::{NAMESPACES, Namespace, Namespaces, Slot, Times, leases};
use crate::base::audit::Action;
use crate::base::{AccountName, Error, Kind, NamespaceName, ProxySessionId, Result, Secret, Timestamp};
use crate::domain::accounts::{Owner, Pair, REFUSED};
use crate::domain::auth::Caller;
use crate::domain::lend_counts::{self, LendKind};
use crate::store::{Lent, WriteTx};

/// How long a namespace lasts whose claim does not say (taskcluster.md 6.2).
const EXPIRES_DEFAULT: Duration = Duration::from_secs(4 * 60 * 60);
/// How often a claim starts over because somebody else changed the wish meanwhile. Two would do; a fourth time
/// means that something keeps changing it.
const TRIES: usize = 4;

/// What a client asks for. What it leaves out is reset, on every claim (taskcluster.md 6.2).
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// When the namespace may be removed; four hours from now when left out.
    pub expires: Option<Timestamp>,
    /// Whom to tell about queues that grow; nobody when left out.
    pub contact: Option<String>,
    /// The session of the task proxy that it is lent to, and with which it ends. Such a namespace is nobody else's.
    pub session: Option<ProxySessionId>,
}

/// What a claim is answered with. It leaves only as [`Lent`].
#[derive(Debug)]
pub struct Claimed {
    pub namespace: NamespaceName,
    /// When it was made and when it ends.
    pub times: Times,
    /// The broker user.
    pub account: AccountName,
    /// Its password.
    pub password: Secret,
    /// How to reach the broker, with both.
    pub connection_string: Secret,
    /// When to claim again: the password works at least until then.
    pub reclaim_at: Timestamp,
}

/// What the first transaction of a claim came to.
enum Step {
    Lent(Box<Lent<Claimed>>),
    Settle(Vec<AccountName>),
}

impl Namespaces {
    /// Claims a namespace for a caller who may.
    ///
    /// Repeating a claim with equal input gives the equal document until the next rotation. `Unavailable` says that
    /// the broker is away: nothing is handed out, and repeating the claim is safe.
    pub async fn claim(&self, caller: &Caller, name: &NamespaceName, claim: Claim) -> Result<Lent<Claimed>> {
        let lent = self.settle_and_lend(caller, name, claim).await?;
        let request_id = caller.request_id();
        tracing::info!(request_id, namespace.name = %name, "lent namespace `{name}` to {}", caller.actor());
        Ok(lent)
    }

    async fn settle_and_lend(&self, caller: &Caller, name: &NamespaceName, claim: Claim) -> Result<Lent<Claimed>> {
        let accounts = match self.record(caller, name, claim).await? {
            Step::Lent(claimed) => return Ok(*claimed),
            Step::Settle(accounts) => accounts,
        };
        for _ in 0..TRIES {
            let (this, by, about) = (self.clone(), caller.clone(), name.clone());
            let lent = self
                .accounts
                .settle(&accounts, caller, move |tx| {
                    let namespace = tx.get(&NAMESPACES, &about)?;
                    let namespace = namespace.ok_or_else(|| Error::conflict("the namespace was removed meanwhile"))?;
                    this.lend(tx, &by, &about, namespace)
                })
                .await;
            if lent.as_ref().is_err_and(|error| error.kind() == Kind::Conflict) {
                self.withdraw(caller, name).await?;
            }
            if let Some(claimed) = lent.map_err(unreachable)? {
                return Ok(claimed);
            }
        }
        Err(Error::busy("others keep changing this namespace: claim again in a moment"))
    }

    /// Drops a namespace that cannot be, if no broker was told of it: nothing of it was lent.
    async fn withdraw(&self, caller: &Caller, name: &NamespaceName) -> Result<()> {
        let (this, caller, name) = (self.clone(), caller.clone(), name.clone());
        self.store
            .write(move |tx| {
                let Some(namespace) = tx.get(&NAMESPACES, &name)? else { return Ok(()) };
                if this.accounts.forget_untold(tx, &namespace.accounts, &Owner::Namespace(name.clone()))? {
                    namespace.accounts.iter().for_each(|account| leases::forget(tx, account));
                    tx.delete(&NAMESPACES, &name);
                    tx.audit(caller.note(Action::NamespaceDelete, &name).with("queues", 0).with("exchanges", 0));
                }
                Ok(())
            })
            .await
    }

    /// Writes down what should be true; lends at once when it is true already.
    async fn record(&self, caller: &Caller, name: &NamespaceName, claim: Claim) -> Result<Step> {
        let (this, caller, name) = (self.clone(), caller.clone(), name.clone());
        self.store
            .write(move |tx| {
                let namespace = this.upsert(tx, &caller, &name, claim)?;
                let accounts = namespace.accounts.to_vec();
                match this.lend(tx, &caller, &name, namespace)? {
                    Some(claimed) => Ok(Step::Lent(claimed.into())),
                    None => Ok(Step::Settle(accounts)),
                }
            })
            .await
    }

    fn upsert(
        &self,
        tx: &mut WriteTx<'_, '_>,
        caller: &Caller,
        name: &NamespaceName,
        claim: Claim,
    ) -> Result<Namespace> {
        let now = tx.now();
        let expires = claim.expires.unwrap_or_else(|| now.plus(EXPIRES_DEFAULT));
        let (namespace, action) = match tx.get(&NAMESPACES, name)? {
            Some(Namespace { ending: true, .. }) => {
                return Err(Error::busy("this namespace is being removed: claim it again in a moment"));
            }
            Some(other) if other.session != claim.session => return Err(taken(&other)),
            Some(same) if same.expires == expires && same.contact == claim.contact => return Ok(same),
            Some(other) => (Namespace { expires, contact: claim.contact, ..other }, Action::NamespaceUpdate),
            None => (self.create(tx, name, expires, claim)?, Action::NamespaceCreate),
        };
        tx.put(&NAMESPACES, name, &namespace)?;
        tx.audit(caller.note(action, name).with("expires", expires.to_string()));
        Ok(namespace)
    }

    /// The record of a new namespace, with wishes for its two users: the first active, the second resting.
    fn create(
        &self,
        tx: &mut WriteTx<'_, '_>,
        name: &NamespaceName,
        expires: Timestamp,
        Claim { contact, session, .. }: Claim,
    ) -> Result<Namespace> {
        let accounts = [self.config.account(name, Slot::First)?, self.config.account(name, Slot::Second)?];
        self.accounts.wish(tx, &accounts[0], self.config.wish(name, Some(Secret::generate())))?;
        self.accounts.wish(tx, &accounts[1], self.config.wish(name, None))?;
        leases::forget_holders(tx, &accounts[0])?;
        let next_rotation = tx.now().plus(self.config.rotation_interval.size());
        let Pair { accounts, active, incoming, next_rotation, promised_until, resting_until } =
            Pair::new(accounts, next_rotation, self.config.grace());
        Ok(Namespace {
            accounts,
            created: tx.now(),
            expires,
            contact,
            owners: Vec::new(),
            note: String::new(),
            active,
            next_rotation,
            promised_until,
            resting_until,
            incoming,
            ending: false,
            session,
        })
    }

    /// What is lent for this namespace; `None` while the broker is not known to have its active user as wished.
    fn lend(
        &self,
        tx: &mut WriteTx<'_, '_>,
        caller: &Caller,
        name: &NamespaceName,
        mut namespace: Namespace,
    ) -> Result<Option<Lent<Claimed>>> {
        let account = namespace.account(namespace.active).clone();
        let Some((password, vhost)) = self.accounts.settled_login(tx, &account)? else { return Ok(None) };
        self.promise(tx, name, &mut namespace)?;
        leases::note_holder(tx, &account, caller)?;
        lend_counts::count(tx, LendKind::Namespace)?;
        let reclaim_at = namespace.promised_until;
        let note = caller
            .lend_note(Action::NamespaceClaim, name)
            .about(&password)
            .with("account", account.as_str())
            .with("reclaim_at", reclaim_at.to_string());
        let claimed = Claimed {
            namespace: name.clone(),
            times: Times { created: namespace.created, expires: namespace.expires },
            connection_string: self.config.amqp.connection_string(&account, &password, &vhost),
            reclaim_at,
            account,
            password,
        };
        Ok(Some(tx.lend(note, claimed)))
    }
}

impl Namespaces {
    /// Makes sure that the promise lies well in the future. It does unless the rotation is late, and then the password
    /// that is handed out instead of a new one must last as long as a new one would.
    fn promise(&self, tx: &mut WriteTx<'_, '_>, name: &NamespaceName, namespace: &mut Namespace) -> Result<()> {
        let grace = self.config.grace();
        if namespace.promised_until < tx.now().plus(grace / 2) {
            namespace.promised_until = tx.now().plus(grace);
            tx.put(&NAMESPACES, name, namespace)?;
        }
        Ok(())
    }
}

/// What somebody hears who claims what is another's.
fn taken(namespace: &Namespace) -> Error {
    Error::conflict(match namespace.session {
        Some(_) => "this namespace is lent to a task, and ends with it: take another name",
        None => "this namespace is a service's: a task is lent one of its own, by a name that nobody has",
    })
}

/// What a claimant hears when the broker could not be brought along.
fn unreachable(error: Error) -> Error {
    match error.kind() {
        Kind::Unavailable if error.message() == REFUSED => error,
        Kind::Unavailable => {
            Error::unavailable("the broker is not well: nothing was lent; claim again in a moment").because(error)
        }
        _ => error,
    }
}
