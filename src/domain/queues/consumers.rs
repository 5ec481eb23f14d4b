//! How many consumers queues have, which lists without details do not tell.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;

use super::Queues;
use crate::base::Result;
use crate::domain::monitor::SeenQueue;

/// Queues that are asked one by one for their consumers: more are quicker by one list, which is worth its cost to the
/// broker only then (rabbitmq.md 3).
const SINGLY_MAX: usize = 100;
/// Questions side by side: the broker gains nothing beyond eight (rabbitmq.md 3).
const ASKERS: usize = 8;
/// How long a person waits for what is nice to have. The list of 11,000 takes a broker 1.1 s.
const PATIENCE: Duration = Duration::from_secs(3);

impl Queues {
    /// Asks the broker for the consumers of these. Without an answer soon they stay unknown.
    pub async fn note_consumers(&self, queues: &mut [SeenQueue]) {
        let asked = async {
            match queues.len() {
                0..=SINGLY_MAX => self.consumers_of(queues).await,
                _ => self.all_consumers().await,
            }
        };
        let Ok(Ok(counts)) = tokio::time::timeout(PATIENCE, asked).await else { return };
        for queue in queues {
            queue.consumers = counts.get(&queue.name).copied();
        }
    }

    async fn consumers_of(&self, queues: &[SeenQueue]) -> Result<HashMap<String, u64>> {
        let (bus, vhost) = (self.bus.get()?, self.namespaces.vhost());
        let names: Vec<String> = queues.iter().map(|queue| queue.name.clone()).collect();
        let mut answers = futures_util::stream::iter(names)
            .map(|name| async move { bus.queue(vhost, &name).await })
            .buffer_unordered(ASKERS);
        let mut counts = HashMap::new();
        while let Some(answer) = answers.next().await {
            if let Some(queue) = answer? {
                counts.extend(queue.consumers.map(|consumers| (queue.name, consumers)));
            }
        }
        Ok(counts)
    }

    async fn all_consumers(&self) -> Result<HashMap<String, u64>> {
        let all = self.bus.get()?.queues_with_consumers(self.namespaces.vhost()).await?;
        Ok(all.into_iter().filter_map(|queue| Some((queue.name, queue.consumers?))).collect())
    }
}
