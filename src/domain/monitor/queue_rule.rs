//! What an operator ruled for the queues of a pattern: the rungs of their ladder. Also its form on the wire and in the store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::ports::broker::Overflow;

/// What an operator ruled for queues of a pattern. What it leaves out is as in the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QueueRule {
    /// Messages beyond which the contact is warned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_messages: Option<u64>,
    /// Messages beyond which the queue is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_messages: Option<u64>,
    /// Bytes beyond which the contact is warned; left out, half of those of the deletion. Costs a request for every queue of the pattern that is not empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_bytes: Option<u64>,
    /// Bytes beyond which the queue is deleted. Costs the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_bytes: Option<u64>,
    /// How old the first message may be, by the time stamp that its publisher gave it, before the contact is warned; left
    /// out, half of the age of the deletion. Costs a request for every queue of the pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_head_seconds: Option<u64>,
    /// How old the first message may be before the queue is deleted. Costs the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_head_seconds: Option<u64>,
    /// How long the queue may be without a consumer; the contact is warned after half of it. Costs a request for every
    /// queue of the pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconsumed_seconds: Option<u64>,
    /// From when on the broker takes no more for the queue, until it is in order again. Its most is what is named here of
    /// messages and bytes, or what it holds then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Rung>,
    /// What becomes of what is too much for a limited queue: `reject-publish` refuses what comes, `drop-head` throws the oldest
    /// away for it.
    #[serde(skip_serializing_if = "is_default")]
    pub overflow: Overflow,
    /// From when on its messages are taken out into an archive; without a threshold only before it is deleted, which is so in
    /// any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<Rung>,
    /// How long the queue may be over a threshold before it is deleted.
    pub grace_seconds: u64,
    /// Until then the queue is neither warned of nor deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exempt_until: Option<Timestamp>,
    pub remark: String,
}

fn is_default(overflow: &Overflow) -> bool {
    *overflow == Overflow::default()
}

/// When a rung of the ladder is reached: by whatever comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rung {
    /// Beyond so many messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Beyond so many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When the first message is this old, by the time stamp that its publisher gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_seconds: Option<u64>,
    /// When it had no consumer for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconsumed_seconds: Option<u64>,
}
