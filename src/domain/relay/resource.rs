//! What is declared in vhosts, by name: as the store remembers it, and as people read it.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::base::{Error, VhostName};
use crate::ports::broker::{
    Arguments, Binding, DeclaredBinding, DeclaredExchange, DeclaredQueue, DeclaredVhost, Destination, Key, Limit,
    Policy, Resource,
};

/// A vhost, or something in it. Its text is a list in JSON, which reads back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceId {
    /// Where it is.
    pub vhost: VhostName,
    /// What it is.
    pub key: Key,
}

impl ResourceId {
    /// What kind of resource it is.
    pub fn kind(&self) -> &'static str {
        match self.key {
            Key::Vhost => "vhost",
            Key::Exchange(_) => "exchange",
            Key::Queue(_) => "queue",
            Key::Binding(_) => "binding",
            Key::Policy(_) => "policy",
            Key::OperatorPolicy(_) => "operator policy",
            Key::Limit(_) => "limit",
        }
    }

    /// Its name for people.
    pub fn name(&self) -> String {
        match &self.key {
            Key::Vhost => self.vhost.to_string(),
            Key::Exchange(name)
            | Key::Queue(name)
            | Key::Policy(name)
            | Key::OperatorPolicy(name)
            | Key::Limit(name) => name.clone(),
            Key::Binding(DeclaredBinding { binding: Binding { source, destination, routing_key }, .. }) => {
                format!("{source} → {} {} by '{routing_key}'", destination.kind(), destination.name())
            }
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, vhost) = (self.kind(), self.vhost.as_str());
        let text = match &self.key {
            Key::Vhost => json!([kind, vhost]),
            Key::Exchange(name)
            | Key::Queue(name)
            | Key::Policy(name)
            | Key::OperatorPolicy(name)
            | Key::Limit(name) => json!([kind, vhost, name]),
            Key::Binding(DeclaredBinding { binding: Binding { source, destination, routing_key }, arguments }) => {
                let to = (destination.kind(), destination.name());
                json!([kind, vhost, source, to.0, to.1, routing_key, arguments.to_json()])
            }
        };
        write!(f, "{text}")
    }
}

impl FromStr for ResourceId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::invalid("not the name of something in a vhost");
        let parts: Vec<Value> = serde_json::from_str(text).map_err(|_| unknown())?;
        let texts: Vec<&str> = parts.iter().map_while(Value::as_str).collect();
        let (vhost, key) = match *texts.as_slice() {
            ["vhost", vhost] => (vhost, Key::Vhost),
            ["exchange", vhost, name] => (vhost, Key::Exchange(name.to_owned())),
            ["queue", vhost, name] => (vhost, Key::Queue(name.to_owned())),
            ["policy", vhost, name] => (vhost, Key::Policy(name.to_owned())),
            ["operator policy", vhost, name] => (vhost, Key::OperatorPolicy(name.to_owned())),
            ["limit", vhost, name] => (vhost, Key::Limit(name.to_owned())),
            ["binding", vhost, source, kind, to, routing_key] => {
                let destination = match kind {
                    "exchange" => Destination::Exchange(to.to_owned()),
                    _ => Destination::Queue(to.to_owned()),
                };
                let binding = Binding { source: source.to_owned(), destination, routing_key: routing_key.to_owned() };
                let arguments = parts.get(6).and_then(Value::as_object).cloned().unwrap_or_default();
                (vhost, Key::Binding(DeclaredBinding { binding, arguments: Arguments::new(arguments) }))
            }
            _ => return Err(unknown()),
        };
        Ok(Self { vhost: VhostName::parse(vhost)?, key })
    }
}

/// What is declared of a resource beside its name, as it is remembered and compared.
pub fn members(resource: &Resource) -> Map<String, Value> {
    let all = match resource {
        Resource::Vhost(DeclaredVhost { default_queue_type: Some(kind) }) => json!({ "default-queue-type": kind }),
        Resource::Vhost(_) | Resource::Binding(_) => json!({}),
        Resource::Exchange(DeclaredExchange { kind, durable, auto_delete, internal, arguments, .. }) => json!({
            "type": kind,
            "durable": durable,
            "auto-delete": auto_delete,
            "internal": internal,
            "arguments": arguments.to_json(),
        }),
        Resource::Queue(DeclaredQueue { kind, durable, auto_delete, arguments, .. }) => json!({
            "type": kind,
            "durable": durable,
            "auto-delete": auto_delete,
            "arguments": arguments.to_json(),
        }),
        Resource::Policy(policy) | Resource::OperatorPolicy(policy) => {
            let Policy { pattern, apply_to, priority, definition, .. } = policy;
            json!({
                "pattern": pattern,
                "apply-to": apply_to,
                "priority": priority,
                "definition": definition.to_json(),
            })
        }
        Resource::Limit(Limit { value, .. }) => json!({ "value": value }),
    };
    match all {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
