//! The rungs between warning and deletion, carried out: a queue is limited, and let go again.

use super::act::{Done, audit, receivers};
use super::judge::is_still_over;
use super::limits::Limits;
use super::managed::Managed;
use super::memory::QUEUES;
use super::pass::Look;
use super::plan::Step;
use super::sight::{Limited, Remembered};
use super::words;
use super::{LOOP, Monitor};
use crate::base::Result;
use crate::base::audit::{Action, Actor};
use crate::domain::archives::Archive;
use crate::ports::broker::Queue;
use crate::store::WriteTx;

impl Monitor {
    /// A queue of a rung as it says itself that it is, with what holds for it now; none when it is not over that any more.
    /// What statistics say is not enough: something may be lost.
    async fn still_over(&self, look: &Look, step: &Step, name: &Managed) -> Result<Option<(Queue, Limits)>> {
        let (bus, vhost) = (self.bus.get()?, self.namespaces.vhost());
        let Some(queue) = bus.queue(vhost, name.name()).await? else { return Ok(None) };
        let Some(depth) = bus.depth(vhost, name.name()).await? else { return Ok(None) };
        let queue = queue.as_it_says(depth);
        let limits = self.rule_book(self.queue_rules().await?).limits(name.name()).of(queue.stream());
        let is_over = step.over.is_some_and(|over| is_still_over(&over, &queue, look.now));
        Ok((is_over && !limits.are_lifted(look.now)).then_some((queue, limits)))
    }

    /// Has the broker take no more for a queue that is still over it.
    pub(super) async fn limit(&self, look: &Look, step: &Step, name: &Managed) -> Result<Done> {
        let (bus, vhost) = (self.bus.get()?, self.namespaces.vhost());
        let Some((queue, limits)) = self.still_over(look, step, name).await? else { return Ok(Done::Spared) };
        let Some(cap) = limits.limit else { return Ok(Done::Spared) };
        let limit = cap.on(&queue);
        let (limited, noted) = (Limited::new(&cap, &limit), audit(step, Action::QueueLimit));
        let (noted, key) = (noted.with("overflow", limit.overflow.as_str()), name.name().to_owned());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            let state = tx.get(&QUEUES, &key)?.unwrap_or_default();
            tx.put(&QUEUES, &key, &Remembered { limited: Some(limited), ..state })?;
            tx.audit(noted);
            Ok(())
        };
        self.store.write(change).await?;
        if let Err(error) = bus.limit_queue(vhost, &limit).await {
            return self.note_failure(step, error).await;
        }
        tracing::info!(queue.name = %name.name(), "limited queue `{}`: {}", name.name(), step.why);
        self.tell(look, &Step { why: words::limited(&step.why, &limit), ..step.clone() }).await?;
        Ok(Done::Limited)
    }

    /// Takes the messages of a queue that is still over it out into an archive. The queue stays.
    pub(super) async fn archive(&self, look: &Look, step: &Step, name: &Managed) -> Result<Done> {
        let Some((queue, limits)) = self.still_over(look, step, name).await? else { return Ok(Done::Spared) };
        if !step.over.is_some_and(|over| limits.still_archive(&over, look.now)) {
            return Ok(Done::Spared);
        }
        let archive = match self.take(step, name, &queue).await {
            Ok(archive) => archive,
            Err(error) => return self.note_failure(step, error).await,
        };
        self.tell(look, &Step { why: words::archived(&step.why, &archive), ..step.clone() }).await?;
        Ok(Done::Archived)
    }

    /// Takes the messages of a queue out, all that wait. When this returns without an error they are durable.
    pub(super) async fn take(&self, step: &Step, name: &Managed, queue: &Queue) -> Result<Archive> {
        let kind = queue.kind.as_deref().unwrap_or("classic");
        let archive =
            self.archives.take(Actor::Loop(LOOP.into()), name.name(), name.namespace(), kind, &step.why).await?;
        tracing::info!(queue.name = %name.name(), "archived {} messages of queue `{}`", archive.messages, name.name());
        Ok(archive)
    }

    /// Lets a queue take messages again.
    pub(super) async fn unlimit(&self, look: &Look, step: &Step, name: &Managed) -> Result<Done> {
        let bus = self.bus.get()?;
        self.store.note(audit(step, Action::QueueUnlimit)).await?;
        match bus.unlimit_queue(self.namespaces.vhost(), name.name()).await {
            Ok(true) => {}
            Ok(false) => return Ok(Done::Spared),
            Err(error) => return self.note_failure(step, error).await,
        }
        tracing::info!(queue.name = %name.name(), "ended the limit of queue `{}`: {}", name.name(), step.why);
        if look.queues.iter().any(|queue| queue.name == name.name()) {
            self.tell(look, step).await?;
        }
        Ok(Done::Unlimited)
    }

    /// Posts the notice of a step.
    async fn tell(&self, look: &Look, step: &Step) -> Result<()> {
        let notice = words::notice(step, receivers(look, step.object.namespace()));
        let outbox = self.notices.clone();
        let change = move |tx: &mut WriteTx<'_, '_>| notice.into_iter().try_for_each(|notice| outbox.post(tx, notice));
        self.store.write(change).await
    }
}
