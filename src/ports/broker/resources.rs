//! What is declared in a vhost, as data: a difference of two sets is what there is to do.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::names::{require_declarable, require_reachable};
use super::topology::{Binding, Destination};
use crate::base::{Result, VhostName};

/// Something that is declared in a vhost, or the vhost itself. Permissions are not among them: they belong to users.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// The vhost.
    Vhost(DeclaredVhost),
    /// An exchange.
    Exchange(DeclaredExchange),
    /// A queue.
    Queue(DeclaredQueue),
    /// A binding.
    Binding(DeclaredBinding),
    /// A policy.
    Policy(Policy),
    /// A policy that only administrators may change, and that bounds the others.
    OperatorPolicy(Policy),
    /// A limit of the vhost.
    Limit(Limit),
}

/// By what a resource is known: of two with the same key there is only one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The vhost, with all that is in it.
    Vhost,
    /// The exchange of this name.
    Exchange(String),
    /// The queue of this name.
    Queue(String),
    /// A binding has no name: all of it is its key.
    Binding(DeclaredBinding),
    /// The policy of this name.
    Policy(String),
    /// The operator policy of this name.
    OperatorPolicy(String),
    /// The limit of this name.
    Limit(String),
}

/// A vhost, as it is declared. One that is there stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredVhost {
    /// The type of queues that are declared without one, where that is not `classic`. Brokers have it since 3.10.
    pub default_queue_type: Option<String>,
}

impl DeclaredVhost {
    /// One with this type for queues that are declared without.
    pub fn of(queue_type: &str) -> Self {
        let is_usual = ["classic", "undefined"].contains(&queue_type);
        Self { default_queue_type: (!is_usual).then(|| queue_type.to_owned()) }
    }

    /// The type of queues that are declared without one.
    pub fn queue_type(&self) -> &str {
        self.default_queue_type.as_deref().unwrap_or("classic")
    }
}

/// An exchange that outlives its connections, as it is declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredExchange {
    /// Its name.
    pub name: String,
    /// `direct`, `topic`, ….
    pub kind: String,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether only other exchanges may hand messages to it.
    pub internal: bool,
    /// The rest.
    pub arguments: Arguments,
}

/// A queue that no connection has for itself, as it is declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredQueue {
    /// Its name.
    pub name: String,
    /// `classic`, `quorum`, `stream`. The broker takes it as the argument `x-queue-type`, which RabbitMQ 4 adds to queues
    /// that were declared without, and which means the same: it is never among the arguments.
    pub kind: String,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// The rest.
    pub arguments: Arguments,
}

/// A binding, as it is declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredBinding {
    /// From where to where, and for which messages.
    pub binding: Binding,
    /// The rest, by which exchanges of headers decide. Two bindings may differ in nothing else.
    pub arguments: Arguments,
}

/// Settings for all queues or exchanges whose names fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Which names fit.
    pub pattern: String,
    /// `all`, `queues`, `exchanges`, ….
    pub apply_to: String,
    /// Of several that fit, the one with the highest is in force.
    pub priority: i64,
    /// The settings.
    pub definition: Arguments,
}

/// A limit of a vhost: `max-connections` or `max-queues`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// How many; a negative number is no limit.
    pub value: i64,
}

/// JSON by names, kept as it is but for the order of its members, which means nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// These members.
    pub fn new(members: Map<String, Value>) -> Self {
        Self(members.into_iter().map(|(name, value)| (name, sorted(value).to_string())).collect())
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Map<String, Value> {
        // Our own text: it was JSON when it came.
        let member = |(name, text): (&String, &String)| Some((name.clone(), serde_json::from_str(text).ok()?));
        self.0.iter().filter_map(member).collect()
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members.into_iter().collect();
            Value::Object(members.into_iter().map(|(name, value)| (name, sorted(value))).collect())
        }
        value => value,
    }
}

impl Resource {
    /// By what it is known.
    pub fn key(&self) -> Key {
        match self {
            Self::Vhost(_) => Key::Vhost,
            Self::Exchange(exchange) => Key::Exchange(exchange.name.clone()),
            Self::Queue(queue) => Key::Queue(queue.name.clone()),
            Self::Binding(binding) => Key::Binding(binding.clone()),
            Self::Policy(policy) => Key::Policy(policy.name.clone()),
            Self::OperatorPolicy(policy) => Key::OperatorPolicy(policy.name.clone()),
            Self::Limit(limit) => Key::Limit(limit.name.clone()),
        }
    }
}

impl Key {
    /// Refuses what is not ours to declare or to remove, and what would come back under another name.
    pub(super) fn require_ours(&self) -> Result<()> {
        match self {
            Self::Vhost => Ok(()),
            Self::Exchange(name) | Self::Queue(name) => require_declarable(name),
            Self::Binding(DeclaredBinding { binding: Binding { source, destination, .. }, .. }) => {
                require_reachable(source)?;
                require_reachable(destination.name())
            }
            Self::Policy(name) | Self::OperatorPolicy(name) | Self::Limit(name) => require_reachable(name),
        }
    }
}

/// Whether the broker brought an exchange along, or named a queue itself.
pub(super) fn is_its_own(name: &str) -> bool {
    name.is_empty() || name.starts_with("amq.")
}

/// Whether a binding is of a thing that is left out itself: from the default exchange, or to a queue of a connection.
pub(super) fn is_left_out(binding: &Binding, queues: &BTreeSet<String>) -> bool {
    let is_unlisted = match &binding.destination {
        Destination::Queue(name) => !queues.contains(name),
        Destination::Exchange(_) => false,
    };
    binding.source.is_empty() || is_unlisted
}

/// What is declared in vhosts.
#[async_trait]
pub trait Resources: Send + Sync {
    /// All that is declared in a vhost, with the vhost; without the exchanges that the broker brings along, without queues
    /// that it named itself or that belong to a connection, and without bindings of those. `NotFound` for an unknown vhost.
    ///
    /// **Invariant:** it is all of it or an error. What cannot be read is never left out: it would be declared anew or removed.
    async fn resources(&self, vhost: &VhostName) -> Result<BTreeSet<Resource>>;

    /// Declares it, again if need be; a policy or a limit of the same key is replaced. `Conflict` for a queue or an exchange
    /// that is there and is otherwise, `Invalid` for what the broker does not take, `NotFound` for a binding between what is
    /// not there. A new vhost may be entered by whom we are to the broker.
    async fn put_resource(&self, vhost: &VhostName, resource: &Resource) -> Result<()>;

    /// Removes it. False when there was none. A queue goes with its messages, a vhost with everything.
    async fn remove_resource(&self, vhost: &VhostName, key: &Key) -> Result<bool>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: Value) -> Arguments {
        Arguments::new(value.as_object().unwrap().clone())
    }

    #[test]
    fn arguments_are_compared_without_the_order_of_members_and_kept_as_they_are() {
        let one = json!({"b": {"y": 1, "x": [2.5, {"d": 1, "c": true}]}, "a": 9_007_199_254_740_993_i64});
        let other = json!({"a": 9_007_199_254_740_993_i64, "b": {"x": [2.5, {"c": true, "d": 1}], "y": 1}});
        assert_eq!(arguments(one.clone()), arguments(other));
        assert_eq!(Value::Object(arguments(one.clone()).to_json()), one);
        for different in [json!({"a": 1}), json!({"a": "1"}), json!({"a": 1.0}), json!({"a": [1]})] {
            assert_eq!(Value::Object(arguments(different.clone()).to_json()), different);
        }
        assert_ne!(arguments(json!({"a": 1})), arguments(json!({"a": "1"})));
    }

    #[test]
    fn names_that_would_come_back_as_others_or_are_the_brokers_are_refused() {
        for name in ["", ".", "..", "a\nb", "a\r", "amq.topic"] {
            assert!(Key::Queue(name.into()).require_ours().is_err(), "{name:?}");
            assert!(Key::Exchange(name.into()).require_ours().is_err(), "{name:?}");
        }
        assert!(Key::Queue("a/b %2F".into()).require_ours().is_ok());
    }
}
