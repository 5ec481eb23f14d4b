//! Limits of single queues over the management API.

use async_trait::async_trait;
use reqwest::StatusCode;
use serde::Deserialize;

use super::call::{Call, path_in};
use super::resources::{PolicyRow, policy_body};
use super::wire::lenient;
use super::{ManagementBroker, errors};
use crate::base::{Error, Kind, Result, VhostName};
use crate::ports::broker::cluster::Cluster;
use crate::ports::broker::queue_limits::{Overflow, QueueLimit, QueueLimits, policy_name};
use crate::ports::broker::resources::Policy;
use crate::ports::broker::versions::{self, Version};

const OPERATOR: &str = "operator-policies";
const ORDINARY: &str = "policies";

/// The policies that hold for a queue, as the broker's statistics have it: up to ten seconds old.
#[derive(Deserialize)]
struct Governed {
    #[serde(default, deserialize_with = "lenient")]
    policy: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    operator_policy: Option<String>,
    #[serde(default, deserialize_with = "lenient", rename = "type")]
    kind: Option<String>,
}

#[async_trait]
impl QueueLimits for ManagementBroker {
    async fn queue_limits(&self, vhost: &VhostName) -> Result<Vec<QueueLimit>> {
        let mut limits: Vec<QueueLimit> =
            self.policies(OPERATOR, vhost).await?.iter().filter_map(QueueLimit::of).collect();
        if limits.iter().any(|limit| limit.overflow == Overflow::DropHead) {
            // Where operator policies say nothing of it, an ordinary one does.
            let ordinary = self.policies(ORDINARY, vhost).await?;
            for said in ordinary.iter().filter_map(QueueLimit::of) {
                if let Some(limit) = limits.iter_mut().find(|limit| limit.queue == said.queue) {
                    limit.overflow = said.overflow;
                }
            }
        }
        Ok(limits)
    }

    async fn limit_queue(&self, vhost: &VhostName, limit: &QueueLimit) -> Result<()> {
        let name = policy_name(&limit.queue);
        let mut others = self.policies(OPERATOR, vhost).await?;
        others.retain(|policy| policy.name != name);
        let governed: Option<Governed> = self.http.one::<Governed, _>(path_in("queues", vhost, &limit.queue)?).await?;
        let governed = governed.ok_or_else(|| errors::unknown("queue"))?;
        let present = others.iter().find(|policy| Some(&policy.name) == governed.operator_policy.as_ref());
        let put = self.put_policy(vhost, OPERATOR, &limit.policy(&others, present, true)).await;
        let Err(error) = put else { return Ok(()) };
        if error.kind() != Kind::Invalid {
            return Err(error);
        }
        // Operator policies of 3.x do not know what becomes of too much; ordinary ones do. That goes first: nothing is to be
        // thrown away in between.
        if limit.overflow == Overflow::RejectPublish {
            let version = Version::parse(&self.overview().await?.version);
            if governed.kind.as_deref() == Some("quorum")
                && version.is_none_or(|version| !versions::quorum_refuses(version))
            {
                return Err(Error::conflict("this broker cannot refuse publishers of a quorum queue"));
            }
            if governed.policy.is_some_and(|policy| policy != name) {
                return Err(Error::conflict(
                    "this broker refuses publishers by an ordinary policy only, and the queue has another one",
                ));
            }
            self.put_policy(vhost, ORDINARY, &limit.overflow_policy()).await?;
        }
        self.put_policy(vhost, OPERATOR, &limit.policy(&others, present, false)).await
    }

    async fn unlimit_queue(&self, vhost: &VhostName, queue: &str) -> Result<bool> {
        let name = policy_name(queue);
        let had = self.http.delete(Call::delete(path_in(OPERATOR, vhost, &name)?)).await?;
        self.http.delete(Call::delete(path_in(ORDINARY, vhost, &name)?)).await?;
        Ok(had)
    }
}

impl ManagementBroker {
    async fn policies(&self, kind: &str, vhost: &VhostName) -> Result<Vec<Policy>> {
        Ok(self.all_in::<PolicyRow>(kind, vhost).await?.into_iter().map(Policy::from).collect())
    }

    async fn put_policy(&self, vhost: &VhostName, kind: &str, policy: &Policy) -> Result<()> {
        let call = Call::put(path_in(kind, vhost, &policy.name)?, &policy_body(policy))?.if_offered();
        let answer = self.http.send(call).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Err(errors::unknown("vhost")),
            StatusCode::BAD_REQUEST => Err(errors::refused(&answer)),
            StatusCode::METHOD_NOT_ALLOWED => Err(Error::conflict("the broker is set up to take no operator policies")),
            _ => Ok(()),
        }
    }
}
