//! Every key of a profile, with what it has to be and what it says: what `shape` compares a text with, and what the
//! published schema is made of.

use super::rules::{self, Rule};
use crate::proto::mig::acl;

/// Vhosts of one relay, and so grants of one account and vhosts that others declare. A platform has one or two.
const VHOSTS_MAX: usize = 64;
/// Accounts. The largest platform that is measured has 2,000, and each costs the broker up to four calls.
const ACCOUNTS_MAX: usize = 5_000;
/// Exchanges, queues and bindings of a vhost, each: all of them are held in memory and compared in one pass.
const THINGS_MAX: usize = 10_000;
/// Policies of a vhost: the broker compares every queue with every one of them.
const POLICIES_MAX: usize = 500;
/// Topic exchanges of a grant, and queues that its programs consume: each is a call to the broker.
const TOPICS_MAX: usize = 64;
/// Tags: RabbitMQ 4.3 refuses more (rabbitmq-versions.md, A2).
const TAGS_MAX: usize = 32;
/// Files that are written: a platform has a handful on each of some hosts.
const PARTS_MAX: usize = 256;
/// Investigators: an agent tries every key for every signature.
const INVESTIGATORS_MAX: usize = acl::INVESTIGATORS_MAX;
/// Users that must not be there.
const ABSENT_MAX: usize = 256;
/// Networks and names of hosts that may enrol: a site has a few of each, and every request to enrol is compared with all.
const ORIGINS_MAX: usize = 256;

/// A table of a profile.
pub(super) struct Section {
    /// As a person writes its beginning.
    pub header: &'static str,
    /// What it is.
    pub says: &'static str,
    /// All its keys.
    pub keys: &'static [Key],
}

/// A key of a table.
pub(super) struct Key {
    pub name: &'static str,
    pub form: Form,
    pub is_needed: bool,
    /// What it is, with what holds if it is left out.
    pub says: &'static str,
}

/// What a value has to be.
pub(super) enum Form {
    /// A text.
    Text(&'static Rule),
    /// A text, or the file that it is in.
    TextOrFile(&'static Rule),
    /// A list of texts, each once.
    Texts(&'static Rule, usize),
    /// True or false.
    Flag,
    /// A whole number from zero on.
    Count,
    /// A whole number.
    Number,
    /// A table of whatever a broker knows.
    Free,
    /// A table.
    Table(&'static Section),
    /// A list of tables. Of two with the same text under the named key one is too much.
    Tables(&'static Section, usize, Option<&'static str>),
}

const fn needed(name: &'static str, form: Form, says: &'static str) -> Key {
    Key { name, form, is_needed: true, says }
}

const fn key(name: &'static str, form: Form, says: &'static str) -> Key {
    Key { name, form, is_needed: false, says }
}

const ON_DRIFT: Key = key(
    "on-drift",
    Form::Text(&rules::ON_DRIFT),
    "What happens when the broker has it otherwise: `repair` (the default) or `report`.",
);
const DURABLE: Key = key("durable", Form::Flag, "Whether it survives a restart of the broker; true unless said.");
const ARGUMENTS: Key = key("arguments", Form::Free, "Further arguments of the declaration.");
const MAX_CONNECTIONS: Key = key("max-connections", Form::Count, "Connections at once; no limit unless said.");

pub(super) const PROFILE: Section = Section {
    header: "the top of the profile",
    says: "A relay: what a platform of fixed programs needs on its broker.",
    keys: &[
        needed("name", Form::Text(&rules::RELAY), "What the relay is called in records and pages."),
        key(
            "absent-users",
            Form::Texts(&rules::NAME, ABSENT_MAX),
            "Users that the broker must not have, such as guest.",
        ),
        key(
            "foreign-vhosts",
            Form::Texts(&rules::NAME, VHOSTS_MAX),
            "Vhosts that grants name and that somebody else declares.",
        ),
        key("vhost", Form::Tables(&VHOST, VHOSTS_MAX, Some("name")), "The vhosts that are declared."),
        key("account", Form::Tables(&ACCOUNT, ACCOUNTS_MAX, Some("name")), "The accounts that are declared."),
        key(
            "investigator",
            Form::Tables(&INVESTIGATOR, INVESTIGATORS_MAX, Some("name")),
            "Those whose signatures agents ask for.",
        ),
        key("minimum-weights", Form::Free, "What signatures must weigh together, for each module; `default` is one."),
        key("part", Form::Tables(&PART, PARTS_MAX, Some("name")), "Files that are written for programs."),
        key("agents", Form::Table(&AGENTS), "The agents of a fleet; none are looked after unless said."),
    ],
};

const VHOST: Section = Section {
    header: "[[vhost]]",
    says: "A virtual host, with all that is declared in it.",
    keys: &[
        needed("name", Form::Text(&rules::NAME), "Its name."),
        ON_DRIFT,
        key(
            "default-queue-type",
            Form::Text(&rules::QUEUE_TYPE),
            "The type of queues that are declared there without one; the broker's own choice unless said.",
        ),
        key("limits", Form::Table(&VHOST_LIMITS), "How much it may hold."),
        key("exchange", Form::Tables(&EXCHANGE, THINGS_MAX, Some("name")), "Its exchanges."),
        key("queue", Form::Tables(&QUEUE, THINGS_MAX, Some("name")), "Its queues."),
        key("binding", Form::Tables(&BINDING, THINGS_MAX, None), "Its bindings."),
        key("policy", Form::Tables(&POLICY, POLICIES_MAX, Some("name")), "Its policies."),
        key(
            "operator-policy",
            Form::Tables(&OPERATOR_POLICY, POLICIES_MAX, Some("name")),
            "Policies that only administrators may change, and that bound the others.",
        ),
    ],
};

const VHOST_LIMITS: Section = Section {
    header: "limits",
    says: "How much a vhost may hold.",
    keys: &[MAX_CONNECTIONS, key("max-queues", Form::Count, "Queues at once; no limit unless said.")],
};

const EXCHANGE: Section = Section {
    header: "[[vhost.exchange]]",
    says: "An exchange.",
    keys: &[
        needed("name", Form::Text(&rules::DECLARED), "Its name."),
        needed("type", Form::Text(&rules::EXCHANGE_TYPE), "Its type."),
        DURABLE,
        key("auto-delete", Form::Flag, "Whether it goes with its last binding; false unless said."),
        key("internal", Form::Flag, "Whether only exchanges may hand messages to it; false unless said."),
        ARGUMENTS,
    ],
};

const QUEUE: Section = Section {
    header: "[[vhost.queue]]",
    says: "A queue.",
    keys: &[
        needed("name", Form::Text(&rules::DECLARED), "Its name."),
        key("type", Form::Text(&rules::QUEUE_TYPE), "Its type; that of the vhost unless said."),
        DURABLE,
        key("auto-delete", Form::Flag, "Whether it goes with its last consumer; false unless said."),
        ARGUMENTS,
    ],
};

const BINDING: Section = Section {
    header: "[[vhost.binding]]",
    says: "A rule by which an exchange hands messages on.",
    keys: &[
        needed("source", Form::Text(&rules::NAME), "The exchange that hands on."),
        needed("destination", Form::Text(&rules::NAME), "Where to."),
        key("destination-type", Form::Text(&rules::DESTINATION), "What that is: `queue` (the default) or `exchange`."),
        key("routing-key", Form::Text(&rules::ROUTING_KEY), "Which messages; empty unless said."),
        ARGUMENTS,
    ],
};

const POLICY: Section = Section {
    header: "[[vhost.policy]]",
    says: "Settings for all queues or exchanges whose names fit.",
    keys: POLICY_KEYS,
};

const OPERATOR_POLICY: Section =
    Section { header: "[[vhost.operator-policy]]", says: "Settings that bound those of policies.", keys: POLICY_KEYS };

const POLICY_KEYS: &[Key] = &[
    needed("name", Form::Text(&rules::NAME), "Its name."),
    needed("pattern", Form::Text(&rules::POLICY_PATTERN), "Which names fit."),
    key("apply-to", Form::Text(&rules::APPLY_TO), "What of them; `all` unless said."),
    key("priority", Form::Number, "Of several that fit, the one with the highest is in force; 0 unless said."),
    needed("definition", Form::Free, "The settings, at least one."),
];

const ACCOUNT: Section = Section {
    header: "[[account]]",
    says: "A fixed login of some programs.",
    keys: &[
        needed("name", Form::Text(&rules::NAME), "Its name."),
        key("note", Form::Text(&rules::NOTE), "For people."),
        key("tags", Form::Texts(&rules::TAG, TAGS_MAX), "Tags of its users; none unless said."),
        key("grant", Form::Tables(&GRANT, VHOSTS_MAX, Some("vhost")), "What it may do, for each vhost."),
        key("limits", Form::Table(&ACCOUNT_LIMITS), "How much of the broker each of its users may use."),
        key(
            "rotate-every",
            Form::Text(&rules::ROTATE_EVERY),
            "How often its password is replaced by itself; never unless said.",
        ),
        key(
            "rotate-by",
            Form::Text(&rules::ROTATE_BY),
            "How: `in-place` (the default), or `in-turn` for two users, name-1 and name-2, of which the other one still works.",
        ),
        key(
            "delivery",
            Form::Text(&rules::DELIVERY),
            "How its programs get the password: they `fetch` it (the default), it is `render`ed into their \
             configuration, or `hand-over` by a person.",
        ),
        key(
            "close-after",
            Form::Text(&rules::CLOSE_AFTER),
            "How long after a rotation connections with the former password are closed; they stay open unless said.",
        ),
        key(
            "back-within",
            Form::Text(&rules::BACK_WITHIN),
            "How soon after that its programs must be connected again; nobody waits for them unless said.",
        ),
        ON_DRIFT,
    ],
};

const GRANT: Section = Section {
    header: "[[account.grant]]",
    says: "What an account may do in a vhost: three regular expressions, of which an empty one fits nothing.",
    keys: &[
        needed("vhost", Form::Text(&rules::NAME), "Where: a vhost of this profile, or one of foreign-vhosts."),
        needed("configure", Form::Text(&rules::PATTERN), "What it may declare and delete."),
        needed("write", Form::Text(&rules::PATTERN), "Where it may publish, and what it may bind."),
        needed("read", Form::Text(&rules::PATTERN), "What it may consume, and from where it may bind."),
        key("topic", Form::Tables(&TOPIC, TOPICS_MAX, Some("exchange")), "With which routing keys; any unless said."),
        key(
            "consumes",
            Form::Texts(&rules::NAME, TOPICS_MAX),
            "Queues in this vhost that its programs consume while they are well.",
        ),
    ],
};

const TOPIC: Section = Section {
    header: "[[account.grant.topic]]",
    says: "Which routing keys an account may use with a topic exchange: two regular expressions.",
    keys: &[
        needed("exchange", Form::Text(&rules::NAME), "The exchange."),
        needed("write", Form::Text(&rules::PATTERN), "Those it may publish with."),
        needed("read", Form::Text(&rules::PATTERN), "Those it may bind with."),
    ],
};

const ACCOUNT_LIMITS: Section = Section {
    header: "limits",
    says: "How much of the broker a user may use.",
    keys: &[
        MAX_CONNECTIONS,
        key("max-channels", Form::Count, "Channels at once, over all connections; no limit unless said."),
    ],
};

const PART: Section = Section {
    header: "[[part]]",
    says: "A file that is written for a program or a host, with the password of today.",
    keys: &[
        needed("name", Form::Text(&rules::RELAY), "What it is called where it is asked for."),
        needed("kind", Form::Text(&rules::PART_KIND), "What it is."),
        key("age", Form::Text(&rules::AGE), "The month from which the programs are that read it, such as 2018-11."),
        key("account", Form::Text(&rules::NAME), "Whose login is in it: an account of this profile."),
        key("path", Form::Text(&rules::PATH), "Where it belongs on its host; where the program looks unless said."),
        key("mode", Form::Text(&rules::MODE), "Who may read and write it there, such as 0640; 0600 unless said."),
        key("owner", Form::Text(&rules::UNIX_NAME), "Whose it is there; of whoever writes it unless said."),
        key("group", Form::Text(&rules::UNIX_NAME), "The group that it has there; of whoever writes it unless said."),
        key(
            "settings",
            Form::Free,
            "What stands in it beside the login, by section and key; a text may be `{ file = \"…\" }`, to be read there.",
        ),
    ],
};

const INVESTIGATOR: Section = Section {
    header: "[[investigator]]",
    says: "Somebody who signs actions of MIG.",
    keys: &[
        needed("name", Form::Text(&rules::INVESTIGATOR), "What the list calls them."),
        needed("key", Form::Text(&rules::PGP_KEY), "Their public key, as gpg --export -a writes it."),
        key("fingerprint", Form::Text(&rules::NOTE), "That of the key, to be compared with its own."),
        key("weights", Form::Free, "What their signature weighs, by module; `default` is one."),
    ],
};

const AGENTS: Section = Section {
    header: "[agents]",
    says: "The agents of a fleet: their heartbeats, and an account for each.",
    keys: &[
        needed(
            "vhost",
            Form::Text(&rules::NAME),
            "Where they work: a vhost of this profile, or one of foreign-vhosts.",
        ),
        needed("sends-to", Form::Text(&rules::NAME), "The exchange that takes their heartbeats and results."),
        needed("takes-from", Form::Text(&rules::NAME), "The exchange that brings their commands; it may be the same."),
        key(
            "exchange-type",
            Form::Text(&rules::AGENTS_EXCHANGE_TYPE),
            "The type of both: `direct` (the default), or `topic`, for which each agent gets topic permissions.",
        ),
        key(
            "part",
            Form::Text(&rules::RELAY),
            "The part of the kind mig-agent with what stands in their configuration. It needs no account.",
        ),
        key(
            "account-prefix",
            Form::Text(&rules::ACCOUNT_PREFIX),
            "What stands before the host's name in the name of its account; `agent-` unless said.",
        ),
        key(
            "shared-account",
            Form::Text(&rules::NAME),
            "An account of this profile that all agents share; each has its own unless said.",
        ),
        key(
            "enrols-from",
            Form::Texts(&rules::ORIGIN, ORIGINS_MAX),
            "Which hosts may enrol by their name in DNS: in one of the networks if there are any, and of one of the names if \
             there are any; none unless said, and then only tokens enrol.",
        ),
        key(
            "heartbeat-period",
            Form::Text(&rules::BACK_WITHIN),
            "How often each sends a heartbeat, the scheduler's agent.heartbeatfreq; 5 minutes unless said.",
        ),
        key(
            "timeout",
            Form::Text(&rules::BACK_WITHIN),
            "After which silence one is offline, the scheduler's agent.timeout; 1 hour unless said.",
        ),
        key(
            "enrol-every",
            Form::Text(&rules::BACK_WITHIN),
            "How often a host should enrol again, by which its password is replaced; 30 days unless said.",
        ),
        key(
            "gone-after",
            Form::Text(&rules::BACK_WITHIN),
            "After which silence one whose host DNS does not know is proposed for removal; 30 days unless said.",
        ),
        key(
            "ca",
            Form::TextOrFile(&rules::AUTHORITY),
            "The certificates of the authority that hosts get along, for the place that certs.ca of the part says.",
        ),
        key(
            "whitelist",
            Form::Text(&rules::PATH),
            "The scheduler's whitelist on Keylender's host, which is written whenever the list changes.",
        ),
    ],
};

pub(super) const FILE: Section = Section {
    header: "{ file = \"/…\" }",
    says: "A file of Keylender's host.",
    keys: &[needed("file", Form::Text(&rules::PATH), "Its path.")],
};
