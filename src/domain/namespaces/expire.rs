//! Expiry: users with their connections, then queues and exchanges, then the record. Each step may find its work done.

use std::ops::Bound;

use super::{NAMESPACES, Namespace, Namespaces};
use crate::base::{Error, NamespaceName, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::store::WriteTx;

/// Namespaces looked at per transaction.
const CHUNK: usize = 1000;
/// Namespaces that a pass removes without asking. More are only removed while they are a small share.
const REMOVED_MAX: usize = 20;
/// The share from which on an operator is asked: a tenth.
const REMOVED_SHARE: usize = 10;
/// The name of the loop, in the audit log and on the console.
const LOOP: &str = "expire";

/// Which namespaces are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those whose time is over.
    Over,
    /// This one, whether or not; an operator asks.
    Any,
}

/// What one pass of expiry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Namespaces removed.
    pub removed: usize,
    /// Namespaces that could not be removed wholly; the next pass goes on where they are.
    pub failed: usize,
}

impl Namespaces {
    /// Removes every namespace whose time is over. It visits every one even when some fail.
    pub async fn expire_over(&self) -> Result<Expired> {
        let mut expired = Expired::default();
        for name in self.over()? {
            match self.expire(&name, &Caller::of_loop(LOOP), Which::Over).await {
                Ok(removed) => expired.removed += usize::from(removed),
                Err(error) => {
                    tracing::warn!(namespace = %name, "could not remove `{name}`: {}", error.chain());
                    expired.failed += 1;
                }
            }
        }
        Ok(expired)
    }

    /// Removes one namespace: true when it is gone, false when it was claimed again in time.
    ///
    /// A claim either comes first and saves it, or is told to come again until it is gone. A crash between any two
    /// steps is finished by the next call.
    pub async fn expire(&self, name: &NamespaceName, caller: &Caller, which: Which) -> Result<bool> {
        let (this, namespace, by) = (self.clone(), name.clone(), caller.clone());
        if !self.store.write(move |tx| this.begin_to_end(tx, &namespace, &by, which)).await? {
            return Ok(false);
        }
        self.accounts.settle(&self.rules.accounts(name)?, caller, |_| Ok(())).await?;
        let (queues, exchanges) = self.remove_things(name).await?;
        let (namespace, caller) = (name.clone(), caller.clone());
        self.store
            .write(move |tx| {
                let Some(Namespace { ending: true, .. }) = tx.get(&NAMESPACES, &namespace)? else { return Ok(()) };
                tx.delete(&NAMESPACES, &namespace);
                let note = caller.note("namespace.delete", &namespace).with("queues", queues);
                tx.audit(note.with("exchanges", exchanges));
                Ok(())
            })
            .await?;
        Ok(true)
    }

    /// The namespaces whose time is over.
    pub fn over(&self) -> Result<Vec<NamespaceName>> {
        let (mut over, mut last) = (Vec::new(), None);
        loop {
            let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let (now, rows) = self.store.read(|tx| Ok((tx.now(), tx.scan(&NAMESPACES, from, CHUNK)?)))?;
            let Some((name, _)) = rows.last() else { return Ok(over) };
            last = Some(name.clone());
            over.extend(rows.into_iter().filter(|(_, namespace)| self.is_over(namespace, now)).map(|(name, _)| name));
        }
    }

    /// Why a pass should not go ahead unasked: it would remove very many, as after a clock was set far forward.
    pub fn expiry_brake(&self) -> Result<Option<String>> {
        let (over, all) = (self.over()?.len(), usize::try_from(self.count()?).unwrap_or(usize::MAX));
        let is_much = over > REMOVED_MAX && over > all / REMOVED_SHARE;
        Ok(is_much.then(|| format!("it would remove {over} of {all} namespaces: is the clock right?")))
    }

    /// Whether its time is over. A password that was promised for longer holds it back: the promise comes first.
    fn is_over(&self, namespace: &Namespace, now: Timestamp) -> bool {
        let end = namespace.expires.plus(self.rules.expiration_delay);
        namespace.ending || now >= end.max(namespace.promised_until).max(namespace.resting_until)
    }

    /// Notes that the namespace ends, and that its users should not be. False when it need not end.
    fn begin_to_end(
        &self,
        tx: &mut WriteTx<'_, '_>,
        name: &NamespaceName,
        caller: &Caller,
        which: Which,
    ) -> Result<bool> {
        let now = tx.now();
        let Some(mut namespace) = tx.get(&NAMESPACES, name)? else {
            return match which {
                Which::Over => Ok(false),
                Which::Any => Err(super::no_such(name)),
            };
        };
        if which == Which::Over && !self.is_over(&namespace, now) {
            return Ok(false);
        }
        if namespace.ending {
            return Ok(true);
        }
        for account in self.rules.accounts(name)? {
            self.accounts.remove(tx, &account)?;
        }
        namespace.ending = true;
        tx.put(&NAMESPACES, name, &namespace)?;
        tx.audit(caller.note("namespace.expire", name).with("expires", namespace.expires.to_string()));
        Ok(true)
    }

    /// Deletes the queues and exchanges below the namespace, and counts them. Its users are gone, so nobody makes new
    /// ones.
    async fn remove_things(&self, name: &NamespaceName) -> Result<(usize, usize)> {
        let (broker, vhost) = (self.accounts.broker()?, &self.rules.amqp.vhost);
        let (mut queues, mut exchanges) = (0, 0);
        let below = format!("{}{name}/", self.rules.queue_prefix);
        for queue in broker.queues(vhost).await?.iter().filter(|queue| queue.name.starts_with(&below)) {
            if !broker.delete_queue(vhost, &queue.name).await? && broker.queue(vhost, &queue.name).await?.is_some() {
                return Err(Error::unavailable("a queue of the namespace cannot be deleted now"));
            }
            queues += 1;
        }
        let below = format!("{}{name}/", self.rules.exchange_prefix);
        for exchange in broker.exchanges(vhost).await?.iter().filter(|exchange| exchange.name.starts_with(&below)) {
            exchanges += usize::from(broker.delete_exchange(vhost, &exchange.name).await?);
        }
        Ok((queues, exchanges))
    }
}
