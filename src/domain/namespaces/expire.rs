//! Expiry: users with their connections, then queues and exchanges, then the record. Each step may find its work done.

use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};

use super::{NAMESPACES, Namespace, Namespaces, PARTY, WORKERS, leases};
use crate::base::audit::Action;
use crate::base::{AccountName, Error, NamespaceName, Result, Timestamp};
use crate::domain::accounts::Owner;
use crate::domain::auth::Caller;
use crate::ports::broker::{Bus, Site};
use crate::store::WriteTx;

/// Namespaces that a pass removes without asking. More are only removed while they are a small share.
const REMOVED_MAX: usize = 20;
/// The share from which on an operator is asked: a tenth.
const REMOVED_SHARE: usize = 10;
/// The name of the loop, in the audit log and on the console.
const LOOP: &str = "expire";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those whose time is over.
    Over,
    /// This one, whether or not; an operator asks.
    Any,
}

/// What one pass of expiry did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub removed: usize,
    /// Namespaces that could not be removed wholly; the next pass goes on where they are.
    pub failed: usize,
    /// Why the first of them could not be.
    pub cause: Option<String>,
}

/// A namespace whose users are gone, before its resources and its record are.
pub(super) struct Ended {
    name: NamespaceName,
    created: Timestamp,
}

/// What lies at a broker, in the order of the names: what lies below one namespace is together.
pub(super) struct Resources {
    queues: Vec<String>,
    exchanges: Vec<String>,
}

impl Namespaces {
    /// Removes every namespace whose time is over. It visits every one even when some fail, and asks each broker once
    /// what lies there, when all users are gone: nobody can make new resources below a namespace without users.
    pub async fn expire_over(&self) -> Result<Expired> {
        let (mut expired, caller) = (Expired::default(), &Caller::of_loop(LOOP));
        let over = self.list_expired().await?;
        let mut ending = futures_util::stream::iter(over.chunks(PARTY).map(<[_]>::to_vec))
            .map(|party| async move { (self.end_party(&party, caller).await, party) })
            .buffer_unordered(WORKERS / PARTY);
        let mut ended = Vec::new();
        while let Some((outcomes, party)) = ending.next().await {
            for (outcome, name) in outcomes.into_iter().zip(party) {
                match outcome {
                    Ok(one) => ended.extend(one),
                    Err(error) => expired.note_failure(&name, &error),
                }
            }
        }
        if ended.is_empty() {
            return Ok(expired);
        }
        let resources = &match self.resources().await {
            Ok(resources) => resources,
            Err(error) => {
                ended.iter().for_each(|one| expired.note_failure(&one.name, &error));
                return Ok(expired);
            }
        };
        let mut clearing = futures_util::stream::iter(ended)
            .map(|one| async move { (self.clear(&one, resources, caller).await, one.name) })
            .buffer_unordered(WORKERS);
        while let Some((outcome, name)) = clearing.next().await {
            match outcome {
                Ok(()) => expired.removed += 1,
                Err(error) => expired.note_failure(&name, &error),
            }
        }
        Ok(expired)
    }

    /// Removes one namespace: true when it is gone, false when it was claimed again in time.
    ///
    /// A claim either comes first and saves it, or is told to come again until it is gone. A crash between any two
    /// steps is finished by the next call. While any broker is away it is not gone: its queues may be there.
    pub async fn expire(&self, name: &NamespaceName, caller: &Caller, which: Which) -> Result<bool> {
        let Some(ended) = self.end(name, caller, which).await? else { return Ok(false) };
        self.clear(&ended, &self.resources().await?, caller).await?;
        Ok(true)
    }

    /// Ends the users of a namespace; `None` when it need not end.
    pub(super) async fn end(&self, name: &NamespaceName, caller: &Caller, which: Which) -> Result<Option<Ended>> {
        Ok(self.end_all(std::slice::from_ref(name), caller, which).await?.pop().flatten())
    }

    /// Ends the users of some whose time is over. When that fails, each is ended alone, so that one that cannot be ended keeps
    /// no other from it.
    async fn end_party(&self, party: &[NamespaceName], caller: &Caller) -> Vec<Result<Option<Ended>>> {
        match self.end_all(party, caller, Which::Over).await {
            Ok(ended) => ended.into_iter().map(Ok).collect(),
            Err(error) if party.len() == 1 => vec![Err(error)],
            Err(_) => join_all(party.iter().map(|name| self.end(name, caller, Which::Over))).await,
        }
    }

    /// Ends the users of these in step: brokers delete many in one call more quickly than each in its own.
    pub(super) async fn end_all(
        &self,
        names: &[NamespaceName],
        caller: &Caller,
        which: Which,
    ) -> Result<Vec<Option<Ended>>> {
        let (this, namespaces, by) = (self.clone(), names.to_vec(), caller.clone());
        let begin = move |tx: &mut WriteTx<'_, '_>| {
            namespaces.iter().map(|name| this.begin_to_end(tx, name, &by, which)).collect::<Result<Vec<_>>>()
        };
        let begun = self.store.write(begin).await?;
        let accounts: Vec<AccountName> = begun.iter().flatten().flat_map(|(_, accounts)| accounts.clone()).collect();
        if accounts.is_empty() {
            return Ok(names.iter().map(|_| None).collect());
        }
        self.accounts.settle_everywhere(&accounts, caller).await.into_iter().collect::<Result<()>>()?;
        for account in &accounts {
            if self.store.read(|tx| self.accounts.status(tx, account))?.is_some() {
                return Err(Error::unavailable("a user of the namespace was not deleted yet"));
            }
        }
        let ended = names.iter().zip(begun);
        Ok(ended.map(|(name, begun)| begun.map(|(created, _)| Ended { name: name.clone(), created })).collect())
    }

    /// Deletes what lies below an ended namespace, and then its record. One at a time for each namespace, and only while
    /// it is that very one: a new owner's resources are not the old one's, and nothing lies below two namespaces.
    pub(super) async fn clear(&self, ended: &Ended, resources: &[Resources], caller: &Caller) -> Result<()> {
        let _clearing = self.clearing.take(std::slice::from_ref(&ended.name)).await;
        let is_that_one = |found: Option<Namespace>| {
            found.is_some_and(|namespace| namespace.ending && namespace.created == ended.created)
        };
        if !is_that_one(self.store.read(|tx| tx.get(&NAMESPACES, &ended.name))?) {
            return Ok(());
        }
        let (mut queues, mut exchanges) = (0, 0);
        for (site, resources) in self.sites.iter().zip(resources) {
            let removed =
                self.remove_resources(site, &ended.name, resources).await.map_err(|error| site.name_error(error))?;
            (queues, exchanges) = (queues + removed.0, exchanges + removed.1);
        }
        let (namespace, caller) = (ended.name.clone(), caller.clone());
        self.store
            .write(move |tx| {
                if tx.get(&NAMESPACES, &namespace)?.is_some_and(|namespace| namespace.ending) {
                    tx.delete(&NAMESPACES, &namespace);
                    let note = caller.note(Action::NamespaceDelete, &namespace).with("queues", queues);
                    tx.audit(note.with("exchanges", exchanges));
                }
                Ok(())
            })
            .await
    }

    /// What lies at each broker.
    pub(super) async fn resources(&self) -> Result<Vec<Resources>> {
        let resources =
            self.sites.iter().map(async |site| resources(site).await.map_err(|error| site.name_error(error)));
        try_join_all(resources).await
    }

    /// The namespaces whose time is over.
    pub async fn list_expired(&self) -> Result<Vec<NamespaceName>> {
        let this = self.clone();
        let survey = self.store.survey(move |tx| {
            let mut over = Vec::new();
            tx.each(&NAMESPACES, |name, namespace| {
                if this.is_over(&namespace, tx.now()) {
                    over.push(name);
                }
            })?;
            Ok(over)
        });
        survey.await
    }

    /// Why a pass should not go ahead unasked: it would remove very many, as after a clock was set far forward. A removal
    /// that has begun does not count: somebody was asked, and it is only finished.
    pub async fn expiry_brake(&self) -> Result<Option<String>> {
        let this = self.clone();
        let survey = self.store.survey(move |tx| {
            let (mut over, mut all) = (0, 0);
            tx.each(&NAMESPACES, |_: NamespaceName, namespace| {
                if !namespace.ending {
                    all += 1;
                    over += usize::from(this.is_over(&namespace, tx.now()));
                }
            })?;
            Ok((over, all))
        });
        let (over, all) = survey.await?;
        let is_much = over > REMOVED_MAX && over > all / REMOVED_SHARE;
        Ok(is_much.then(|| format!("it would remove {over} of {all} namespaces: is the clock right?")))
    }

    /// Whether its time is over. A password that was promised for longer holds it back: the promise comes first.
    fn is_over(&self, namespace: &Namespace, now: Timestamp) -> bool {
        let end = namespace.expires.plus(self.config.expiration_delay);
        namespace.ending || now >= end.max(namespace.promised_until).max(namespace.resting_until)
    }

    /// Notes that the namespace ends, and that its users should not be. `None` when it need not end.
    pub(super) fn begin_to_end(
        &self,
        tx: &mut WriteTx<'_, '_>,
        name: &NamespaceName,
        caller: &Caller,
        which: Which,
    ) -> Result<Option<(Timestamp, Vec<AccountName>)>> {
        let now = tx.now();
        let Some(mut namespace) = tx.get(&NAMESPACES, name)? else {
            return match which {
                Which::Over => Ok(None),
                Which::Any => Err(super::no_such(name)),
            };
        };
        if which == Which::Over && !self.is_over(&namespace, now) {
            return Ok(None);
        }
        let what = (namespace.created, namespace.accounts.to_vec());
        if namespace.ending {
            return Ok(Some(what));
        }
        for account in &what.1 {
            self.accounts.remove(tx, account, &Owner::Namespace(name.clone()))?;
            leases::forget(tx, account);
        }
        namespace.ending = true;
        tx.put(&NAMESPACES, name, &namespace)?;
        tx.audit(caller.note(Action::NamespaceExpire, name).with("expires", namespace.expires.to_string()));
        Ok(Some(what))
    }

    /// Deletes the queues and exchanges below the namespace at a broker, and counts them.
    async fn remove_resources(
        &self,
        site: &Site<dyn Bus>,
        name: &NamespaceName,
        resources: &Resources,
    ) -> Result<(usize, usize)> {
        let (bus, vhost) = (site.get()?, &site.vhost);
        let (mut queues, mut exchanges) = (0, 0);
        for queue in below(&resources.queues, &format!("{}{name}/", self.config.queue_prefix)) {
            if !bus.delete_queue(vhost, queue).await? && bus.queue(vhost, queue).await?.is_some() {
                return Err(Error::unavailable("a queue of the namespace cannot be deleted now"));
            }
            queues += 1;
        }
        for exchange in below(&resources.exchanges, &format!("{}{name}/", self.config.exchange_prefix)) {
            exchanges += usize::from(bus.delete_exchange(vhost, exchange).await?);
        }
        Ok((queues, exchanges))
    }
}

impl Expired {
    fn note_failure(&mut self, name: &NamespaceName, error: &Error) {
        tracing::warn!(namespace = %name, "could not remove `{name}`: {}", error.chain());
        self.failed += 1;
        self.cause.get_or_insert_with(|| error.message().to_owned());
    }
}

async fn resources(site: &Site<dyn Bus>) -> Result<Resources> {
    let (bus, vhost) = (site.get()?, &site.vhost);
    let mut queues: Vec<_> = bus.queues(vhost).await?.into_iter().map(|queue| queue.name).collect();
    let exchanges = bus.exchanges(vhost).await?;
    let mut exchanges: Vec<_> = exchanges.into_iter().map(|exchange| exchange.name).collect();
    queues.sort_unstable();
    exchanges.sort_unstable();
    Ok(Resources { queues, exchanges })
}

/// Those of these names, which are in order, that begin with this.
fn below<'t>(names: &'t [String], prefix: &str) -> &'t [String] {
    let names = &names[names.partition_point(|name| name.as_str() < prefix)..];
    &names[..names.partition_point(|name| name.starts_with(prefix))]
}
