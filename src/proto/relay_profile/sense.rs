//! The second look at a profile: whether what is declared goes together. What is not of the right form was noted before
//! and is passed over.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;

use super::entries::Entries;
use super::mistakes::{Mistakes, quoted};
use super::parts::{Destination, QueueType, RotateBy, in_turn};
use super::{investigator, sense_agents, sense_part};
use crate::base::{AccountName, Span};

/// The exchanges that every vhost has from its beginning.
const EXCHANGES_OF_BROKER: [&str; 6] =
    ["amq.direct", "amq.fanout", "amq.headers", "amq.match", "amq.topic", "amq.rabbitmq.trace"];
/// The argument that says the type of a queue. Brokers add it to queues that were declared without.
const QUEUE_TYPE_ARGUMENT: &str = "x-queue-type";

/// Notes all that does not go together.
pub(super) fn check(document: &DeTable<'_>, mistakes: &mut Mistakes) {
    let document = Entries(document);
    let declared: BTreeSet<&str> = document.tables("vhost").filter_map(|vhost| vhost.text("name")).collect();
    let mut enterable = declared.clone();
    for (foreign, at) in document.texts("foreign-vhosts") {
        if declared.contains(foreign) {
            let message = format!("{} is declared in this profile", quoted(foreign));
            mistakes.note(at, message + "; take it out of foreign-vhosts");
        }
        enterable.insert(foreign);
    }
    for entries in document.tables("vhost") {
        vhost(entries, mistakes);
    }
    for entries in document.tables("account") {
        account(entries, &enterable, mistakes);
    }
    users(document, mistakes);
    sense_part::check(document, mistakes);
    sense_agents::check(document, &enterable, mistakes);
    investigator::check(document, mistakes);
}

fn vhost(vhost: Entries<'_, '_>, mistakes: &mut Mistakes) {
    let names = |key| vhost.tables(key).filter_map(|entries| entries.text("name")).collect::<BTreeSet<_>>();
    let (exchanges, queues) = (names("exchange"), names("queue"));
    let is_exchange = |name: &str| exchanges.contains(name) || EXCHANGES_OF_BROKER.contains(&name);
    for entries in vhost.tables("queue") {
        queue(entries, mistakes);
    }
    let mut met = BTreeSet::new();
    for binding in vhost.tables("binding") {
        let is_to_exchange = binding.text("destination-type") == Some(Destination::Exchange.as_str());
        for (key, is_exchange_here) in [("source", true), ("destination", is_to_exchange)] {
            // An empty name was noted before.
            let Some((name, at)) = binding.placed(key).filter(|(name, _)| !name.is_empty()) else { continue };
            let is_there = if is_exchange_here { is_exchange(name) } else { queues.contains(name) };
            let kind = if is_exchange_here { "exchange" } else { "queue" };
            if !is_there {
                let message = format!("`{key}`: no {kind} {} is declared in this vhost", quoted(name));
                mistakes.note(at, format!("{message}; add [[vhost.{kind}]] for it, or name another one"));
            }
        }
        let texts = ["source", "destination", "routing-key"].map(|key| binding.text(key).unwrap_or_default());
        if !met.insert((texts, is_to_exchange, serde_json::Value::Object(binding.json("arguments")).to_string())) {
            mistakes.note(binding.position_of("source"), "there is another binding just like this; remove one of them");
        }
    }
    for policy in ["policy", "operator-policy"].into_iter().flat_map(|key| vhost.tables(key)) {
        if policy.table("definition").is_some_and(|definition| definition.0.is_empty()) {
            let message = "`definition`: expected at least one setting, such as { max-length = 1000 }";
            mistakes.note(policy.position_of("definition"), message);
        }
    }
}

fn queue(queue: Entries<'_, '_>, mistakes: &mut Mistakes) {
    let copied = queue.text("type").and_then(QueueType::of).filter(|kind| *kind != QueueType::Classic);
    if let Some(kind) = copied {
        for (key, only) in [("durable", true), ("auto-delete", false)] {
            if queue.flag(key) == Some(!only) {
                let kind = kind.as_str();
                mistakes.note(
                    queue.position_of(key),
                    format!("`{key}`: of type {kind} it is always {only}; leave this out"),
                );
            }
        }
    }
    if let Some(arguments) = queue.table("arguments").filter(|arguments| arguments.has(QUEUE_TYPE_ARGUMENT)) {
        let at = arguments.position_of(QUEUE_TYPE_ARGUMENT);
        mistakes.note(at, format!("`{QUEUE_TYPE_ARGUMENT}`: say it as `type` of the queue instead"));
    }
}

fn account(account: Entries<'_, '_>, enterable: &BTreeSet<&str>, mistakes: &mut Mistakes) {
    for (vhost, at) in account.tables("grant").filter_map(|grant| grant.placed("vhost")) {
        if !enterable.contains(vhost) {
            let message = format!("`vhost`: {} is not declared here", quoted(vhost));
            mistakes.note(at, message + "; add [[vhost]] for it, or put it into foreign-vhosts if others declare it");
        }
    }
    let every = account.text("rotate-every").and_then(span);
    if account.has("rotate-by") && !account.has("rotate-every") {
        mistakes
            .note(account.position_of("rotate-by"), "`rotate-by` needs `rotate-every`; add that, or leave both out");
    }
    let pauses: Vec<&str> = ["close-after", "back-within"].into_iter().filter(|key| account.has(key)).collect();
    let spans = pauses.iter().filter_map(|key| account.text(key).and_then(span)).map(Span::as_millis);
    let pause = spans.fold(0, i64::saturating_add);
    if every.is_some_and(|every| every.as_millis() <= pause) && !pauses.is_empty() {
        let pauses = pauses.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and ");
        let message = format!("`rotate-every`: expected longer than {pauses}, or no rotation could be proven");
        mistakes.note(account.position_of("rotate-every"), message);
    }
}

/// No name of a user stands for two things.
fn users(document: Entries<'_, '_>, mistakes: &mut Mistakes) {
    let mut accounts = BTreeSet::new();
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for account in document.tables("account") {
        let Some((name, at)) = account.placed("name").filter(|(name, _)| accounts.insert(*name)) else { continue };
        let is_in_turn = account.text("rotate-by") == Some(RotateBy::InTurn.as_str());
        let users = if is_in_turn { in_turn(name).to_vec() } else { vec![name.to_owned()] };
        if is_in_turn && AccountName::parse(name).is_ok() && AccountName::parse(&users[0]).is_err() {
            mistakes.note(at, "`name`: expected at most 253 bytes, as its users have -1 and -2 behind it; shorten it");
        }
        for user in users {
            if let Some(other) = taken.insert(user.clone(), name) {
                let message =
                    format!("`name`: the broker user {} belongs to the account {}", quoted(&user), quoted(other));
                mistakes.note(at, message + ", too; rename one of them");
            }
        }
    }
    for (absent, at) in document.texts("absent-users") {
        if accounts.contains(absent) || taken.contains_key(absent) {
            let message = format!("`absent-users`: {} is a user of an account of this profile", quoted(absent));
            mistakes.note(at, message + "; remove one of the two");
        }
    }
}

fn span(text: &str) -> Option<Span> {
    text.parse().ok()
}
