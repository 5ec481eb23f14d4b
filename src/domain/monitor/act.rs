//! Carrying out a verdict, step by step. A step that fails is counted and the next one is taken.

use std::sync::Arc;

use futures_util::StreamExt;

use super::brake::Cause;
use super::judge::{Finding, Verdict, is_still_over};
use super::managed::{Managed, ManagedConnection, Sort};
use super::memory::{QUEUES, RULES, TOLD};
use super::pass::{Look, Report};
use super::plan::{Object, Step, What};
use super::rules::RULES_MAX;
use super::sight::Remembered;
use super::{LOOP, Monitor, words};
use crate::base::audit::{Action, Actor, Note, Outcome};
use crate::base::{Error, NamespaceName, Result};
use crate::ports::broker::{Queue, Stream};
use crate::store::WriteTx;

/// Findings written down in one transaction, so that requests come in between.
const CHUNK: usize = 500;
/// Destructive steps side by side: the broker gains nothing beyond eight (rabbitmq.md 3).
const WORKERS: usize = 8;

/// How a destructive step ended.
pub(super) enum Done {
    Deleted(Sort),
    Limited,
    Unlimited,
    Archived,
    Closed,
    Spared,
    /// It goes on, or waits until others have ended.
    UnderWay,
}

impl Monitor {
    /// Takes the steps of a verdict; those that only tell also while the brake is on.
    pub(super) async fn act(&self, look: &Arc<Look>, verdict: &Verdict, brake: Vec<Cause>) -> Report {
        let mut report = Report { brake, ..Report::default() };
        // What is seen of a queue whose messages are being taken out is no verdict on it.
        let findings: Vec<&Finding> =
            verdict.findings.iter().filter(|finding| !self.under_way.has(&finding.name)).collect();
        for findings in findings.chunks(CHUNK) {
            let told =
                findings.iter().flat_map(|finding| &finding.steps).filter(|step| !step.what.changes_the_broker());
            let told = told.count();
            note(self.write_findings(look, findings).await, told, &mut report);
        }
        let tellings: Vec<&Step> = verdict.others.iter().filter(|step| !step.what.changes_the_broker()).collect();
        note(self.tell_namespaces(look, &tellings).await, tellings.len(), &mut report);

        let destructive: Vec<Step> = verdict.steps().filter(|step| step.what.changes_the_broker()).cloned().collect();
        if !report.brake.is_empty() {
            report.held = destructive.len();
            return report;
        }
        let mut outcomes = futures_util::stream::iter(destructive)
            .map(|step| async move { (self.destroy_patiently(look, &step).await, step) })
            .buffer_unordered(WORKERS);
        while let Some((outcome, step)) = outcomes.next().await {
            match outcome {
                Ok(Done::Deleted(Sort::Queue)) => report.deleted_queues += 1,
                Ok(Done::Deleted(Sort::Exchange)) => report.deleted_exchanges += 1,
                Ok(Done::Limited) => report.limited += 1,
                Ok(Done::Archived) => report.archived += 1,
                Ok(Done::Unlimited) => report.unlimited += 1,
                Ok(Done::Closed) => report.closed += 1,
                Ok(Done::Spared) => report.spared += 1,
                Ok(Done::UnderWay) => report.under_way += 1,
                Err(error) => {
                    tracing::warn!("could not {step}: {}", error.chain());
                    report.failed += 1;
                }
            }
        }
        report
    }

    /// Writes down what is remembered of queues from now on, with the notices that say so.
    async fn write_findings(&self, look: &Look, findings: &[&Finding]) -> Result<()> {
        let (mut states, mut notices, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for Finding { name, state, steps } in findings {
            states.push((name.clone(), state.clone()));
            for step in steps.iter().filter(|step| !step.what.changes_the_broker()) {
                notices.extend(words::notice(step, receivers(look, step.object.namespace())));
                notes.extend((step.what == What::Conclude).then(|| audit(step, Action::QueueDelete)));
            }
        }
        let outbox = self.notices.clone();
        let change = move |tx: &mut WriteTx<'_, '_>| {
            for (name, state) in states {
                match state {
                    Some(state) => tx.put(&QUEUES, &name, &state)?,
                    None => tx.delete(&QUEUES, &name),
                }
            }
            notes.into_iter().for_each(|note| tx.audit(note));
            notices.into_iter().try_for_each(|notice| outbox.post(tx, notice))
        };
        self.store.write(change).await
    }

    /// Tells contacts of connections that outlive a promise, and forgets whom that no longer concerns.
    async fn tell_namespaces(&self, look: &Look, steps: &[&Step]) -> Result<()> {
        let told: Vec<NamespaceName> = steps.iter().map(|step| step.object.namespace().clone()).collect();
        let gone: Vec<NamespaceName> =
            look.memory.told.keys().filter(|name| !look.namespaces.contains_key(*name)).cloned().collect();
        if told.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let notices: Vec<_> =
            steps.iter().filter_map(|step| words::notice(step, receivers(look, step.object.namespace()))).collect();
        let (outbox, now) = (self.notices.clone(), look.now);
        let change = move |tx: &mut WriteTx<'_, '_>| {
            gone.iter().for_each(|name| tx.delete(&TOLD, name));
            told.iter().try_for_each(|name| tx.put(&TOLD, name, &now))?;
            notices.into_iter().try_for_each(|notice| outbox.post(tx, notice))
        };
        self.store.write(change).await
    }

    pub(super) async fn destroy(&self, look: &Look, step: &Step) -> Result<Done> {
        match &step.object {
            Object::Resource(resource) => match (step.what, resource.sort()) {
                (What::Limit, _) => self.limit(look, step, resource).await,
                (What::Archive, _) => self.archive(look, step, resource).await,
                (What::Unlimit, _) => self.unlimit(look, step, resource).await,
                (_, Sort::Queue) => self.delete_queue(look, step, resource).await,
                (_, Sort::Exchange) => self.delete_exchange(step, resource).await,
            },
            Object::Connection(connection) => self.close(step, connection).await,
            Object::Namespace(_) => Ok(Done::Spared),
        }
    }

    /// Asks for this queue once more, writes down that it goes, deletes it, and writes down that it is gone.
    async fn delete_queue(&self, look: &Look, step: &Step, name: &Managed) -> Result<Done> {
        let (bus, vhost) = (self.bus.get()?, self.namespaces.vhost());
        let Some(queue) = bus.queue(vhost, name.name()).await? else { return Ok(Done::Spared) };
        let queue = match &step.over {
            Some(over) => {
                // What lists and statistics say of a quorum queue may be older than its end (rabbitmq-versions.md, A7).
                let Some(depth) = bus.depth(vhost, name.name()).await? else { return Ok(Done::Spared) };
                let queue = queue.as_it_says(depth);
                if !is_still_over(over, &queue, look.now) {
                    return Ok(Done::Spared);
                }
                queue
            }
            None if self.namespaces.exists(name.namespace())? => return Ok(Done::Spared),
            None => queue,
        };
        let messages = queue.messages.or(step.messages);
        let why = step.over.as_ref().map_or_else(|| step.why.clone(), |over| words::describe_over(over, &queue));
        let step = Step { messages, why, ..step.clone() };
        if !self.condemn(&step, queue.stream()).await? {
            return Ok(Done::Spared);
        }
        let step = match self.last_will(&step, name, &queue).await {
            Ok(None) => step,
            // That may have taken minutes: what an operator said meanwhile counts, and what passes saw meanwhile does not.
            Ok(Some(step)) if self.condemn(&step, queue.stream()).await? => step,
            Ok(Some(_)) => return Ok(Done::Spared),
            Err(error) => return self.note_failure(&step, error).await,
        };
        match bus.delete_queue(vhost, name.name()).await {
            Ok(true) => {}
            Ok(false) => return self.vanished(&step).await,
            Err(error) => return self.note_failure(&step, error).await,
        }
        tracing::info!(queue.name = %name.name(), "deleted queue `{}`: {}", name.name(), step.why);
        let receivers = receivers(look, name.namespace());
        let outbox = self.notices.clone();
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(audit(&step, Action::QueueDelete));
            forget(tx, step.object.name())?;
            match (&step.over, words::notice(&step, receivers)) {
                (Some(_), Some(notice)) => outbox.post(tx, notice),
                // Nobody is left to hear of it.
                _ => Ok(()),
            }
        };
        self.store.write(change).await?;
        Ok(Done::Deleted(Sort::Queue))
    }

    /// Archives what a queue holds before it is deleted, where its rule says so, and adds where that is. What came after the last
    /// message that was taken, and what consumers have in hand, goes with the queue: it is what is told as lost. `None` where
    /// nothing is archived.
    async fn last_will(&self, step: &Step, name: &Managed, queue: &Queue) -> Result<Option<Step>> {
        let limits = self.rule_book(self.queue_rules().await?).limits(name.name());
        if step.over.is_none() || limits.archive.is_none() {
            return Ok(None);
        }
        let archive = self.take(step, name, queue).await?;
        let lost = archive.arrived.saturating_add(queue.unacknowledged.unwrap_or(0));
        let why = words::archived_and_deleted(&step.why, &archive);
        Ok(Some(Step { why, messages: Some(lost), ..step.clone() }))
    }

    async fn delete_exchange(&self, step: &Step, name: &Managed) -> Result<Done> {
        if self.namespaces.exists(name.namespace())? {
            return Ok(Done::Spared);
        }
        self.condemn(step, None).await?;
        match self.bus.get()?.delete_exchange(self.namespaces.vhost(), name.name()).await {
            Ok(true) => {}
            Ok(false) => return Ok(Done::Spared),
            Err(error) => return self.note_failure(step, error).await,
        }
        tracing::info!("deleted exchange `{}`: {}", name.name(), step.why);
        self.store.note(audit(step, Action::ExchangeDelete)).await?;
        Ok(Done::Deleted(Sort::Exchange))
    }

    async fn close(&self, step: &Step, connection: &ManagedConnection) -> Result<Done> {
        self.condemn(step, None).await?;
        match self.bus.get()?.close_connection(connection.name(), &step.why).await {
            Ok(true) => {}
            Ok(false) => return Ok(Done::Spared),
            Err(error) => return self.note_failure(step, error).await,
        }
        tracing::info!("closed connection `{}` of {}: {}", connection.name(), connection.user(), step.why);
        self.store.note(audit(step, Action::ConnectionClose).with("user", connection.user().as_str())).await?;
        Ok(Done::Closed)
    }

    /// Writes down what is about to go, so that a crash cannot hide it. The queue of a namespace that exists is
    /// remembered as well: should the outcome stay unknown, its contact still hears of it. False when a rule that an
    /// operator set since the judgement spares it.
    pub(super) async fn condemn(&self, step: &Step, stream: Option<Stream>) -> Result<bool> {
        let (monitor, step) = (self.clone(), step.clone());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            if let Some(over) = &step.over {
                let name = step.object.name().to_owned();
                let mut state = tx.get(&QUEUES, &name)?.unwrap_or_default();
                let book = monitor.rule_book(tx.scan(&RULES, RULES_MAX)?);
                if !book.limits(&name).of(stream).condemn(over, state.over_since, tx.now()) {
                    return Ok(false);
                }
                state.condemned = Some(step.messages.unwrap_or_default());
                tx.put(&QUEUES, &name, &state)?;
            }
            tx.audit(audit(&step, Action::MonitorCondemn));
            Ok(true)
        };
        self.store.write(change).await
    }

    /// Writes down that a queue was not there any more when it was deleted: it went by itself, its node is down, or an
    /// earlier try took effect. What later passes see decides.
    async fn vanished(&self, step: &Step) -> Result<Done> {
        self.recall(step.object.name(), |state| Remembered { vanished: true, ..state }).await?;
        Ok(Done::Spared)
    }

    /// Changes what is remembered of a queue that is about to go.
    async fn recall(&self, name: &str, change: impl FnOnce(Remembered) -> Remembered + Send + 'static) -> Result<()> {
        let name = name.to_owned();
        let change = move |tx: &mut WriteTx<'_, '_>| match tx.get(&QUEUES, &name)? {
            Some(state) if state.condemned.is_some() => tx.put(&QUEUES, &name, &change(state)),
            _ => Ok(()),
        };
        self.store.write(change).await
    }

    /// Writes down that a step did not work.
    pub(super) async fn note_failure(&self, step: &Step, error: Error) -> Result<Done> {
        let cause = error.message().to_owned();
        self.store.note(audit(step, Action::MonitorSpare).outcome(Outcome::Failed).with("cause", cause)).await?;
        Err(error)
    }
}

/// Forgets a queue that is gone, but not that it is limited: its limit goes when it is missed.
fn forget(tx: &mut WriteTx<'_, '_>, name: &str) -> Result<()> {
    let name = name.to_owned();
    match tx.get(&QUEUES, &name)?.and_then(|state| state.limited) {
        Some(limited) => tx.put(&QUEUES, &name, &Remembered { limited: Some(limited), ..Remembered::default() }),
        None => {
            tx.delete(&QUEUES, &name);
            Ok(())
        }
    }
}

pub(super) fn audit(step: &Step, action: Action) -> Note {
    let note = Note::done(Actor::Loop(LOOP.into()), action, step.object.name()).with("why", step.why.as_str());
    match step.messages {
        Some(messages) => note.with("messages", messages),
        None => note,
    }
}

pub(super) fn receivers(look: &Look, namespace: &NamespaceName) -> Vec<String> {
    look.namespaces.get(namespace).map(|watched| watched.receivers.clone()).unwrap_or_default()
}

fn note(outcome: Result<()>, told: usize, report: &mut Report) {
    match outcome {
        Ok(()) => report.told += told,
        Err(error) => {
            tracing::warn!("could not write down what the monitor found: {}", error.chain());
            report.failed += told.max(1);
        }
    }
}
