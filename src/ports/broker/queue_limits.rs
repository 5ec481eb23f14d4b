//! How much a single queue may hold: limits of ours, which the broker has as operator policies.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::names::exactly;
use super::resources::{Arguments, Policy};
use crate::base::{Result, VhostName};

/// What the names of these policies begin with; the name of the queue follows.
const POLICY: &str = "keylender-limit:";
/// The kind of things that they are for, in the words of every version.
const APPLY_TO: &str = "queues";
const MAX_LENGTH: &str = "max-length";
const MAX_LENGTH_BYTES: &str = "max-length-bytes";
const OVERFLOW: &str = "overflow";

/// What becomes of what is too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// What comes is refused. Publishers that ask for confirmations learn of it, others do not.
    #[default]
    RejectPublish,
    /// The oldest goes, to where dead letters go if the queue has such a place.
    DropHead,
}

impl Overflow {
    /// As the broker has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RejectPublish => "reject-publish",
            Self::DropHead => "drop-head",
        }
    }
}

/// How much one queue may hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueLimit {
    /// The queue.
    pub queue: String,
    /// Its most messages. Means nothing to a stream.
    pub messages: Option<u64>,
    /// Its most bytes.
    pub bytes: Option<u64>,
    /// What becomes of what is too much.
    pub overflow: Overflow,
}

/// Limits of single queues.
#[async_trait]
pub trait QueueLimits: Send + Sync {
    /// Those of ours, in no order.
    async fn queue_limits(&self, vhost: &VhostName) -> Result<Vec<QueueLimit>>;

    /// Limits a queue, or changes the limit that it has. What an operator policy of somebody else says for it goes on to hold.
    /// `Conflict` when it cannot be: a broker of 3.x lets publishers be refused by an ordinary policy only, of which a queue has
    /// one, and of 4.x one may be told to take no operator policies.
    async fn limit_queue(&self, vhost: &VhostName, limit: &QueueLimit) -> Result<()>;

    /// Takes the limit away again. False when there was none.
    async fn unlimit_queue(&self, vhost: &VhostName, queue: &str) -> Result<bool>;
}

/// The name of the policy.
pub(super) fn policy_name(queue: &str) -> String {
    format!("{POLICY}{queue}")
}

impl QueueLimit {
    /// The limit that a policy is, if it is one of ours.
    pub(super) fn of(policy: &Policy) -> Option<Self> {
        let queue = policy.name.strip_prefix(POLICY)?.to_owned();
        let definition = policy.definition.to_json();
        let number = |name: &str| definition.get(name).and_then(Value::as_u64);
        let is_refusing = definition.get(OVERFLOW).and_then(Value::as_str) == Some(Overflow::RejectPublish.as_str());
        let overflow = if is_refusing { Overflow::RejectPublish } else { Overflow::DropHead };
        Some(Self { queue, messages: number(MAX_LENGTH), bytes: number(MAX_LENGTH_BYTES), overflow })
    }

    /// The operator policy that is this limit beside the others that there are. `present` is the one that holds for the queue now.
    pub(super) fn policy(&self, others: &[Policy], present: Option<&Policy>, says_overflow: bool) -> Policy {
        // Of several that fit a queue only one is in force: ours says what that one said, where it does not say less.
        let mut definition = present.map(|policy| policy.definition.to_json()).unwrap_or_default();
        let limits = [(MAX_LENGTH, self.messages), (MAX_LENGTH_BYTES, self.bytes)];
        for (name, limit) in limits.into_iter().filter_map(|(name, limit)| Some((name, limit?))) {
            let present = definition.get(name).and_then(Value::as_u64).unwrap_or(limit);
            definition.insert(name.to_owned(), present.min(limit).into());
        }
        if says_overflow {
            definition.insert(OVERFLOW.to_owned(), self.overflow.as_str().into());
        }
        let highest = others.iter().map(|policy| policy.priority).max().unwrap_or_default();
        self.with(definition, highest.saturating_add(1))
    }

    /// The ordinary policy by which a broker of 3.x refuses publishers.
    pub(super) fn overflow_policy(&self) -> Policy {
        let definition = Map::from_iter([(OVERFLOW.to_owned(), json!(self.overflow.as_str()))]);
        self.with(definition, 0)
    }

    fn with(&self, definition: Map<String, Value>, priority: i64) -> Policy {
        Policy {
            name: policy_name(&self.queue),
            pattern: exactly(&self.queue),
            apply_to: APPLY_TO.to_owned(),
            priority,
            definition: Arguments::new(definition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, priority: i64, definition: Value) -> Policy {
        let definition = Arguments::new(definition.as_object().unwrap().clone());
        Policy { name: name.into(), pattern: ".*".into(), apply_to: "queues".into(), priority, definition }
    }

    #[test]
    fn a_limit_is_a_policy_for_one_queue_and_the_other_way_round() {
        let limit = QueueLimit { queue: "q.a".into(), messages: Some(5), bytes: None, overflow: Overflow::DropHead };
        let made = limit.policy(&[], None, true);
        assert_eq!((made.pattern.as_str(), made.priority), (r"^q\.a$", 1));
        assert_eq!(QueueLimit::of(&made), Some(limit));
        assert_eq!(QueueLimit::of(&policy("q.a", 0, json!({"max-length": 5}))), None);
    }

    #[test]
    fn what_another_operator_policy_says_goes_on_to_hold() {
        let limit = QueueLimit { queue: "q".into(), messages: Some(5), bytes: Some(9), overflow: Overflow::default() };
        let other = policy("all", 7, json!({"max-length": 3, "max-length-bytes": 100, "expires": 60_000}));
        let made = limit.policy(std::slice::from_ref(&other), Some(&other), true);
        let expected = json!({"max-length": 3, "max-length-bytes": 9, "expires": 60_000, "overflow": "reject-publish"});
        assert_eq!((Value::Object(made.definition.to_json()), made.priority), (expected, 8));
    }
}
