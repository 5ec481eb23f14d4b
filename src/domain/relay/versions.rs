//! What the broker's version does not take, and what happens instead: pure judgements.

use std::collections::BTreeSet;

use crate::base::VhostName;
use crate::domain::accounts::{Limits, Terms};
use crate::ports::broker::{Arguments, DeclaredQueue, Policy, Resource, Version};
use crate::proto::relay_profile::{ApplyTo, QueueType, Vhost};

/// Why this is not declared on a broker of that version, with the nearest that works there. `None` where it is taken, and
/// where the version is not known: the broker will say.
pub(super) fn refuses(resource: &Resource, version: Option<Version>) -> Option<String> {
    let version = version?;
    match resource {
        Resource::Policy(policy) | Resource::OperatorPolicy(policy) => refuses_policy(policy, version),
        Resource::Queue(DeclaredQueue { kind, .. }) if kind == QueueType::Stream.as_str() && !version.has_streams() => {
            Some(format!("RabbitMQ {version} knows no streams, which came with 3.9: declare it as quorum there"))
        }
        _ => None,
    }
}

/// Why a vhost does not say which type queues have that are declared without one, and that type.
pub(super) fn refuses_default_queue_type(vhost: &Vhost, version: Option<Version>) -> Option<(String, String)> {
    let (kind, version) = (vhost.default_queue_type?, version.filter(|version| !version.has_default_queue_types())?);
    let why = format!(
        "RabbitMQ {version} knows no such type of a vhost, which came with 3.10: queues that are declared without a type are \
         classic"
    );
    Some((kind.as_str().to_owned(), why))
}

fn refuses_policy(policy: &Policy, version: Version) -> Option<String> {
    let mirrors: Vec<String> = mirroring(&policy.definition);
    if !mirrors.is_empty() && !version.mirrors_classic_queues() {
        return Some(format!(
            "RabbitMQ {version} keeps no mirrors of classic queues, and refuses {}: they stay on one node; queues of the \
             type quorum are copied without a policy",
            mirrors.join(", ")
        ));
    }
    let by_type = [ApplyTo::ClassicQueues, ApplyTo::QuorumQueues, ApplyTo::Streams];
    let is_by_type = by_type.iter().any(|kind| kind.as_str() == policy.apply_to);
    (is_by_type && !version.has_policies_by_queue_type()).then(|| {
        format!("RabbitMQ {version} cannot tell types of queues apart in policies, which came with 3.12: say `queues`")
    })
}

/// The settings of mirrors among these.
fn mirroring(definition: &Arguments) -> Vec<String> {
    definition.to_json().into_iter().map(|(name, _)| name).filter(|name| name.starts_with("ha-")).collect()
}

/// Takes away what a broker of that version does not know of users; what is left restricts them no less than it can.
pub(super) fn without_limits(terms: Terms, version: Option<Version>) -> (Terms, Option<String>) {
    match version {
        Some(version) if terms.limits != Limits::default() && !version.has_user_limits() => {
            let why = format!("RabbitMQ {version} knows no limits of users, which came with 3.8.10: it has none");
            (Terms { limits: Limits::default(), ..terms }, Some(why))
        }
        _ => (terms, None),
    }
}

/// Why an account has to wait: it would be freer without its topic permissions than it may be.
pub(super) fn waits_for_exchange(
    terms: &Terms,
    exchanges: &BTreeSet<(VhostName, String)>,
    version: Option<Version>,
) -> Option<String> {
    let version = version.filter(|version| version.needs_exchange_for_topics())?;
    let topics = terms.grants.iter().flat_map(|grant| grant.topics.iter().map(|topic| (&grant.vhost, &topic.exchange)));
    let is_missing = |(vhost, exchange): &(&VhostName, &String)| {
        !exchange.starts_with("amq.") && !exchanges.contains(&((*vhost).clone(), (*exchange).clone()))
    };
    let (vhost, exchange) = topics.into_iter().find(is_missing)?;
    Some(format!(
        "RabbitMQ {version} takes topic permissions for exchanges that are there only, and there is no `{exchange}` in \
         {vhost}: declare it, or apply again when it is there"
    ))
}
