//! The parts of a profile: vhosts with what is declared in them, and accounts.

use serde_json::{Map, Value};

use crate::base::{AccountName, Span, VhostName};

/// Declares values that are written as words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of_variant:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$of_variant])* $variant,)+
        }

        impl $name {
            /// All that may be written.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// What is written so.
            pub fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(super) use words;

/// A virtual host, with all that is declared in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Vhost {
    /// Its name.
    pub name: VhostName,
    /// What happens when the broker has it, or something in it, otherwise than declared.
    pub on_drift: OnDrift,
    /// The type of queues that are declared there without one. The broker's own choice unless said.
    pub default_queue_type: Option<QueueType>,
    /// How much it may hold.
    pub limits: VhostLimits,
    /// Its exchanges, each name once, and none of the broker's own.
    pub exchanges: Vec<Exchange>,
    /// Its queues, each name once.
    pub queues: Vec<Queue>,
    /// Its bindings, each once. Both ends are declared in the same vhost, or are exchanges of the broker.
    pub bindings: Vec<Binding>,
    /// Its policies, each name once.
    pub policies: Vec<Policy>,
    /// Those that only administrators may change, and that bound the others; each name once.
    pub operator_policies: Vec<Policy>,
}

/// How much a vhost may hold; no limit unless said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VhostLimits {
    /// Connections at once. Zero lets nobody in.
    pub max_connections: Option<u32>,
    /// Queues at once.
    pub max_queues: Option<u32>,
}

/// An exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// `direct`, `fanout`, `topic`, `headers`, or that of a plugin, which begins with `x-`.
    pub kind: String,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether only other exchanges may hand messages to it.
    pub internal: bool,
    /// The rest.
    pub arguments: Map<String, Value>,
}

/// A queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its type, which is never among the arguments; that of the vhost unless said.
    pub kind: Option<QueueType>,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// The rest.
    pub arguments: Map<String, Value>,
}

words! {
    /// How a queue keeps its messages.
    QueueType {
        /// On one node.
        Classic = "classic",
        /// On several, which agree.
        Quorum = "quorum",
        /// As a log that is read again and again.
        Stream = "stream",
    }
}

/// A rule by which an exchange hands messages on.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The exchange that hands on.
    pub source: String,
    /// Where to.
    pub destination: String,
    /// What that is.
    pub destination_type: Destination,
    /// Which messages; what it means depends on the type of the exchange.
    pub routing_key: String,
    /// The rest, by which exchanges of headers decide.
    pub arguments: Map<String, Value>,
}

words! {
    /// What is bound to an exchange.
    #[derive(Default)]
    Destination {
        /// A queue.
        #[default]
        Queue = "queue",
        /// Another exchange.
        Exchange = "exchange",
    }
}

/// Settings for all queues or exchanges whose names fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Which names fit.
    pub pattern: String,
    /// What of them.
    pub apply_to: ApplyTo,
    /// Of several that fit, the one with the highest is in force.
    pub priority: i64,
    /// The settings, at least one.
    pub definition: Map<String, Value>,
}

words! {
    /// What a policy is for. The types of queues are told apart from RabbitMQ 3.12 on.
    #[derive(Default)]
    ApplyTo {
        /// Queues and exchanges.
        #[default]
        All = "all",
        /// Exchanges.
        Exchanges = "exchanges",
        /// Queues and streams.
        Queues = "queues",
        /// Classic queues.
        ClassicQueues = "classic_queues",
        /// Quorum queues.
        QuorumQueues = "quorum_queues",
        /// Streams.
        Streams = "streams",
    }
}

/// A fixed login of some programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its name. Of an account whose users take turns it is the beginning of theirs: see [`Account::users`].
    pub name: AccountName,
    /// Tags of its users, at most 32.
    pub tags: Vec<String>,
    /// What it may do, each vhost once.
    pub grants: Vec<Grant>,
    /// How much of the broker each of its users may use.
    pub limits: AccountLimits,
    /// When and how its password is replaced by itself; never unless said.
    pub rotation: Option<Rotation>,
    /// How its programs get the password.
    pub delivery: Delivery,
    /// How long after a rotation the connections that use the former password are closed: by then its programs have the new
    /// one. They stay open unless said.
    pub close_after: Option<Span>,
    /// How long after that its programs must be connected again, and consume what [`Grant::consumes`] says. Nobody
    /// waits for them unless said.
    pub back_within: Option<Span>,
    /// What happens when the broker has it otherwise than declared.
    pub on_drift: OnDrift,
    /// For people.
    pub note: Option<String>,
}

impl Account {
    /// The names of the broker users that it stands for: its own, or two that take turns.
    pub fn users(&self) -> Vec<AccountName> {
        match self.rotation {
            Some(Rotation { by: RotateBy::InTurn, .. }) => {
                // A profile holds only names that have room for what is added.
                in_turn(self.name.as_str()).iter().filter_map(|user| AccountName::parse(user).ok()).collect()
            }
            _ => vec![self.name.clone()],
        }
    }
}

/// What the two users of an account are called that take turns.
pub(super) fn in_turn(account: &str) -> [String; 2] {
    ["1", "2"].map(|turn| format!("{account}-{turn}"))
}

/// What an account may do in a vhost: three regular expressions of the broker's kind, of which an empty one fits nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where: a vhost of the same profile, or a foreign one.
    pub vhost: VhostName,
    /// What it may declare and delete.
    pub configure: String,
    /// Where it may publish, and what it may bind.
    pub write: String,
    /// What it may consume, and from where it may bind.
    pub read: String,
    /// With which routing keys, for the topic exchanges that are named here, each once. Others are free.
    pub topics: Vec<TopicGrant>,
    /// The queues that its programs consume while they are well, each once. They need not be declared here.
    pub consumes: Vec<String>,
}

/// Which routing keys an account may use with a topic exchange: two regular expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicGrant {
    /// The exchange. It need not be declared here.
    pub exchange: String,
    /// Those it may publish with.
    pub write: String,
    /// Those it may bind with.
    pub read: String,
}

/// How much of the broker a user may use; no limit unless said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// Connections at once. Zero lets nobody in.
    pub max_connections: Option<u32>,
    /// Channels at once, over all connections.
    pub max_channels: Option<u32>,
}

/// When and how the password of an account is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// How often: at least a minute, and longer than the account's programs may take to come back.
    pub every: Span,
    /// How.
    pub by: RotateBy,
}

words! {
    /// How a password is replaced.
    #[derive(Default)]
    RotateBy {
        /// The user gets another one: from then on the old one opens no connection.
        #[default]
        InPlace = "in-place",
        /// Two users take turns: the old password works until the next rotation.
        InTurn = "in-turn",
    }
}

words! {
    /// How programs get the password of their account.
    #[derive(Default)]
    Delivery {
        /// They ask for it.
        #[default]
        Fetch = "fetch",
        /// It is written into their configuration.
        Render = "render",
        /// A person brings it to them.
        HandOver = "hand-over",
    }
}

words! {
    /// What happens when a broker has something otherwise than declared.
    #[derive(Default)]
    OnDrift {
        /// It is told again.
        #[default]
        Repair = "repair",
        /// It is said, and left as it is.
        Report = "report",
    }
}
