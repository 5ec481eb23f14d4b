//! One pass: look at the broker and at the store, judge, ask the brake, act.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;

use super::brake::{self, Brake, Cause, Pass, Readings};
use super::forecast::Samples;
use super::judge::{Verdict, judge};
use super::load::Loads;
use super::memory::{self, BRAKE, GROWING, ONLY, PASS};
use super::pass::{Look, Report};
use super::plan::{Plan, What};
use super::rules::RuleBook;
use super::sight::Sight;
use super::{LOOP, Monitor, Sort};
use crate::base::Result;
use crate::base::audit::{Action, Actor, Note};
use crate::domain::notices::Notice;
use crate::ports::broker::Queue;
use crate::store::WriteTx;

/// Queues asked for one by one in a pass, because a rule is about what lists do not tell. The next pass goes on with
/// others; what was not asked gets no verdict.
const ASKED_MAX: usize = 1000;
/// Questions side by side: the broker gains nothing beyond eight (rabbitmq.md 3).
const ASKERS: usize = 8;

/// Questions without an answer after which a pass asks no more: each may take seconds.
const ASKING_FAILURES_MAX: usize = 8;
/// Queues whose counts are kept though some of them are not listed. Of more, those that are gone are dropped at once:
/// clients may make queues with new names all day.
const SAMPLED_MAX: usize = 50_000;

/// Queues whose counts outlive a restart: with 15 counts of each some 60 kB, written along with the pass.
const GROWING_MAX: usize = 100;

impl Monitor {
    /// What a pass would do now. Changes nothing.
    pub async fn plan(&self) -> Result<Plan> {
        let look = self.look().await?;
        let mut samples = self.recent().samples.clone();
        let (verdict, causes) = self.judge(&look, &mut samples);
        let brake = brake::decide(look.memory.brake.as_ref(), causes, look.now);
        let steps = verdict.steps().cloned().collect();
        Ok(Plan { steps, brake: brake.map(|brake| brake.causes).unwrap_or_default(), mock: self.config.mock })
    }

    /// One pass. It visits every item even when some fail; it may run at any time any number of times.
    pub async fn run(&self) -> Result<Report> {
        let look = Arc::new(self.look().await?);
        if let Err(error) = self.namespaces.note_connected(&look.connections).await {
            // Who was seen is for operators; the pass is for the broker.
            tracing::warn!("could not note who is connected: {}", error.chain());
        }
        let (verdict, causes) = {
            let mut recent = self.recent();
            self.judge(&look, &mut recent.samples)
        };
        let brake = brake::decide(look.memory.brake.as_ref(), causes, look.now);
        if self.config.mock {
            return Ok(pretend(&verdict, brake));
        }
        self.note_brake(look.memory.brake.as_ref(), brake.as_ref()).await?;
        let causes = brake.map(|brake| brake.causes).unwrap_or_default();
        if causes.iter().any(|cause| cause.trouble.is_in_the_inputs()) {
            return Ok(Report { brake: causes, ..Report::default() });
        }
        let report = self.act(&look, &verdict, causes).await;
        self.note_pass(&look, &verdict, &report).await?;
        Ok(report)
    }

    /// Asks the broker, then the store. In this order, so that a namespace that was claimed in between is known before
    /// its things are judged.
    pub(super) async fn look(&self) -> Result<Look> {
        let (now, elapsed) = (self.clock.now(), self.clock.elapsed());
        let (bus, vhost) = (self.bus.get()?, self.namespaces.vhost());
        let queues = bus.queues(vhost).await?;
        let exchanges = bus.exchanges(vhost).await?;
        let connections = bus.connections().await?;
        let memory = self.store.survey(memory::recall).await?;
        let watched = self.namespaces.list_for_monitor().await?;
        let book = self.rule_book(memory.rules.clone());
        let since_last = {
            let mut recent = self.recent();
            if recent.pass.is_none() && recent.samples.is_empty() {
                let growing = self.store.read(|tx| tx.get(&GROWING, &ONLY.into()))?;
                recent.samples.extend(growing.into_iter().flatten());
            }
            let last = recent.pass.filter(|(at, _)| memory.pass.is_some_and(|pass| pass.at == *at));
            last.map(|(_, then)| elapsed.saturating_sub(then))
        };
        // Whoever has no limits and never had is not asked.
        let are_limits = book.have_limits() || memory.queues.values().any(|queue| queue.limited.is_some());
        let caps = if are_limits { bus.queue_limits(vhost).await? } else { Vec::new() };
        let mut look = Look {
            caps: caps.into_iter().map(|limit| (limit.queue.clone(), limit)).collect(),
            now,
            elapsed,
            namespaces: watched.into_iter().map(|watched| (watched.name.clone(), watched)).collect(),
            readings: Readings { now, elapsed: since_last, seen: Default::default(), uncounted: 0, unknown: 0 },
            memory,
            book,
            queues,
            exchanges,
            connections,
        };
        self.ask_singly(&mut look).await?;
        self.recent().loads = Some(Loads::of(&self.prefixes, &look.queues, &look.connections).into());
        Ok(look)
    }

    /// Fills in what lists do not tell, for the queues whose rule is about it.
    pub(super) async fn ask_singly(&self, look: &mut Look) -> Result<()> {
        if !look.book.need_more_than_lists() && look.queues.iter().all(|queue| queue.stream().is_none()) {
            return Ok(());
        }
        let (bus, vhost) = (self.bus.get()?, self.namespaces.vhost());
        let lacking = |queue: &Queue| {
            let limits = look.book.limits(&queue.name).of(queue.stream());
            let is_ours = self.prefixes.queue(&queue.name).is_some();
            let is_counted = queue.messages.is_some() || queue.stream().is_some();
            is_ours && is_counted && limits.miss_something(queue)
        };
        let lacking: Vec<usize> =
            look.queues.iter().enumerate().filter(|(_, queue)| lacking(queue)).map(|(index, _)| index).collect();
        let turn = look.memory.pass.map_or(0, |pass| usize::try_from(pass.number).unwrap_or(0));
        let skip = turn.wrapping_mul(ASKED_MAX) % lacking.len().max(1);
        let asked: Vec<(usize, String)> = lacking
            .iter()
            .cycle()
            .skip(skip)
            .take(lacking.len().min(ASKED_MAX))
            .map(|index| (*index, look.queues[*index].name.clone()))
            .collect();
        let mut answers = futures_util::stream::iter(asked)
            .map(|(index, name)| async move { (index, bus.queue(vhost, &name).await) })
            .buffer_unordered(ASKERS);
        let mut failed = 0;
        while let Some((index, answer)) = answers.next().await {
            // Without an answer there is no verdict about what it lacks.
            match answer {
                Ok(Some(single)) => {
                    let queue = &mut look.queues[index];
                    // Lists count better, but for streams, which they do not count.
                    let (messages, ready) = (queue.messages.or(single.messages), queue.ready.or(single.ready));
                    let unacknowledged = queue.unacknowledged;
                    *queue = Queue { messages, ready, unacknowledged, ..single };
                }
                Ok(None) => {}
                Err(error) => {
                    failed += 1;
                    if failed == ASKING_FAILURES_MAX {
                        tracing::warn!("the broker does not answer for single queues: {}", error.chain());
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// The verdict, and what speaks for the brake.
    pub(super) fn judge(&self, look: &Look, samples: &mut HashMap<String, Samples>) -> (Verdict, Vec<Cause>) {
        samples.retain(|_, samples| !samples.is_stale(look.now));
        for queue in &look.queues {
            if let (Some(messages), Some(_)) = (queue.messages, self.prefixes.queue(&queue.name)) {
                match samples.get_mut(&queue.name) {
                    Some(samples) => samples.add(look.now, messages),
                    None => samples.entry(queue.name.clone()).or_default().add(look.now, messages),
                }
            }
        }
        if samples.len() > SAMPLED_MAX {
            samples.retain(|_, samples| samples.is_of(look.now));
        }
        let verdict = judge(&Sight {
            now: look.now,
            last: look.memory.pass.map(|pass| pass.at),
            period: self.config.period,
            prefixes: &self.prefixes,
            queues: &look.queues,
            exchanges: &look.exchanges,
            connections: &look.connections,
            namespaces: &look.namespaces,
            remembered: &look.memory.queues,
            told: &look.memory.told,
            caps: &look.caps,
            samples,
            rules: &look.book,
            connection_max_lifetime: self.config.connection_max_lifetime,
        });
        let unknown = verdict.steps().filter(|step| step.what == What::Delete && step.over.is_none()).count();
        let readings = Readings { seen: verdict.seen, uncounted: verdict.uncounted, unknown, ..look.readings };
        let mut causes = brake::inputs(&readings, look.memory.pass.as_ref());
        causes.extend(brake::amount(
            deletions(&verdict, Sort::Queue),
            deletions(&verdict, Sort::Exchange),
            &verdict.seen,
        ));
        if causes.iter().any(|cause| cause.trouble.is_clock()) {
            samples.clear();
        }
        (verdict, causes)
    }

    /// Writes down what became of the brake, and tells the operators when it comes on or means something new.
    pub(super) async fn note_brake(&self, before: Option<&Brake>, after: Option<&Brake>) -> Result<()> {
        let is_change = match (before, after) {
            (Some(before), Some(after)) => !after.says_as_much_as(before),
            (None, None) => false,
            _ => true,
        };
        if !is_change {
            return Ok(());
        }
        let is_news = after.is_some_and(|after| before.is_none_or(|before| !after.is_known_from(before)));
        let (notices, before, after) = (self.notices.clone(), before.cloned(), after.cloned());
        let to: Vec<String> = self.config.contacts.iter().map(ToString::to_string).collect();
        let change = move |tx: &mut WriteTx<'_, '_>| {
            // It was released since this pass looked: that holds for the next one.
            if tx.get(&BRAKE, &ONLY.into())? != before {
                return Ok(());
            }
            let actor = Actor::Loop(LOOP.into());
            let Some(brake) = after else {
                tx.delete(&BRAKE, &ONLY.into());
                tx.audit(Note::done(actor, Action::MonitorGoOn, LOOP));
                return Ok(());
            };
            tx.put(&BRAKE, &ONLY.into(), &brake)?;
            let causes: Vec<String> = brake.causes.iter().map(|cause| cause.why.clone()).collect();
            if is_news {
                tracing::error!("the monitor stops at the brake and waits for an operator: {}", causes.join("; "));
                let body =
                    format!("{}.\n\nLook at `keylender loop plan monitor`, then release it.\n", causes.join(".\n"));
                let subject = "the monitor stopped at the brake".to_owned();
                let (kind, about) = ("monitor.brake", LOOP.to_owned());
                notices.post(tx, Notice { kind, about, to, subject, body })?;
            }
            tx.audit(Note::done(actor, Action::MonitorBrake, LOOP).with("causes", causes));
            Ok(())
        };
        self.store.write(change).await
    }

    /// Writes down what this pass leaves, for the next one to compare with.
    async fn note_pass(&self, look: &Look, verdict: &Verdict, report: &Report) -> Result<()> {
        let mut left = verdict.seen;
        left.queues = left.queues.saturating_sub(report.deleted_queues);
        left.exchanges = left.exchanges.saturating_sub(report.deleted_exchanges);
        let number = look.memory.pass.map_or(0, |pass| pass.number.wrapping_add(1));
        let pass = Pass { at: look.now, left, number };
        let growing = self.growing(&look.book);
        let change = move |tx: &mut WriteTx<'_, '_>| {
            if growing.is_empty() {
                tx.delete(&GROWING, &ONLY.into())
            } else {
                tx.put(&GROWING, &ONLY.into(), &growing)?
            }
            tx.put(&PASS, &ONLY.into(), &pass)
        };
        self.store.write(change).await?;
        self.recent().pass = Some((look.now, look.elapsed));
        Ok(())
    }
}

impl Monitor {
    /// The last counts of the queues that are deleted soonest at their present rate.
    fn growing(&self, book: &RuleBook) -> Vec<(String, Samples)> {
        let recent = self.recent();
        let mut soonest: Vec<_> = recent
            .samples
            .iter()
            .filter(|(_, samples)| samples.has_grown())
            .filter_map(|(name, samples)| {
                let limits = book.limits(name);
                Some((limits.forecast(samples)?.to_deletion, name, samples))
            })
            .collect();
        soonest.sort_by_key(|(until, name, _)| (*until, *name));
        soonest.into_iter().take(GROWING_MAX).map(|(_, name, samples)| (name.clone(), samples.clone())).collect()
    }
}

/// A pass that changes nothing: it says what it would do.
fn pretend(verdict: &Verdict, brake: Option<Brake>) -> Report {
    let mut report = Report { mock: true, ..Report::default() };
    report.brake = brake.map(|brake| brake.causes).unwrap_or_default();
    for step in verdict.steps() {
        report.planned += 1;
        tracing::info!("would {step}");
    }
    report
}

fn deletions(verdict: &Verdict, sort: Sort) -> usize {
    let is_meant =
        |object: &super::Object| matches!(object, super::Object::Resource(resource) if resource.sort() == sort);
    verdict.steps().filter(|step| step.what == What::Delete && is_meant(&step.object)).count()
}
