//! The last step: the profile of a text with which nothing is wrong.

use toml::de::DeTable;

use super::entries::Entries;
use super::part::{Part, PartKind};
use super::parts::{
    Account, AccountLimits, ApplyTo, Binding, Delivery, Destination, Exchange, Grant, OnDrift, Policy, Queue,
    QueueType, RotateBy, Rotation, TopicGrant, Vhost, VhostLimits,
};
use super::{Profile, agents, investigator};
use crate::base::{AccountName, VhostName};
use crate::proto::mig::gcfg::Age;

/// The profile. `None` where one of the steps before had something to note.
pub(super) fn profile(document: &DeTable<'_>) -> Option<Profile> {
    let document = Entries(document);
    Some(Profile {
        name: text(document, "name")?,
        vhosts: document.tables("vhost").map(vhost).collect::<Option<_>>()?,
        accounts: document.tables("account").map(account).collect::<Option<_>>()?,
        absent_users: document
            .texts("absent-users")
            .map(|(user, _)| user.parse::<AccountName>().ok())
            .collect::<Option<_>>()?,
        foreign_vhosts: document
            .texts("foreign-vhosts")
            .map(|(vhost, _)| vhost.parse::<VhostName>().ok())
            .collect::<Option<_>>()?,
        parts: document.tables("part").map(part).collect::<Option<_>>()?,
        investigators: investigator::investigators(document)?,
        acl: if document.has("investigator") { Some(investigator::acl(document)?.ok()?) } else { None },
        agents: match document.table("agents") {
            Some(section) => Some(agents::agents(section)?),
            None => None,
        },
    })
}

fn vhost(vhost: Entries<'_, '_>) -> Option<Vhost> {
    Some(Vhost {
        name: vhost.text("name")?.parse().ok()?,
        on_drift: word(vhost, "on-drift", OnDrift::of)?,
        default_queue_type: vhost.text("default-queue-type").and_then(QueueType::of),
        limits: vhost.table("limits").map_or_else(VhostLimits::default, |limits| VhostLimits {
            max_connections: count(limits, "max-connections"),
            max_queues: count(limits, "max-queues"),
        }),
        exchanges: vhost.tables("exchange").map(exchange).collect::<Option<_>>()?,
        queues: vhost.tables("queue").map(queue).collect::<Option<_>>()?,
        bindings: vhost.tables("binding").map(binding).collect::<Option<_>>()?,
        policies: vhost.tables("policy").map(policy).collect::<Option<_>>()?,
        operator_policies: vhost.tables("operator-policy").map(policy).collect::<Option<_>>()?,
    })
}

fn exchange(exchange: Entries<'_, '_>) -> Option<Exchange> {
    Some(Exchange {
        name: text(exchange, "name")?,
        kind: text(exchange, "type")?,
        durable: exchange.flag("durable").unwrap_or(true),
        auto_delete: exchange.flag("auto-delete").unwrap_or(false),
        internal: exchange.flag("internal").unwrap_or(false),
        arguments: exchange.json("arguments"),
    })
}

fn queue(queue: Entries<'_, '_>) -> Option<Queue> {
    Some(Queue {
        name: text(queue, "name")?,
        kind: queue.text("type").and_then(QueueType::of),
        durable: queue.flag("durable").unwrap_or(true),
        auto_delete: queue.flag("auto-delete").unwrap_or(false),
        arguments: queue.json("arguments"),
    })
}

fn binding(binding: Entries<'_, '_>) -> Option<Binding> {
    Some(Binding {
        source: text(binding, "source")?,
        destination: text(binding, "destination")?,
        destination_type: word(binding, "destination-type", Destination::of)?,
        routing_key: text(binding, "routing-key").unwrap_or_default(),
        arguments: binding.json("arguments"),
    })
}

fn policy(policy: Entries<'_, '_>) -> Option<Policy> {
    Some(Policy {
        name: text(policy, "name")?,
        pattern: text(policy, "pattern")?,
        apply_to: word(policy, "apply-to", ApplyTo::of)?,
        priority: policy.number("priority").unwrap_or(0),
        definition: policy.json("definition"),
    })
}

fn account(account: Entries<'_, '_>) -> Option<Account> {
    let by = word(account, "rotate-by", RotateBy::of)?;
    Some(Account {
        name: account.text("name")?.parse().ok()?,
        tags: texts(account, "tags"),
        grants: account.tables("grant").map(grant).collect::<Option<_>>()?,
        limits: account.table("limits").map_or_else(AccountLimits::default, |limits| AccountLimits {
            max_connections: count(limits, "max-connections"),
            max_channels: count(limits, "max-channels"),
        }),
        rotation: match account.text("rotate-every") {
            Some(every) => Some(Rotation { every: every.parse().ok()?, by }),
            None => None,
        },
        delivery: word(account, "delivery", Delivery::of)?,
        close_after: account.text("close-after").map(str::parse).transpose().ok()?,
        back_within: account.text("back-within").map(str::parse).transpose().ok()?,
        on_drift: word(account, "on-drift", OnDrift::of)?,
        note: text(account, "note"),
    })
}

fn grant(grant: Entries<'_, '_>) -> Option<Grant> {
    Some(Grant {
        vhost: grant.text("vhost")?.parse().ok()?,
        configure: text(grant, "configure")?,
        write: text(grant, "write")?,
        read: text(grant, "read")?,
        topics: grant.tables("topic").map(topic).collect::<Option<_>>()?,
        consumes: texts(grant, "consumes"),
    })
}

fn topic(topic: Entries<'_, '_>) -> Option<TopicGrant> {
    Some(TopicGrant { exchange: text(topic, "exchange")?, write: text(topic, "write")?, read: text(topic, "read")? })
}

fn part(part: Entries<'_, '_>) -> Option<Part> {
    let kind = part.text("kind").and_then(PartKind::of)?;
    let mode = part.text("mode").map_or(Ok(kind.mode()), |mode| u32::from_str_radix(mode, 8)).ok()?;
    Some(Part {
        name: text(part, "name")?,
        kind,
        age: part.text("age").map_or(Ok(Age::LAST), Age::parse).ok()?,
        account: part.text("account").map(str::parse).transpose().ok()?,
        path: text(part, "path").unwrap_or_else(|| kind.path()),
        mode,
        owner: text(part, "owner"),
        group: text(part, "group"),
        settings: part.json("settings"),
    })
}

fn text(entries: Entries<'_, '_>, key: &str) -> Option<String> {
    entries.text(key).map(str::to_owned)
}

fn texts(entries: Entries<'_, '_>, key: &str) -> Vec<String> {
    entries.texts(key).map(|(text, _)| text.to_owned()).collect()
}

fn count(entries: Entries<'_, '_>, key: &str) -> Option<u32> {
    entries.number(key).and_then(|number| u32::try_from(number).ok())
}

/// What a word stands for; the usual where there is none.
fn word<T: Default>(entries: Entries<'_, '_>, key: &str, of: fn(&str) -> Option<T>) -> Option<T> {
    entries.text(key).map_or_else(|| Some(T::default()), of)
}
