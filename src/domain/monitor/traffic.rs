//! The traffic of namespaces as the broker tells it now, for people, and what they do to it by hand.
//!
//! That they are about to is in the audit log before anything is destroyed, and then how it ended.

use std::collections::HashMap;
use std::future::Future;

use super::{Monitor, Pattern, QueueRule, SeenQueue};
use crate::base::audit::{Action, Note, Outcome};
use crate::base::{Error, NamespaceName, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::domain::namespaces::Slot;
use crate::ports::broker::{Binding, Connection, Destination, Exchange, Queue};

/// A connection of a user of a namespace.
#[derive(Clone, Debug)]
pub struct SeenConnection {
    pub namespace: NamespaceName,
    /// With the password of which slot.
    pub slot: Slot,
    /// What the broker tells of it.
    pub told: Connection,
}

/// An exchange of a namespace.
#[derive(Clone, Debug)]
pub struct SeenExchange {
    pub namespace: NamespaceName,
    /// What the broker tells of it.
    pub told: Exchange,
}

/// An exchange of a namespace, with where it hands messages on to.
#[derive(Clone, Debug)]
pub struct ExchangeNow {
    pub namespace: NamespaceName,
    /// What the broker tells of it.
    pub told: Exchange,
    /// What is bound to it.
    pub bindings: Vec<SeenBinding>,
}

/// A binding to an exchange of a namespace.
#[derive(Clone, Debug)]
pub struct SeenBinding {
    pub destination: Destination,
    /// Whose that is; nobody's when no namespace has it.
    pub namespace: Option<NamespaceName>,
    pub routing_key: String,
}

/// A queue of a namespace.
#[derive(Clone, Debug)]
pub struct QueueNow {
    pub namespace: NamespaceName,
    /// What the broker tells of it now.
    pub told: Queue,
    /// As the last pass of the monitor saw it, with its forecast; none before the first pass that counted it.
    pub seen: Option<SeenQueue>,
}

impl Monitor {
    /// The connections of the users of all namespaces. New ones may be missing for some seconds (rabbitmq.md 2.4).
    pub async fn connections(&self) -> Result<Vec<SeenConnection>> {
        let all = self.bus.get()?.connections().await?;
        let ours = all.into_iter().filter_map(|told| {
            let managed = self.prefixes.connection(&told)?;
            Some(SeenConnection { namespace: managed.namespace().clone(), slot: managed.slot(), told })
        });
        Ok(ours.collect())
    }

    /// Closes a connection; its client reads the reason. `NotFound` when none of ours has the name.
    pub async fn close_connection(&self, caller: &Caller, name: &str) -> Result<()> {
        let reason = caller.reason()?;
        let found = self.connections().await?.into_iter().find(|connection| connection.told.name == name);
        let found = found.ok_or_else(|| no_such("connection"))?;
        let note = |action| {
            let note = caller.note(action, name);
            note.with("user", found.told.user.as_str()).with("namespace", found.namespace.as_str())
        };
        let bus = self.bus.get()?;
        self.by_hand(
            "connection",
            [Action::ConnectionCondemn, Action::ConnectionClose],
            note,
            bus.close_connection(name, reason.as_str()),
        )
        .await
    }

    /// The exchanges of all namespaces.
    pub async fn exchanges(&self) -> Result<Vec<SeenExchange>> {
        let all = self.bus.get()?.exchanges(self.namespaces.vhost()).await?;
        let ours = all.into_iter().filter_map(|told| {
            let namespace = self.prefixes.exchange(&told.name)?.namespace().clone();
            Some(SeenExchange { namespace, told })
        });
        Ok(ours.collect())
    }

    /// The same with their bindings, which the broker is asked for once for all of them.
    pub async fn exchanges_now(&self) -> Result<Vec<ExchangeNow>> {
        let exchanges = self.exchanges().await?;
        let mut bindings: HashMap<String, Vec<SeenBinding>> = HashMap::new();
        for Binding { source, destination, routing_key } in self.bus.get()?.bindings(self.namespaces.vhost()).await? {
            let prefixes = &self.prefixes;
            let managed = match &destination {
                Destination::Queue(name) => prefixes.queue(name),
                Destination::Exchange(name) => prefixes.exchange(name),
            };
            let namespace = managed.map(|managed| managed.namespace().clone());
            bindings.entry(source).or_default().push(SeenBinding { destination, namespace, routing_key });
        }
        let with_theirs = exchanges.into_iter().map(|SeenExchange { namespace, told }| {
            let bindings = bindings.remove(&told.name).unwrap_or_default();
            ExchangeNow { namespace, told, bindings }
        });
        Ok(with_theirs.collect())
    }

    /// An exchange of a namespace. `NotFound` when there is none of this name.
    pub async fn exchange(&self, name: &str) -> Result<ExchangeNow> {
        let all = self.exchanges_now().await?;
        all.into_iter()
            .find(|exchange| exchange.told.name == name)
            .ok_or_else(|| Error::not_found("no namespace has an exchange of this name now"))
    }

    /// A queue of a namespace. `NotFound` when there is none of this name.
    pub async fn queue(&self, name: &str) -> Result<QueueNow> {
        let namespace = self.owner_of(name)?;
        let told = self.bus.get()?.queue(self.namespaces.vhost(), name).await?.ok_or_else(|| no_such("queue"))?;
        let wanted = name.to_owned();
        let mut seen = self.seen(move |known| known == wanted).await?;
        self.note_forecasts(&mut seen);
        Ok(QueueNow { namespace, told, seen: seen.pop() })
    }

    /// Throws away the messages of a queue that wait. `NotFound` when no namespace has it.
    pub async fn purge_queue(&self, caller: &Caller, name: &str) -> Result<()> {
        caller.reason()?;
        let queue = self.queue(name).await?;
        let note = |action| note_about(caller, action, &queue);
        let bus = self.bus.get()?;
        self.by_hand(
            "queue",
            [Action::QueueCondemn, Action::QueuePurge],
            note,
            bus.purge_queue(self.namespaces.vhost(), name),
        )
        .await
    }

    /// Deletes a queue with its messages. `NotFound` when no namespace has it, `Conflict` when it belongs to a connection.
    pub async fn delete_queue_by_hand(&self, caller: &Caller, name: &str) -> Result<()> {
        caller.reason()?;
        let queue = self.queue(name).await?;
        let note = |action| note_about(caller, action, &queue);
        let bus = self.bus.get()?;
        self.by_hand(
            "queue",
            [Action::QueueCondemn, Action::QueueDelete],
            note,
            bus.delete_queue(self.namespaces.vhost(), name),
        )
        .await
    }

    /// Exempts one queue until then, whatever holds for it otherwise: that goes on afterwards. `Invalid` for a name that
    /// would mean other queues, too.
    pub async fn exempt_queue(&self, caller: &Caller, name: &str, until: Timestamp) -> Result<()> {
        let reason = caller.reason()?;
        self.owner_of(name)?;
        if name.contains('*') {
            return Err(Error::invalid("the name has a `*`, which stands for any text in a rule: set a rule by hand"));
        }
        let (rules, pattern) = (self.queue_rules().await?, Pattern::parse(name)?);
        let own = rules.iter().find(|(known, _)| *known == pattern).map(|(_, rule)| rule.clone());
        let limits = self.rule_book(rules).limits(name);
        // A rule of its own hides the others that fit: it says what they say.
        let rule = own.unwrap_or_else(|| QueueRule {
            warn_messages: Some(limits.warn),
            delete_messages: Some(limits.delete),
            warn_bytes: limits.warn_bytes,
            delete_bytes: limits.delete_bytes,
            unconsumed_seconds: limits.unconsumed.map(|time| time.as_secs()),
            grace_seconds: limits.grace.as_secs(),
            ..QueueRule::default()
        });
        let rule = QueueRule { exempt_until: Some(until), remark: reason.to_string(), ..rule };
        self.set_queue_rule(caller, pattern, rule).await
    }

    fn owner_of(&self, queue: &str) -> Result<NamespaceName> {
        let managed = self.prefixes.queue(queue).ok_or_else(|| no_such("queue"))?;
        Ok(managed.namespace().clone())
    }

    /// Writes down what is about to go, so that a crash cannot hide it, does it, and writes down how it ended.
    async fn by_hand(
        &self,
        what: &str,
        [condemn, action]: [Action; 2],
        note: impl Fn(Action) -> Note,
        deed: impl Future<Output = Result<bool>>,
    ) -> Result<()> {
        self.audit(note(condemn)).await?;
        let failed = match deed.await {
            Ok(true) => return self.audit(note(action)).await,
            Ok(false) => no_such(what),
            Err(error) => error,
        };
        self.audit(note(action).outcome(Outcome::Failed).with("cause", failed.message())).await?;
        Err(failed)
    }
}

fn note_about(caller: &Caller, action: Action, queue: &QueueNow) -> Note {
    let note = caller.note(action, &queue.told.name).with("namespace", queue.namespace.as_str());
    match queue.told.messages {
        Some(messages) => note.with("messages", messages),
        None => note,
    }
}

fn no_such(what: &str) -> Error {
    Error::not_found(format!("no namespace has a {what} of this name now"))
}
