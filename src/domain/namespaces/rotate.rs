//! Rotation: the resting slot gets a new password and becomes active; the other one works on until it was promised.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;

use super::{NAMESPACES, Namespace, Namespaces, PARTY, WORKERS, leases};
use crate::base::audit::Action;
use crate::base::{Error, NamespaceName, Result, Secret, Timestamp};
use crate::domain::accounts::Begun;
use crate::domain::auth::Caller;
use crate::store::WriteTx;

/// The part of an interval over which rotations of many namespaces spread: a tenth.
const SPREAD: u32 = 10;
/// The name of the loop, in the audit log and on the console.
const LOOP: &str = "rotate";

/// When a namespace is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// If its time has come.
    Due,
    /// Whether or not; an operator asks. A promise is kept all the same.
    Now,
}

/// What one pass of rotation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Namespaces whose slots changed places.
    pub rotated: usize,
    /// Namespaces that are due and whose resting password was promised for longer.
    pub waiting: usize,
    /// Namespaces that could not be rotated now; the next pass goes on where they are.
    pub failed: usize,
}

impl Namespaces {
    /// Rotates every namespace whose time has come. It visits every one even when some fail.
    pub async fn rotate_due(&self) -> Result<Rotated> {
        let mut rotated = Rotated::default();
        let (due, caller) = (self.due().await?, &Caller::of_loop(LOOP));
        let mut parties = futures_util::stream::iter(due.chunks(PARTY).map(<[_]>::to_vec))
            .map(|party| async move { (self.rotate_party(&party, caller).await, party) })
            .buffer_unordered(WORKERS / PARTY);
        while let Some((outcomes, party)) = parties.next().await {
            for (outcome, name) in outcomes.into_iter().zip(party) {
                match outcome {
                    Ok(true) => rotated.rotated += 1,
                    Ok(false) => rotated.waiting += 1,
                    Err(error) => {
                        tracing::warn!(namespace = %name, "could not rotate `{name}`: {}", error.chain());
                        rotated.failed += 1;
                    }
                }
            }
        }
        Ok(rotated)
    }

    /// Rotates one namespace: true when its slots changed places, false when it must wait.
    ///
    /// The new password is settled before the slots change places, so that an outage of the broker leaves the active
    /// one in force. A crash between any two steps is finished by the next call.
    pub async fn rotate(&self, name: &NamespaceName, caller: &Caller, when: When) -> Result<bool> {
        Ok(self.rotate_all(std::slice::from_ref(name), caller, when).await? == [true])
    }

    /// Rotates some that are due together. When that fails, each is rotated alone, so that one that cannot be rotated
    /// keeps no other from it.
    async fn rotate_party(&self, party: &[NamespaceName], caller: &Caller) -> Vec<Result<bool>> {
        match self.rotate_all(party, caller, When::Due).await {
            Ok(rotated) => rotated.into_iter().map(Ok).collect(),
            Err(error) if party.len() == 1 => vec![Err(error)],
            Err(_) => join_all(party.iter().map(|name| self.rotate(name, caller, When::Due))).await,
        }
    }

    /// Rotates these in step, with two commits for all: for each whether its slots changed places. An error is that of
    /// any of them; the next call goes on where each is.
    async fn rotate_all(&self, names: &[NamespaceName], caller: &Caller, when: When) -> Result<Vec<bool>> {
        let (this, namespaces, by) = (self.clone(), names.to_vec(), caller.clone());
        let begun = self
            .store
            .write(move |tx| namespaces.iter().map(|name| this.begin(tx, name, &by, when)).collect::<Result<Vec<_>>>())
            .await?;
        let (mut accounts, mut rotating) = (Vec::new(), Vec::new());
        for (name, begun) in names.iter().zip(begun) {
            rotating.push((name.clone(), matches!(begun, Some(Begun::Renew(_) | Begun::Renewed(_)))));
            match begun {
                Some(Begun::Renew(account) | Begun::Renewed(account)) => accounts.push(account),
                Some(Begun::Promised(until)) if when == When::Now => {
                    return Err(Error::conflict(format!("the resting password was promised until {until}")));
                }
                Some(Begun::Promised(_)) | None => {}
            }
        }
        if accounts.is_empty() {
            return Ok(vec![false; names.len()]);
        }
        let (this, by) = (self.clone(), caller.clone());
        let swap = move |tx: &mut WriteTx<'_, '_>| {
            rotating.iter().map(|(name, rotates)| Ok(*rotates && this.swap(tx, name, &by)?)).collect()
        };
        self.accounts.settle(&accounts, caller, swap).await
    }

    /// The namespaces whose time to rotate has come.
    pub async fn due(&self) -> Result<Vec<NamespaceName>> {
        let interval = self.config.rotation_interval.size();
        let survey = self.store.survey(move |tx| {
            let mut due = Vec::new();
            tx.each(&NAMESPACES, |name, namespace| {
                if namespace.is_due(tx.now(), interval) {
                    due.push(name);
                }
            })?;
            Ok(due)
        });
        survey.await
    }

    /// Gives the resting slot a new password, unless the present one was promised for longer. `None` when it is not due.
    fn begin(
        &self,
        tx: &mut WriteTx<'_, '_>,
        name: &NamespaceName,
        caller: &Caller,
        when: When,
    ) -> Result<Option<Begun>> {
        let mut namespace = tx.get(&NAMESPACES, name)?.ok_or_else(|| super::no_such(name))?;
        let is_due = when == When::Now || namespace.is_due(tx.now(), self.config.rotation_interval.size());
        if namespace.ending || !is_due {
            return Ok(None);
        }
        let mut pair = namespace.pair();
        let begun = pair.begin(tx.now());
        if let Begun::Renew(account) = &begun {
            let password = Secret::generate();
            leases::forget_holders(tx, account)?;
            tx.audit(caller.note(Action::NamespaceRenew, name).about(&password).with("account", account.as_str()));
            self.accounts.wish(tx, account, self.config.wish(name, Some(password)))?;
            namespace.take_pair(pair);
            tx.put(&NAMESPACES, name, &namespace)?;
        }
        Ok(Some(begun))
    }

    /// Lets the slots change places, if the broker is known to have the new password.
    fn swap(&self, tx: &mut WriteTx<'_, '_>, name: &NamespaceName, caller: &Caller) -> Result<bool> {
        let Some(mut namespace) = tx.get(&NAMESPACES, name)?.filter(|namespace| namespace.incoming) else {
            return Ok(false);
        };
        let mut pair = namespace.pair();
        if !self.accounts.is_settled(tx, pair.resting())? {
            return Ok(false);
        }
        pair.swap(self.next_rotation(name, tx.now()), self.config.grace());
        namespace.take_pair(pair);
        let note = caller.note(Action::NamespaceRotate, name).with("active_slot", u8::from(namespace.active));
        tx.audit(note.with("next_rotation", namespace.next_rotation.to_string()));
        tx.put(&NAMESPACES, name, &namespace)?;
        Ok(true)
    }

    /// An interval from now, less up to a tenth that depends on name and time: many namespaces that were rotated in
    /// one pass spread over the next ones, and a test repeats.
    pub(super) fn next_rotation(&self, name: &NamespaceName, now: Timestamp) -> Timestamp {
        use sha2::{Digest, Sha256};
        let digest: [u8; 32] =
            Sha256::new().chain_update(name.as_str()).chain_update(now.as_millis().to_be_bytes()).finalize().into();
        let interval = self.config.rotation_interval.size();
        now.plus(interval - interval / SPREAD * u32::from(digest[0]) / 255)
    }
}

impl Namespace {
    fn is_due(&self, now: Timestamp, interval: Duration) -> bool {
        !self.ending && self.pair().due(now, interval)
    }
}
