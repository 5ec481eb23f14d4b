//! Carrying out a plan, one step after another. One that fails stops no other, and all of it may be done again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use tokio::time::Instant;

use super::Relay;
use super::memory::{RESOURCES, Remembered};
use super::resource::{ResourceId, members};
use super::step::{Plan, Step, What, Work};
use crate::base::audit::{Action, Actor, Note, Outcome as Ending};
use crate::base::{AccountName, Error, Kind, Result, VhostName};
use crate::domain::accounts::{Batch, IN_HAND};
use crate::domain::auth::Caller;
use crate::ports::broker::Resource;
use crate::store::WriteTx;

/// Steps in a row that the broker did not answer, after which the rest is not tried: each may wait for its whole patience,
/// and one answer that was lost among many is none of this.
const UNANSWERED_MAX: usize = 8;

/// A step, and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was to be done.
    pub step: Step,
    /// How that went.
    pub end: End,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is so now.
    Done,
    /// It was a step that changes nothing.
    Left,
    /// It could not be done, for this reason. Applying once more tries it again.
    Failed(String),
}

/// How many steps in a row the broker did not answer.
#[derive(Default)]
struct Unanswered(AtomicUsize);

impl Unanswered {
    /// Refuses to try another one when there were so many.
    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) < UNANSWERED_MAX {
            return Ok(());
        }
        Err(Error::unavailable(
            "not tried, because the broker did not answer the steps before: apply again when it does",
        ))
    }

    fn note(&self, done: &Result<()>) {
        if done.as_ref().is_err_and(|error| error.kind() == Kind::Unavailable) {
            self.0.fetch_add(1, Ordering::Relaxed);
        } else {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}

impl Relay {
    /// Makes the broker what is declared. It may be broken off anywhere and asked for again: what is done is not done twice.
    ///
    /// # Errors
    /// Only when there is no plan, or at the end no store. Each step has its own end.
    pub async fn apply(&self, caller: &Caller) -> Result<Vec<Outcome>> {
        let _applying = self.declaration.storing.lock().await;
        let relay = self.declared()?.profile.name().to_owned();
        let began = Instant::now();
        let (Plan { steps, as_declared, forgotten, .. }, census) = self.look_and_plan().await?;
        let new = steps.iter().filter(|step| matches!(step.work, Work::Make { .. })).count();
        let outcomes = self.carry_out(caller, steps, &Batch::after(began, census, new)).await;
        let count = |is: fn(&End) -> bool| outcomes.iter().filter(|outcome| is(&outcome.end)).count();
        let counts = [
            ("done", count(|end| *end == End::Done)),
            ("failed", count(|end| matches!(end, End::Failed(_)))),
            ("left", count(|end| *end == End::Left)),
        ];
        let note = counts.into_iter().fold(caller.note(Action::RelayApply, relay), |note, (name, count)| {
            note.with(name, u64::try_from(count).unwrap_or(u64::MAX))
        });
        let this = self.clone();
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            this.record_all(tx)?;
            forgotten.iter().for_each(|id| tx.delete(&RESOURCES, id));
            as_declared.iter().try_for_each(|(id, remembered)| tx.put(&RESOURCES, id, remembered))
        };
        self.store.write(change).await?;
        Ok(outcomes)
    }

    /// Takes steps in their order; those of accounts that come one after another side by side, as none needs another. While
    /// the broker is away it does not go on.
    pub(super) async fn carry_out(&self, caller: &Caller, steps: Vec<Step>, batch: &Batch) -> Vec<Outcome> {
        let (mut outcomes, mut entered) = (Vec::with_capacity(steps.len()), BTreeSet::new());
        let unanswered = &Unanswered::default();
        let mut steps = steps.into_iter().peekable();
        while let Some(step) = steps.next() {
            if step.work.user().is_none() {
                outcomes.push(match unanswered.check() {
                    Ok(()) => self.declare(caller, step, &mut entered, unanswered).await,
                    Err(error) => ended(step, Err(error)),
                });
                continue;
            }
            let mut users = vec![step];
            while let Some(next) = steps.next_if(|step| step.work.user().is_some()) {
                users.push(next);
            }
            outcomes.extend(self.change_users(caller, users, batch, unanswered).await);
        }
        outcomes
    }

    /// Takes steps about users side by side.
    async fn change_users(
        &self,
        caller: &Caller,
        steps: Vec<Step>,
        batch: &Batch,
        unanswered: &Unanswered,
    ) -> Vec<Outcome> {
        let work = steps.into_iter().map(|step| async move {
            if let Err(error) = unanswered.check() {
                return ended(step, Err(error));
            }
            let done = self.change_user(caller, batch, &step).await;
            unanswered.note(&done);
            ended(step, done)
        });
        futures_util::stream::iter(work).buffered(IN_HAND).collect().await
    }

    /// Takes a step about something in a vhost: the audit log says that it is about to be taken, and then how that ended.
    async fn declare(
        &self,
        caller: &Caller,
        step: Step,
        entered: &mut BTreeSet<VhostName>,
        unanswered: &Unanswered,
    ) -> Outcome {
        let (Work::Put { id, .. } | Work::Remove(id)) = &step.work else { return Outcome { step, end: End::Left } };
        let id = id.clone();
        let done = async {
            self.attempt(caller, &step, Some(id)).await?;
            self.enter(caller, &step.work, entered).await?;
            match &step.work {
                Work::Put { id, resource, is_new } => self.put(caller, &step, id, resource, *is_new).await,
                Work::Remove(id) => self.remove(caller, &step, id).await,
                _ => Ok(()),
            }
        };
        let done = done.await;
        unanswered.note(&done);
        if let Err(error) = &done {
            let cause = error.message().to_owned();
            self.note_failure(caller, step_note(caller, action(&step), &step).with("cause", cause)).await;
        }
        ended(step, done)
    }

    /// Writes down that a step is about to be taken, so that a crash cannot hide it.
    async fn attempt(&self, caller: &Caller, step: &Step, id: Option<ResourceId>) -> Result<()> {
        let is_loop = matches!(caller.actor(), Actor::Loop(_));
        let note = step_note(caller, Action::RelayAttempt, step).with("step", step.what.word());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            let before = match &id {
                Some(id) => tx.get(&RESOURCES, id)?,
                None => None,
            };
            if is_loop && before.as_ref().is_some_and(|before| before.is_attempted) {
                return Ok(());
            }
            tx.audit(note);
            match id.zip(before) {
                Some((id, before)) => tx.put(&RESOURCES, &id, &Remembered { is_attempted: true, ..before }),
                None => Ok(()),
            }
        };
        self.store.write(change).await
    }

    /// Makes sure that we may do such work where it is to be done.
    async fn enter(&self, caller: &Caller, work: &Work, entered: &mut BTreeSet<VhostName>) -> Result<()> {
        let Some(vhost) = work.declares_in().filter(|vhost| !entered.contains(*vhost)) else { return Ok(()) };
        self.make_sure_to_enter(vhost, caller).await?;
        entered.insert(vhost.clone());
        Ok(())
    }

    /// Makes sure that we may declare and read what is in a vhost, which the broker allows to who made it only.
    pub async fn make_sure_to_enter(&self, vhost: &VhostName, caller: &Caller) -> Result<()> {
        if !self.administrator.may_declare_in(vhost).await? {
            let user = self.administrator.acting()?;
            self.store.note(caller.note(Action::RelayEnter, vhost).with("user", user)).await?;
            self.administrator.enter(vhost).await?;
        }
        Ok(())
    }

    /// Declares something, and only then remembers it: what a crash leaves between the two is nobody's to remove later.
    async fn put(
        &self,
        caller: &Caller,
        step: &Step,
        id: &ResourceId,
        resource: &Resource,
        is_new: bool,
    ) -> Result<()> {
        self.resources.get()?.put_resource(&id.vhost, resource).await?;
        let (relay, declared) = (self.declared()?.profile.name().to_owned(), members(resource));
        let (note, id) = (step_note(caller, Action::RelayDeclare, step), id.clone());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            let before = tx.get(&RESOURCES, &id)?;
            let is_ours = is_new || before.is_some_and(|before| before.is_ours && before.relay == relay);
            tx.audit(note);
            tx.put(&RESOURCES, &id, &Remembered { relay, is_ours, declared, is_attempted: false })
        };
        self.store.write(change).await
    }

    async fn remove(&self, caller: &Caller, step: &Step, id: &ResourceId) -> Result<()> {
        self.resources.get()?.remove_resource(&id.vhost, &id.key).await?;
        let (note, id) = (step_note(caller, Action::RelayRemove, step), id.clone());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            tx.delete(&RESOURCES, &id);
            Ok(())
        };
        self.store.write(change).await
    }

    /// Takes a step about a user: the wish first, with its entry, and then the broker. How that went `settle` notes itself.
    async fn change_user(&self, caller: &Caller, batch: &Batch, step: &Step) -> Result<()> {
        let Some(user) = step.work.user().cloned() else { return Ok(()) };
        if matches!(step.work, Work::Delete(_)) {
            return self.delete_stranger(caller, step, &user).await;
        }
        self.wish(caller, step).await?;
        let settled = self.accounts.settle_in(batch, &user, caller).await;
        if settled.as_ref().is_err_and(|error| error.kind() == Kind::Conflict) {
            // Somebody made a user of this name meanwhile. Nothing of ours is there, so nothing stays.
            let (this, accounts, owner) = (self.clone(), self.accounts.clone(), self.owner()?);
            let note = step_note(caller, Action::RelayAccount, step).outcome(Ending::Failed);
            let change = move |tx: &mut WriteTx<'_, '_>| {
                tx.audit(note);
                this.forget(tx, &user)?;
                accounts.forget_untold(tx, &[user], &owner)
            };
            self.store.write(change).await?;
        }
        settled
    }

    /// Writes down what an account should be.
    async fn wish(&self, caller: &Caller, step: &Step) -> Result<()> {
        let (this, accounts, owner) = (self.clone(), self.accounts.clone(), self.owner()?);
        let (note, work) = (step_note(caller, Action::RelayAccount, step), step.work.clone());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            match work {
                Work::Make { account, user, terms } => this.make(tx, &account, &user, terms),
                Work::TakeOver { account, user, terms } => this.take_over(tx, &account, &user, terms),
                Work::Adjust(user, terms) => accounts.adjust(tx, &user, &owner, &terms).map(drop),
                Work::Renew(user, strays) => accounts.tell_again(tx, &user, &owner, &strays),
                Work::End(user) => {
                    this.forget(tx, &user)?;
                    accounts.remove(tx, &user, &owner)
                }
                Work::None | Work::Put { .. } | Work::Remove(_) | Work::Settle(_) | Work::Delete(_) => Ok(()),
            }
        };
        self.store.write(change).await
    }

    async fn delete_stranger(&self, caller: &Caller, step: &Step, user: &AccountName) -> Result<()> {
        self.attempt(caller, step, None).await?;
        let done = self.accounts.delete_stranger(user).await;
        let note = step_note(caller, Action::RelayDeleteUser, step);
        match &done {
            Ok(_) => self.store.note(note).await?,
            Err(error) => self.note_failure(caller, note.with("cause", error.message().to_owned())).await,
        }
        done.map(drop)
    }

    /// Writes down that something could not be done. A loop tries again at every pass, and its status says that it fails.
    async fn note_failure(&self, caller: &Caller, note: Note) {
        if matches!(caller.actor(), Actor::Loop(_)) {
            return;
        }
        if let Err(error) = self.store.note(note.outcome(Ending::Failed)).await {
            tracing::warn!("could not audit that: {}", error.chain());
        }
    }
}

fn ended(step: Step, done: Result<()>) -> Outcome {
    let end = match done {
        Ok(()) => {
            tracing::info!("relay: did {step}");
            End::Done
        }
        Err(error) => {
            tracing::warn!("relay: could not {step}: {}", error.chain());
            End::Failed(error.message().to_owned())
        }
    };
    Outcome { step, end }
}

fn action(step: &Step) -> Action {
    if step.what == What::Remove { Action::RelayRemove } else { Action::RelayDeclare }
}

fn step_note(caller: &Caller, action: Action, step: &Step) -> Note {
    caller.note(action, &step.object).with("why", step.why.clone())
}
