//! Limits of single queues of the model. It counts nothing by them.

use async_trait::async_trait;

use super::MemoryBroker;
use crate::base::{Error, Result, VhostName};
use crate::ports::broker::names::require_reachable;
use crate::ports::broker::queue_limits::{QueueLimit, QueueLimits, policy_name};
use crate::ports::broker::resources::{Key, Resource};

#[async_trait]
impl QueueLimits for MemoryBroker {
    async fn queue_limits(&self, vhost: &VhostName) -> Result<Vec<QueueLimit>> {
        self.request(format!("GET limits {vhost}"), |state| {
            state.require_vhost(vhost)?;
            let here = state.declared.iter().filter(|((place, _), _)| place == vhost.as_str());
            let limit = |resource: &Resource| match resource {
                Resource::OperatorPolicy(policy) => QueueLimit::of(policy),
                _ => None,
            };
            Ok(here.filter_map(|(_, resource)| limit(resource)).collect())
        })
    }

    async fn limit_queue(&self, vhost: &VhostName, limit: &QueueLimit) -> Result<()> {
        require_reachable(&limit.queue)?;
        self.request(format!("PUT limit {vhost} {}", limit.queue), |state| {
            if !state.queues.contains_key(&(vhost.to_string(), limit.queue.clone())) {
                return Err(Error::not_found("the broker has no such queue"));
            }
            let key = Key::OperatorPolicy(policy_name(&limit.queue));
            let policy = limit.policy(&[], None, true);
            state.declared.insert((vhost.to_string(), key), Resource::OperatorPolicy(policy));
            Ok(())
        })
    }

    async fn unlimit_queue(&self, vhost: &VhostName, queue: &str) -> Result<bool> {
        require_reachable(queue)?;
        self.request(format!("DELETE limit {vhost} {queue}"), |state| {
            let key = Key::OperatorPolicy(policy_name(queue));
            Ok(state.declared.remove(&(vhost.to_string(), key)).is_some())
        })
    }
}
