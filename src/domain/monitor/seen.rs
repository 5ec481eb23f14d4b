//! Queues as the last passes saw them, for people: without asking the broker anything.

use super::limits::Limits;
use super::{Forecast, Monitor, memory};
use crate::base::{NamespaceName, Result, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueHealth {
    Normal,
    /// Its contact was told that it will soon be deleted if it goes on.
    Growing,
    Warned,
    /// The broker takes no more for it.
    Limited,
    /// It is over a limit of deletion, and its grace has not ended.
    Doomed,
    Exempt,
}

#[derive(Clone, Debug)]
pub struct SeenQueue {
    pub name: String,
    pub namespace: NamespaceName,
    pub messages: u64,
    /// Those of them that wait, where the last look told.
    pub ready: Option<u64>,
    /// Those that a consumer has in hand, where the last look told.
    pub unacknowledged: Option<u64>,
    /// Consumers; none until somebody asked the broker, or when the broker does not say.
    pub consumers: Option<u64>,
    pub counted: Timestamp,
    pub health: QueueHealth,
    pub limits: Limits,
    /// Where it is going; none until [`Monitor::note_forecasts`] has looked, or when it does not grow.
    pub forecast: Option<Forecast>,
    /// The last counts, the oldest first; none until [`Monitor::note_forecasts`] has looked.
    pub counts: Vec<(Timestamp, u64)>,
}

impl Monitor {
    /// The queues that the passes since the start have counted, in no order, without their forecasts. Those of others
    /// are not among them.
    pub async fn seen_queues(&self) -> Result<Vec<SeenQueue>> {
        self.seen(|_| true).await
    }

    /// The same of one namespace.
    pub async fn seen_queues_of(&self, namespace: &NamespaceName) -> Result<Vec<SeenQueue>> {
        let prefix = format!("{}{namespace}/", self.prefixes.queue);
        self.seen(move |name| name.starts_with(&prefix)).await
    }

    /// The queues among them that are wanted.
    pub(in crate::domain) async fn seen(
        &self,
        is_wanted: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Vec<SeenQueue>> {
        let this = self.clone();
        self.store.survey(move |tx| Ok(this.seen_with(memory::recall(tx)?, is_wanted))).await
    }

    fn seen_with(&self, memory: memory::Memory, is_wanted: impl Fn(&str) -> bool) -> Vec<SeenQueue> {
        let (book, now) = (self.rule_book(memory.rules), self.clock.now());
        let (counted, loads): (Vec<(String, (Timestamp, u64))>, _) = {
            let recent = self.recent();
            let wanted = recent.samples.iter().filter(|(name, _)| is_wanted(name));
            let counted = wanted.filter_map(|(name, samples)| Some((name.clone(), samples.last()?)));
            (counted.collect(), recent.loads.clone().unwrap_or_default())
        };
        let seen = counted.into_iter().filter_map(|(name, (counted, messages))| {
            let namespace = self.prefixes.queue(&name)?.namespace().clone();
            let parts = loads.parts(&name);
            let limits = book.limits(&name).of(loads.stream(&name));
            let remembered = memory.queues.get(&name);
            let health = match remembered {
                _ if limits.are_lifted(now) => QueueHealth::Exempt,
                Some(queue) if queue.over_since.is_some() => QueueHealth::Doomed,
                Some(queue) if queue.limited.is_some() => QueueHealth::Limited,
                Some(queue) if queue.warned.is_some() => QueueHealth::Warned,
                Some(queue) if queue.forecast_told => QueueHealth::Growing,
                _ => QueueHealth::Normal,
            };
            Some(SeenQueue {
                namespace,
                messages,
                ready: parts.ready,
                unacknowledged: parts.unacknowledged,
                consumers: None,
                counted,
                health,
                limits,
                forecast: None,
                counts: Vec::new(),
                name,
            })
        });
        seen.collect()
    }

    /// Looks up where these are going.
    pub fn note_forecasts(&self, queues: &mut [SeenQueue]) {
        let recent = self.recent();
        for queue in queues {
            let samples = recent.samples.get(&queue.name);
            queue.counts = samples.map(super::Samples::counts).unwrap_or_default();
            queue.forecast = samples.and_then(|samples| queue.limits.forecast(samples));
        }
    }

    /// When the last pass ended; none before the first one.
    pub fn last_pass(&self) -> Result<Option<Timestamp>> {
        self.store.read(|tx| Ok(tx.get(&memory::PASS, &memory::ONLY.into())?.map(|pass| pass.at)))
    }
}
