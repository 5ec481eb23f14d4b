//! What each operation of AMQP 0-9-1 asks of a permission. The table was seen from outside at RabbitMQ 3.10.8, 4.0.5 and
//! 4.3.6: for each operation the smallest rights that let it through.

use super::Erlang;

/// What a permission has a pattern for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To make and to remove.
    Configure,
    /// To put something in.
    Write,
    /// To get something out.
    Read,
}

/// Of what a right is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The queue.
    Queue,
    /// The exchange; of a binding between exchanges its destination.
    Exchange,
    /// The exchange that a binding leads from.
    Source,
    /// The exchange that an argument names: for dead letters, or for what goes nowhere else.
    Named,
    /// The routing key, where the exchange or source is a topic exchange and the account has a topic permission for it.
    Key,
    /// Likewise each routing key in the headers `CC` and `BCC`, which old releases do not ask for.
    Copy,
}

/// What a client can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Also where it is there already.
    DeclareQueue,
    /// With an exchange for dead letters, whether that is there or not.
    DeclareQueueWithDeadLetters,
    /// A queue to which the broker gives its name.
    DeclareUnnamedQueue,
    /// A passive declaration, which tells the depth and how many consume.
    LookAtQueue,
    /// With its messages.
    DeleteQueue,
    /// What waits in it.
    PurgeQueue,
    /// One message.
    Get,
    /// All that come.
    Consume,
    /// To an exchange.
    BindQueue,
    /// From an exchange.
    UnbindQueue,
    /// Also where it is there already.
    DeclareExchange,
    /// With an exchange for what goes nowhere else.
    DeclareExchangeWithAlternate,
    /// A passive declaration, which tells nothing but that it is there.
    LookAtExchange,
    /// With its bindings.
    DeleteExchange,
    /// To another one.
    BindExchange,
    /// From another one.
    UnbindExchange,
    /// To an exchange.
    Publish,
    /// With a second routing key in the header `CC` or `BCC`. Where that is not asked for, whoever may use one routing key of
    /// a topic exchange reaches all.
    PublishCopy,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::DeclareQueue,
        Self::DeclareQueueWithDeadLetters,
        Self::DeclareUnnamedQueue,
        Self::LookAtQueue,
        Self::DeleteQueue,
        Self::PurgeQueue,
        Self::Get,
        Self::Consume,
        Self::BindQueue,
        Self::UnbindQueue,
        Self::DeclareExchange,
        Self::DeclareExchangeWithAlternate,
        Self::LookAtExchange,
        Self::DeleteExchange,
        Self::BindExchange,
        Self::UnbindExchange,
        Self::Publish,
        Self::PublishCopy,
    ];

    /// In words that follow "may".
    pub fn words(self) -> &'static str {
        match self {
            Self::DeclareQueue => "declare the queue",
            Self::DeclareQueueWithDeadLetters => "declare the queue with an exchange for dead letters",
            Self::DeclareUnnamedQueue => "declare a queue that the broker names",
            Self::LookAtQueue => "look how full the queue is",
            Self::DeleteQueue => "delete the queue",
            Self::PurgeQueue => "purge the queue",
            Self::Get => "get a message",
            Self::Consume => "consume",
            Self::BindQueue => "bind the queue",
            Self::UnbindQueue => "unbind the queue",
            Self::DeclareExchange => "declare the exchange",
            Self::DeclareExchangeWithAlternate => "declare the exchange with an alternate one",
            Self::LookAtExchange => "look whether the exchange is there",
            Self::DeleteExchange => "delete the exchange",
            Self::BindExchange => "bind the exchange",
            Self::UnbindExchange => "unbind the exchange",
            Self::Publish => "publish",
            Self::PublishCopy => "publish with a further routing key",
        }
    }

    /// All that must be given. Looking needs nothing, or from some release on any of the three rights.
    pub fn requires(self) -> &'static [(Right, On)] {
        use Right::{Configure, Read, Write};
        match self {
            Self::DeclareQueue | Self::DeclareUnnamedQueue | Self::DeleteQueue => &[(Configure, On::Queue)],
            Self::DeclareQueueWithDeadLetters => &[(Configure, On::Queue), (Read, On::Queue), (Write, On::Named)],
            Self::LookAtQueue | Self::LookAtExchange => &[],
            Self::PurgeQueue | Self::Get | Self::Consume => &[(Read, On::Queue)],
            Self::BindQueue | Self::UnbindQueue => &[(Write, On::Queue), (Read, On::Source), (Read, On::Key)],
            Self::DeclareExchange | Self::DeleteExchange => &[(Configure, On::Exchange)],
            Self::DeclareExchangeWithAlternate => {
                &[(Configure, On::Exchange), (Read, On::Exchange), (Write, On::Named)]
            }
            Self::BindExchange | Self::UnbindExchange => &[(Write, On::Exchange), (Read, On::Source), (Read, On::Key)],
            Self::Publish => &[(Write, On::Exchange), (Write, On::Key)],
            Self::PublishCopy => &[(Write, On::Exchange), (Write, On::Key), (Write, On::Copy)],
        }
    }

    pub(super) fn declares_exchange(self) -> bool {
        matches!(self, Self::DeclareExchange | Self::DeclareExchangeWithAlternate)
    }

    pub(super) fn declares_queue(self) -> bool {
        matches!(self, Self::DeclareQueue | Self::DeclareQueueWithDeadLetters)
    }

    pub(super) fn looks(self) -> bool {
        matches!(self, Self::LookAtQueue | Self::LookAtExchange)
    }

    /// Whether it publishes.
    pub(super) fn publishes(self) -> bool {
        matches!(self, Self::Publish | Self::PublishCopy)
    }
}

/// A version of RabbitMQ.
pub type Release = (u32, u32, u32);

/// The releases that were looked at.
const OLD_SEEN: Release = (3, 10, 8);
const MIDDLE_SEEN: Release = (4, 0, 5);
const NEW_SEEN: Release = (4, 3, 6);
/// By its notes, and seen at the newest.
const LOOKING_NEEDS_RIGHT: Release = (4, 3, 1);

/// How a broker asks, as far as it is known: releases differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// Which Erlang reads its patterns.
    pub erlang: Erlang,
    /// Whether the values of variables are text. Where they are not, a name with a dot or a star in it fits more.
    pub variables_are_text: Option<bool>,
    /// Whether looking needs a right.
    pub looking_needs_right: Option<bool>,
    /// Whether the routing keys of copies are asked for.
    pub copies_are_asked: Option<bool>,
}

impl Habits {
    /// Those of a release, if it was looked at, or surely is like one that was. Mends are brought to older series as well, so
    /// that between those that were looked at nothing is known.
    pub fn of(release: Release, erlang: Erlang) -> Self {
        let is_old = release <= OLD_SEEN;
        let is_middle = release.0 == MIDDLE_SEEN.0 && release <= MIDDLE_SEEN;
        let since = |first_with: Release, is_in_middle: bool| match release {
            release if release >= first_with => Some(true),
            _ if is_old || is_middle && !is_in_middle => Some(false),
            _ => None,
        };
        Self {
            erlang,
            variables_are_text: since(NEW_SEEN, false),
            looking_needs_right: since(LOOKING_NEEDS_RIGHT, false),
            copies_are_asked: since(MIDDLE_SEEN, true),
        }
    }
}
