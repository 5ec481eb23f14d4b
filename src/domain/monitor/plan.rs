//! What a pass is going to do, visible beforehand: each step with its object and the reason in a sentence.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::brake::Cause;
use super::limits::Over;
use super::managed::{Managed, ManagedConnection};
use crate::base::NamespaceName;

/// Lines of a plan as text. The whole plan is in its JSON; a person does not read more.
const LINES_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Tells the contact that a queue is over its threshold.
    Warn,
    /// Tells the contact that a queue will soon be deleted if it goes on like this.
    Forecast,
    /// Tells the contact that a queue is in order again.
    Normal,
    /// Tells the contact that connections still use the password that was replaced.
    Outlive,
    /// Tells the contact of a deletion whose outcome an earlier pass could not note.
    Conclude,
    /// Has the broker take no more for a queue.
    Limit,
    /// Lets it take messages again.
    Unlimit,
    /// Takes the messages of a queue out into an archive.
    Archive,
    /// Deletes a queue or an exchange.
    Delete,
    Close,
}

impl What {
    /// Whether the step changes something at the broker; the others only tell.
    pub fn changes_the_broker(self) -> bool {
        matches!(self, Self::Limit | Self::Unlimit | Self::Archive | Self::Delete | Self::Close)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warn => "warn of",
            Self::Forecast => "forecast",
            Self::Normal => "end the warning of",
            Self::Outlive => "tell of old connections of",
            Self::Conclude => "tell of the deletion of",
            Self::Limit => "limit",
            Self::Unlimit => "end the limit of",
            Self::Archive => "archive",
            Self::Delete => "delete",
            Self::Close => "close",
        })
    }
}

/// What a step is about. **Invariant:** only resources of ours can be named here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A queue or an exchange.
    Resource(Managed),
    Connection(ManagedConnection),
    Namespace(NamespaceName),
}

impl Object {
    pub fn name(&self) -> &str {
        match self {
            Self::Resource(resource) => resource.name(),
            Self::Connection(connection) => connection.name(),
            Self::Namespace(name) => name.as_str(),
        }
    }

    pub fn namespace(&self) -> &NamespaceName {
        match self {
            Self::Resource(resource) => resource.namespace(),
            Self::Connection(connection) => connection.namespace(),
            Self::Namespace(name) => name,
        }
    }

    fn sort(&self) -> String {
        match self {
            Self::Resource(resource) => resource.sort().to_string(),
            Self::Connection(_) => "connection".into(),
            Self::Namespace(_) => "namespace".into(),
        }
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub what: What,
    pub object: Object,
    /// Why, as a sentence about the object without a capital letter and a full stop.
    pub why: String,
    /// Messages in the queue, where the step is about them.
    pub messages: Option<u64>,
    /// For a rung of the ladder: the threshold that the queue is over. `None` when its namespace is gone.
    pub over: Option<Over>,
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut step = serializer.serialize_struct("Step", 5)?;
        step.serialize_field("what", &self.what)?;
        step.serialize_field("sort", &self.object.sort())?;
        step.serialize_field("object", self.object.name())?;
        step.serialize_field("why", &self.why)?;
        match self.messages {
            Some(messages) => step.serialize_field("messages", &messages)?,
            None => step.skip_field("messages")?,
        }
        step.end()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.what, self.object.sort(), self.object.name(), self.why)
    }
}

/// What a pass would do now. Its length is bounded by the lists of the broker, which its port bounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// The steps; those of queues first.
    pub steps: Vec<Step>,
    /// Why the pass would stop at the brake; empty when it would not.
    pub brake: Vec<Cause>,
    /// Whether a pass only plans (`MOCK_MAINTENANCE`).
    pub mock: bool,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brake = self.brake.iter().map(|cause| format!("stop at the brake: {}", cause.why));
        let steps = self.steps.iter().take(LINES_MAX).map(Step::to_string);
        let more = self.steps.len().checked_sub(LINES_MAX + 1).map(|more| format!("and {} more steps", more + 1));
        f.write_str(&brake.chain(steps).chain(more).collect::<Vec<_>>().join("\n"))
    }
}
