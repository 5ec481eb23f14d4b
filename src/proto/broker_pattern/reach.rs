//! What one account reaches in one vhost.

use super::rights::{Habits, On, Operation, Right};
use super::{Answer, BrokerPattern, Doubt};

/// By which the default exchange, whose name is empty, is asked for.
const DEFAULT_EXCHANGE: &str = "amq.default";
/// Nobody can make what begins with this.
const RESERVED: &str = "amq.";
/// What RabbitMQ puts a backslash before in the value of a variable, where it takes values for text.
const QUOTED: &[u8] = br"\^$.|?*+()[]{}-";

/// Whose reach it is.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// The broker user.
    pub username: &'a str,
    /// Where it works.
    pub vhost: &'a str,
    /// Only clients of MQTT have one, and choose it themselves. To others the variable is text.
    pub client_id: Option<&'a str>,
}

/// A permission: its patterns.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// What may be made and removed.
    pub configure: &'a str,
    /// Where something may be put in.
    pub write: &'a str,
    /// Where something may be got out.
    pub read: &'a str,
}

/// A topic permission.
#[derive(Clone, Copy, Debug)]
pub struct TopicGrant<'a> {
    /// For which topic exchange.
    pub exchange: &'a str,
    /// With which keys may be published.
    pub write: &'a str,
    /// By which keys may be bound.
    pub read: &'a str,
}

/// A queue that is there, or may be made.
#[derive(Clone, Copy, Debug)]
pub struct Queue<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is there.
    pub exists: bool,
}

/// An exchange that is there, or may be made.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// Its name; empty for the default exchange.
    pub name: &'a str,
    /// Whether it is there.
    pub exists: bool,
    /// Whether its type is `topic`: topic permissions are asked for no other.
    pub is_topic: bool,
    /// Whether only bindings lead to it.
    pub is_internal: bool,
}

/// A binding.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Where messages come from.
    pub source: Exchange<'a>,
    /// Where they go.
    pub destination: Place<'a>,
    /// Which of them.
    pub key: &'a str,
}

/// Where messages go.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// To a queue.
    Queue(Queue<'a>),
    /// To an exchange.
    Exchange(Exchange<'a>),
}

/// What an operation is about. What it does not ask for may be left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// The queue.
    pub queue: Option<Queue<'a>>,
    /// The exchange; of a binding between exchanges its destination.
    pub exchange: Option<Exchange<'a>>,
    /// The exchange that a binding leads from.
    pub source: Option<Exchange<'a>>,
    /// The name in an argument.
    pub named: Option<&'a str>,
    /// The routing key.
    pub key: Option<&'a str>,
    /// A second routing key.
    pub copy: Option<&'a str>,
}

/// What an account may do in a vhost.
#[derive(Clone, Debug)]
pub struct Reach {
    habits: Habits,
    /// Nothing, for an account without a permission: it cannot connect.
    grant: Option<Patterns>,
    topics: Vec<(String, Patterns)>,
}

/// Of a topic permission the first is never asked.
#[derive(Clone, Debug)]
struct Patterns {
    configure: BrokerPattern,
    write: BrokerPattern,
    read: BrokerPattern,
}

impl Patterns {
    fn of(&self, right: Right) -> &BrokerPattern {
        match right {
            Right::Configure => &self.configure,
            Right::Write => &self.write,
            Right::Read => &self.read,
        }
    }
}

impl Reach {
    /// Reads the patterns that an account has in a vhost.
    pub fn new(account: Account<'_>, grant: Option<Grant<'_>>, topics: &[TopicGrant<'_>], habits: Habits) -> Self {
        let read = |pattern: &str| BrokerPattern::read_by(pattern, habits.erlang);
        let expanded = |pattern: &str| expand(pattern, account, habits);
        let grant = grant.map(|Grant { configure, write, read: get }| Patterns {
            configure: read(configure),
            write: read(write),
            read: read(get),
        });
        let topics = topics.iter().map(|topic| {
            let (configure, write) = (read(""), expanded(topic.write));
            (topic.exchange.to_owned(), Patterns { configure, write, read: expanded(topic.read) })
        });
        Self { habits, grant, topics: topics.collect() }
    }

    /// Whether the account may do this. It is about rights: whether what is needed for it is there, and whether arguments
    /// are equal to those that it has, is not asked.
    pub fn may(&self, operation: Operation, target: Target<'_>) -> Answer {
        self.meets(operation, |_| true, target)
    }

    /// Whether what the operation asks of these is given: a binding asks of both its ends.
    pub fn meets(&self, operation: Operation, is_meant: impl Fn(On) -> bool, target: Target<'_>) -> Answer {
        let Some(grant) = &self.grant else { return Answer::No };
        if is_forbidden(operation, target) {
            return Answer::No;
        }
        if operation.looks() {
            return self.looks(grant, operation, target);
        }
        let answers = operation.requires().iter().filter(|(_, on)| is_meant(*on)).map(|(right, on)| {
            let pattern = grant.of(*right);
            match on {
                On::Queue if operation == Operation::DeclareUnnamedQueue => pattern.reaches_unnamed(),
                On::Queue => ask(pattern, queue_name(target), operation.declares_queue()),
                On::Exchange => ask(pattern, exchange_name(target.exchange), operation.declares_exchange()),
                On::Source => ask(pattern, exchange_name(target.source), false),
                On::Named => ask(pattern, target.named.map(asked_exchange), false),
                On::Key if operation.publishes() => self.key(*right, target.exchange, target.key),
                On::Key => self.key(*right, target.source, target.key),
                On::Copy => self.copy(*right, target),
            }
        });
        answers.fold(Answer::Yes, Answer::and)
    }

    /// Every operation that is about a queue alone.
    pub fn queue(&self, queue: Queue<'_>) -> Vec<(Operation, Answer)> {
        use Operation::{Consume, DeclareQueue, DeleteQueue, Get, LookAtQueue, PurgeQueue};
        let target = Target { queue: Some(queue), ..Target::default() };
        self.each(&[DeclareQueue, LookAtQueue, DeleteQueue, PurgeQueue, Get, Consume], target)
    }

    /// Every operation that is about an exchange alone, and publishing with this routing key.
    pub fn exchange(&self, exchange: Exchange<'_>, key: &str) -> Vec<(Operation, Answer)> {
        use Operation::{DeclareExchange, DeleteExchange, LookAtExchange, Publish};
        let target = Target { exchange: Some(exchange), key: Some(key), ..Target::default() };
        self.each(&[DeclareExchange, LookAtExchange, DeleteExchange, Publish], target)
    }

    /// Making and removing a binding.
    pub fn binding(&self, binding: Binding<'_>) -> Vec<(Operation, Answer)> {
        let target = Target { source: Some(binding.source), key: Some(binding.key), ..Target::default() };
        match binding.destination {
            Place::Queue(queue) => {
                let target = Target { queue: Some(queue), ..target };
                self.each(&[Operation::BindQueue, Operation::UnbindQueue], target)
            }
            Place::Exchange(exchange) => {
                let target = Target { exchange: Some(exchange), ..target };
                self.each(&[Operation::BindExchange, Operation::UnbindExchange], target)
            }
        }
    }

    fn each(&self, operations: &[Operation], target: Target<'_>) -> Vec<(Operation, Answer)> {
        operations.iter().map(|operation| (*operation, self.may(*operation, target))).collect()
    }

    /// What only tells something needs no right, or any.
    fn looks(&self, grant: &Patterns, operation: Operation, target: Target<'_>) -> Answer {
        let name = match operation {
            Operation::LookAtQueue => queue_name(target),
            _ => exchange_name(target.exchange),
        };
        let rights = [Right::Configure, Right::Write, Right::Read].map(|right| ask(grant.of(right), name, false));
        let any = rights.into_iter().fold(Answer::No, Answer::or);
        match (self.habits.looking_needs_right, any) {
            (Some(false), _) | (_, Answer::Yes) => Answer::Yes,
            (Some(true), any) => any,
            (None, _) => Answer::CannotTell(Doubt::ByRelease),
        }
    }

    /// Whether a topic permission lets this routing key through. Without one it does.
    fn key(&self, right: Right, exchange: Option<Exchange<'_>>, key: Option<&str>) -> Answer {
        let Some(exchange) = exchange.filter(|exchange| exchange.is_topic) else { return Answer::Yes };
        let topic = self.topics.iter().find(|(name, _)| name == exchange.name);
        topic.map_or(Answer::Yes, |(_, patterns)| ask(patterns.of(right), key, false))
    }

    fn copy(&self, right: Right, target: Target<'_>) -> Answer {
        match (self.habits.copies_are_asked, self.key(right, target.exchange, target.copy)) {
            (Some(false), _) | (_, Answer::Yes) => Answer::Yes,
            (Some(true), answer) => answer,
            (None, _) => Answer::CannotTell(Doubt::ByRelease),
        }
    }
}

/// Without a name a client means the queue that it declared last, whichever that is.
fn queue_name(target: Target<'_>) -> Option<&str> {
    target.queue.map(|queue| queue.name).filter(|name| !name.is_empty())
}

fn exchange_name(exchange: Option<Exchange<'_>>) -> Option<&str> {
    exchange.map(|exchange| asked_exchange(exchange.name))
}

fn asked_exchange(name: &str) -> &str {
    if name.is_empty() { DEFAULT_EXCHANGE } else { name }
}

/// Whether the pattern fits a name. Those that are declared lose their line ends first, whatever they are asked for later.
fn ask(pattern: &BrokerPattern, name: Option<&str>, is_declared: bool) -> Answer {
    match name {
        None => Answer::CannotTell(Doubt::ByName),
        Some(name) if is_declared => pattern.reaches(name.replace(['\r', '\n'], "").as_bytes()),
        Some(name) => pattern.reaches(name.as_bytes()),
    }
}

/// What no right allows.
fn is_forbidden(operation: Operation, target: Target<'_>) -> bool {
    let is_default = |exchange: Option<Exchange<'_>>| exchange.is_some_and(|it| it.name.is_empty());
    let is_reserved = |name: &str, exists: bool| name.starts_with(RESERVED) && !exists;
    let exchange = target.exchange;
    match operation {
        Operation::DeclareQueue | Operation::DeclareQueueWithDeadLetters => {
            target.queue.is_some_and(|queue| is_reserved(queue.name, queue.exists))
        }
        Operation::DeclareExchange | Operation::DeclareExchangeWithAlternate => {
            is_default(exchange) || exchange.is_some_and(|it| is_reserved(it.name, it.exists))
        }
        Operation::LookAtExchange => is_default(exchange),
        Operation::DeleteExchange => is_default(exchange) || exchange.is_some_and(|it| it.name.starts_with(RESERVED)),
        Operation::BindQueue | Operation::UnbindQueue => is_default(target.source),
        Operation::BindExchange | Operation::UnbindExchange => is_default(exchange) || is_default(target.source),
        Operation::Publish | Operation::PublishCopy => exchange.is_some_and(|it| it.is_internal),
        _ => false,
    }
}

/// A pattern of a topic permission with the values of its variables, which are put in one after the other, so that one can
/// bring in another.
fn expand(pattern: &str, account: Account<'_>, habits: Habits) -> BrokerPattern {
    let variables =
        [("{client_id}", account.client_id), ("{username}", Some(account.username)), ("{vhost}", Some(account.vhost))];
    let with = |form: fn(&str) -> String| {
        let known = variables.iter().filter_map(|(variable, value)| Some((variable, (*value)?)));
        known.fold(pattern.to_owned(), |text, (variable, value)| text.replace(variable, &form(value)))
    };
    let (as_text, as_pattern) = (with(quoted), with(str::to_owned));
    match habits.variables_are_text {
        _ if as_text == as_pattern => BrokerPattern::read_by(&as_text, habits.erlang),
        Some(true) => BrokerPattern::read_by(&as_text, habits.erlang),
        Some(false) => BrokerPattern::read_by(&as_pattern, habits.erlang),
        None => BrokerPattern::doubtful(Doubt::ByRelease),
    }
}

fn quoted(value: &str) -> String {
    let is_quoted = |c: char| u8::try_from(c).is_ok_and(|byte| QUOTED.contains(&byte));
    value.chars().flat_map(|c| is_quoted(c).then_some('\\').into_iter().chain([c])).collect()
}
