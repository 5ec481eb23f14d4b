//! What an account can reach: which operations its patterns allow on each queue and exchange of its vhosts, by the broker's
//! own rules. What is not known for sure is said to be so.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Relay;
use crate::base::{AccountName, Error, Kind, Result, VhostName};
use crate::ports::broker::Version;
use crate::proto::broker_pattern::{
    Account, Answer, Doubt, Erlang, Exchange, Grant, Habits, On, Operation, Queue, Reach, Target, TopicGrant,
};
use crate::proto::relay_profile;

/// Queues, and as many exchanges, of one vhost that are looked at; a name that is asked for is always among them.
pub const NAMES_MAX: usize = 500;
/// For all patterns of a request. What is not asked by then is not told.
const PATIENCE: Duration = Duration::from_secs(2);
/// The first Erlang that reads patterns by PCRE2.
const PCRE2_SINCE: u32 = 28;

const OF_QUEUES: [Operation; 7] = [
    Operation::DeclareQueue,
    Operation::DeleteQueue,
    Operation::Consume,
    Operation::Get,
    Operation::PurgeQueue,
    Operation::BindQueue,
    Operation::LookAtQueue,
];
const OF_EXCHANGES: [Operation; 6] = [
    Operation::DeclareExchange,
    Operation::DeleteExchange,
    Operation::Publish,
    Operation::PublishCopy,
    Operation::BindQueue,
    Operation::LookAtExchange,
];

/// What is asked for beside what is there: names that there may be.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub queue: Option<String>,
    pub exchange: Option<String>,
    /// The routing key, which matters to topic permissions.
    pub key: Option<String>,
}

/// A queue or an exchange, and what the account may do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    pub vhost: VhostName,
    pub is_queue: bool,
    pub name: String,
    /// Whether it is there now.
    pub exists: bool,
    /// What it may do.
    pub may: Vec<Operation>,
    /// What nobody can tell from the patterns, and why.
    pub doubtful: Vec<(Operation, Doubt)>,
}

impl Reached {
    /// An operation on it, in words that follow "may".
    pub fn words(&self, operation: Operation) -> &'static str {
        match operation {
            Operation::BindQueue if !self.is_queue => "bind queues to it",
            operation => operation.words(),
        }
    }
}

/// What an account reaches.
#[derive(Clone, Debug, Default)]
pub struct Reaches {
    pub names: Vec<Reached>,
    /// How many more names there are.
    pub left_out: usize,
}

/// What is in a vhost, by name.
#[derive(Default)]
struct Names {
    /// Whether each is there.
    queues: BTreeMap<String, bool>,
    exchanges: BTreeMap<String, Known>,
    left_out: usize,
}

/// What is known of an exchange.
#[derive(Clone, Copy, Default)]
struct Known {
    exists: bool,
    is_topic: bool,
    is_internal: bool,
}

impl Relay {
    /// What an account can reach as it is declared: of all that is in its vhosts and that is declared there, each vhost's first
    /// [`NAMES_MAX`] by name, and of what is asked for. Of a binding only the end is asked that has the name: an account needs both.
    ///
    /// # Errors
    /// `NotFound` for an account that is not declared. Any error of the broker.
    pub async fn reach(&self, name: &AccountName, asked: &Asked) -> Result<Reaches> {
        self.reach_of(self.account(name)?, asked).await
    }

    /// The same of one that is declared elsewhere.
    pub async fn reach_of(&self, account: relay_profile::Account, asked: &Asked) -> Result<Reaches> {
        let overview = self.cluster.get()?.overview().await?;
        let erlang = match overview.erlang {
            Some(PCRE2_SINCE..) => Erlang::From28,
            Some(_) => Erlang::UpTo27,
            None => Erlang::Unknown,
        };
        let habits = Version::parse(&overview.version)
            .map_or_else(|| Habits { erlang, ..Habits::default() }, |version| Habits::of(version.parts(), erlang));
        let mut work = Vec::new();
        for grant in account.grants.clone() {
            let names = self.names(&grant, asked).await?;
            work.push((grant, names));
        }
        let (users, key, by) = (account.users(), asked.key.clone(), Instant::now() + PATIENCE);
        let reached = move || {
            let left_out = work.iter().map(|(_, names)| names.left_out).sum();
            let of = |(grant, names): &(relay_profile::Grant, Names)| {
                // Two that take turns have patterns in which their own names may stand.
                let each = users.iter().map(|user| reached(user, grant, names, key.as_deref(), habits, by));
                each.reduce(agreed).unwrap_or_default()
            };
            Reaches { names: work.iter().flat_map(of).collect(), left_out }
        };
        // Thousands of patterns and names take longer than others may wait for this worker.
        tokio::task::spawn_blocking(reached).await.map_err(|e| Error::internal("asking patterns", e))
    }

    async fn names(&self, grant: &relay_profile::Grant, asked: &Asked) -> Result<Names> {
        let (vhost, mut names) = (&grant.vhost, Names::default());
        let bus = self.bus.get()?;
        let there = async { tokio::try_join!(bus.queues(vhost), bus.exchanges(vhost)) };
        let (queues, exchanges) = match there.await {
            // It was not applied yet.
            Err(error) if error.kind() == Kind::NotFound => Default::default(),
            there => there?,
        };
        names.queues.extend(queues.into_iter().map(|queue| (queue.name, true)));
        let is_topic = |kind: Option<&str>| kind == Some("topic");
        let known = |kind: Option<&str>| Known { exists: true, is_topic: is_topic(kind), is_internal: false };
        names.exchanges.extend(exchanges.into_iter().map(|it| (it.name, known(it.kind.as_deref()))));
        let declared = self.declared()?;
        for declared in declared.profile.vhosts().iter().filter(|declared| declared.name == *vhost) {
            for queue in &declared.queues {
                names.queues.entry(queue.name.clone()).or_insert(false);
            }
            for exchange in &declared.exchanges {
                let is_topic = is_topic(Some(exchange.kind.as_str()));
                let known = names.exchanges.entry(exchange.name.clone());
                known.or_insert(Known { is_topic, ..Known::default() }).is_internal = exchange.internal;
            }
        }
        let is_asked = |wanted: &Option<String>, name: &str| wanted.as_deref() == Some(name);
        let all = names.exchanges.len() + names.queues.len();
        let (mut exchanges, mut queues) = (0, 0);
        let keeps = |count: &mut usize, is_asked: bool| {
            *count += 1;
            is_asked || *count <= NAMES_MAX
        };
        names.exchanges.retain(|name, _| keeps(&mut exchanges, is_asked(&asked.exchange, name)));
        names.queues.retain(|name, _| keeps(&mut queues, is_asked(&asked.queue, name)));
        names.left_out = all - names.exchanges.len() - names.queues.len();
        if let Some(queue) = &asked.queue {
            names.queues.entry(queue.clone()).or_insert(false);
        }
        if let Some(exchange) = &asked.exchange {
            // One for which topics are granted is meant to be a topic exchange.
            let is_topic = grant.topics.iter().any(|topic| topic.exchange == *exchange);
            names.exchanges.entry(exchange.clone()).or_insert(Known { is_topic, ..Known::default() });
        }
        Ok(names)
    }
}

fn reached(
    user: &AccountName,
    grant: &relay_profile::Grant,
    names: &Names,
    key: Option<&str>,
    habits: Habits,
    by: Instant,
) -> Vec<Reached> {
    let vhost = &grant.vhost;
    let account = Account { username: user.as_str(), vhost: vhost.as_str(), client_id: None };
    let topics = grant.topics.iter();
    let topics: Vec<_> =
        topics.map(|it| TopicGrant { exchange: &it.exchange, write: &it.write, read: &it.read }).collect();
    let patterns = Grant { configure: &grant.configure, write: &grant.write, read: &grant.read };
    let reach = Reach::new(account, Some(patterns), &topics, habits);
    let queues = names.queues.iter().map(|(name, exists)| {
        let queue = Some(Queue { name, exists: *exists });
        let may = |operation| match operation {
            Operation::BindQueue => reach.meets(operation, |on| on == On::Queue, Target { queue, ..Target::default() }),
            _ => reach.may(operation, Target { queue, ..Target::default() }),
        };
        sorted(vhost, true, name, *exists, &OF_QUEUES, by, may)
    });
    let exchanges = names.exchanges.iter().map(|(name, Known { exists, is_topic, is_internal })| {
        let (exists, is_topic, is_internal) = (exists, *is_topic, *is_internal);
        let exchange = Some(Exchange { name, exists: *exists, is_topic, is_internal });
        let may = |operation| match operation {
            Operation::BindQueue => {
                let target = Target { source: exchange, key, ..Target::default() };
                reach.meets(operation, |on| on != On::Queue, target)
            }
            _ => reach.may(operation, Target { exchange, key, copy: key, ..Target::default() }),
        };
        sorted(vhost, false, name, *exists, &OF_EXCHANGES, by, may)
    });
    exchanges.chain(queues).collect()
}

/// What both may; what one of them may only depends on whose turn it is.
fn agreed(one: Vec<Reached>, other: Vec<Reached>) -> Vec<Reached> {
    let both = one.into_iter().zip(other).map(|(one, other)| {
        let differs = |operation: &&Operation| one.may.contains(operation) != other.may.contains(operation);
        let differing = one.may.iter().chain(&other.may).filter(differs).map(|operation| (*operation, Doubt::ByName));
        let doubtful = one.doubtful.iter().copied().chain(differing).collect();
        let may = one.may.iter().filter(|operation| other.may.contains(operation)).copied().collect();
        Reached { may, doubtful, ..one.clone() }
    });
    both.collect()
}

fn sorted(
    vhost: &VhostName,
    is_queue: bool,
    name: &str,
    exists: bool,
    operations: &[Operation],
    by: Instant,
    may: impl Fn(Operation) -> Answer,
) -> Reached {
    let mut reached = Reached {
        vhost: vhost.clone(),
        is_queue,
        name: name.to_owned(),
        exists,
        may: Vec::new(),
        doubtful: Vec::new(),
    };
    for operation in operations {
        let answer = if Instant::now() < by { may(*operation) } else { Answer::CannotTell(Doubt::TooMuchWork) };
        match answer {
            Answer::Yes => reached.may.push(*operation),
            Answer::CannotTell(doubt) => reached.doubtful.push((*operation, doubt)),
            Answer::No => {}
        }
    }
    reached
}
