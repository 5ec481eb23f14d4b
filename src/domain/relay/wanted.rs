//! From a declaration to what the broker and the accounts are told.

use std::collections::BTreeMap;

use crate::domain::accounts::{self, Grant, Limits, Terms, TopicGrant};
use crate::ports::broker::{
    Access, Arguments, Binding, DeclaredBinding, DeclaredExchange, DeclaredQueue, DeclaredVhost, Destination, Key,
    Limit, Policy, Resource, Version,
};
use crate::proto::relay_profile::{self as profile, OnDrift, Vhost};

/// All that is declared in a vhost, with the vhost, in the order in which it is made: policies before the queues that they
/// fit, which have them from their beginning then, and bindings after both their ends. `found` is what the vhost has: a
/// queue of which no type is declared keeps the one that it has.
pub(super) fn resources(vhost: &Vhost, found: &BTreeMap<Key, &Resource>, version: Option<Version>) -> Vec<Resource> {
    let itself = itself(vhost, found, version);
    // Programs declare queues without a type: what they meet has to be what they would get.
    let usual = match found.get(&Key::Vhost) {
        Some(Resource::Vhost(there)) => there.queue_type().to_owned(),
        _ => itself.queue_type().to_owned(),
    };
    let mut all = vec![Resource::Vhost(itself)];
    all.extend(vhost.policies.iter().map(|declared| Resource::Policy(policy(declared))));
    all.extend(vhost.operator_policies.iter().map(|declared| Resource::OperatorPolicy(policy(declared))));
    all.extend(vhost.exchanges.iter().map(|declared| Resource::Exchange(exchange(declared))));
    all.extend(vhost.queues.iter().map(|declared| Resource::Queue(queue(declared, &usual, found))));
    all.extend(vhost.bindings.iter().map(|declared| Resource::Binding(binding(declared))));
    let limits =
        [("max-connections", vhost.limits.max_connections), ("max-queues", vhost.limits.max_queues)].into_iter();
    all.extend(
        limits.filter_map(|(name, limit)| {
            Some(Resource::Limit(Limit { name: name.to_owned(), value: i64::from(limit?) }))
        }),
    );
    all
}

fn policy(policy: &profile::Policy) -> Policy {
    Policy {
        name: policy.name.clone(),
        pattern: policy.pattern.clone(),
        apply_to: policy.apply_to.as_str().to_owned(),
        priority: policy.priority,
        definition: Arguments::new(policy.definition.clone()),
    }
}

fn exchange(exchange: &profile::Exchange) -> DeclaredExchange {
    DeclaredExchange {
        name: exchange.name.clone(),
        kind: exchange.kind.clone(),
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: Arguments::new(exchange.arguments.clone()),
    }
}

/// The vhost. One of which no type of queues is declared keeps the one that it has.
fn itself(vhost: &Vhost, found: &BTreeMap<Key, &Resource>, version: Option<Version>) -> DeclaredVhost {
    let is_told = version.is_none_or(Version::has_default_queue_types);
    match (vhost.default_queue_type.filter(|_| is_told), found.get(&Key::Vhost)) {
        (Some(kind), _) => DeclaredVhost::of(kind.as_str()),
        (None, Some(Resource::Vhost(there))) => there.clone(),
        (None, _) => DeclaredVhost::default(),
    }
}

fn queue(queue: &profile::Queue, usual: &str, found: &BTreeMap<Key, &Resource>) -> DeclaredQueue {
    let has = match found.get(&Key::Queue(queue.name.clone())) {
        Some(Resource::Queue(has)) => Some(has.kind.as_str()),
        _ => None,
    };
    let said = queue.kind.map(profile::QueueType::as_str);
    DeclaredQueue {
        name: queue.name.clone(),
        kind: said.or(has).unwrap_or(usual).to_owned(),
        durable: queue.durable,
        auto_delete: queue.auto_delete,
        arguments: Arguments::new(queue.arguments.clone()),
    }
}

fn binding(binding: &profile::Binding) -> DeclaredBinding {
    let name = binding.destination.clone();
    let destination = match binding.destination_type {
        profile::Destination::Queue => Destination::Queue(name),
        profile::Destination::Exchange => Destination::Exchange(name),
    };
    DeclaredBinding {
        binding: Binding { source: binding.source.clone(), destination, routing_key: binding.routing_key.clone() },
        arguments: Arguments::new(binding.arguments.clone()),
    }
}

/// What the users of an account should be.
pub(super) fn terms(account: &profile::Account) -> Terms {
    let grant = |grant: &profile::Grant| Grant {
        vhost: grant.vhost.clone(),
        access: Access { configure: grant.configure.clone(), write: grant.write.clone(), read: grant.read.clone() },
        topics: grant.topics.iter().map(topic).collect(),
    };
    Terms {
        tags: account.tags.clone(),
        grants: account.grants.iter().map(grant).collect(),
        limits: Limits { max_connections: account.limits.max_connections, max_channels: account.limits.max_channels },
        on_drift: match account.on_drift {
            OnDrift::Repair => accounts::OnDrift::Repair,
            OnDrift::Report => accounts::OnDrift::Report,
        },
    }
}

fn topic(topic: &profile::TopicGrant) -> TopicGrant {
    TopicGrant { exchange: topic.exchange.clone(), write: topic.write.clone(), read: topic.read.clone() }
}
