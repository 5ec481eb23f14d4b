//! Queues, exchanges and connections of namespaces as the broker tells of them now, for people, and what they do to them
//! by hand.
//!
//! That they are about to is in the audit log before anything is destroyed, and then how it ended.

mod consumers;

use std::collections::HashMap;
use std::future::Future;

use crate::base::audit::{Action, Note, Outcome};
use crate::base::{Error, NamespaceName, Result};
use crate::domain::auth::Caller;
use crate::domain::monitor::{Monitor, SeenQueue};
use crate::domain::namespaces::{Namespaces, Slot};
use crate::ports::broker::{Binding, Bus, Connection, Destination, Exchange, Handle, Queue};
use crate::store::Store;

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

/// What namespaces have at the broker. Cheap to clone.
#[derive(Clone)]
pub struct Traffic {
    store: Store,
    bus: Handle<dyn Bus>,
    namespaces: Namespaces,
    /// Knows what is ours, and saw the queues before.
    monitor: Monitor,
}

impl Traffic {
    pub fn new(store: Store, bus: Handle<dyn Bus>, namespaces: Namespaces, monitor: Monitor) -> Self {
        Self { store, bus, namespaces, monitor }
    }

    /// The connections of the users of all namespaces. New ones may be missing for some seconds (rabbitmq.md 2.4).
    pub async fn connections(&self) -> Result<Vec<SeenConnection>> {
        let all = self.bus.get()?.connections().await?;
        let ours = all.into_iter().filter_map(|told| {
            let managed = self.monitor.prefixes().connection(&told)?;
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
            let namespace = self.monitor.prefixes().exchange(&told.name)?.namespace().clone();
            Some(SeenExchange { namespace, told })
        });
        Ok(ours.collect())
    }

    /// The same with their bindings, which the broker is asked for once for all of them.
    pub async fn exchanges_now(&self) -> Result<Vec<ExchangeNow>> {
        let exchanges = self.exchanges().await?;
        let mut bindings: HashMap<String, Vec<SeenBinding>> = HashMap::new();
        for Binding { source, destination, routing_key } in self.bus.get()?.bindings(self.namespaces.vhost()).await? {
            let prefixes = self.monitor.prefixes();
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
        let managed = self.monitor.prefixes().queue(name).ok_or_else(|| no_such("queue"))?;
        let told = self.bus.get()?.queue(self.namespaces.vhost(), name).await?.ok_or_else(|| no_such("queue"))?;
        let wanted = name.to_owned();
        let mut seen = self.monitor.seen(move |known| known == wanted).await?;
        self.monitor.note_forecasts(&mut seen);
        Ok(QueueNow { namespace: managed.namespace().clone(), told, seen: seen.pop() })
    }

    /// Throws away the messages of a queue that wait. `NotFound` when no namespace has it.
    pub async fn purge_queue(&self, caller: &Caller, name: &str) -> Result<()> {
        let purge = self.bus.get()?.purge_queue(self.namespaces.vhost(), name);
        self.end_queue(caller, name, Action::QueuePurge, purge).await
    }

    /// Deletes a queue with its messages. `NotFound` when no namespace has it, `Conflict` when it belongs to a connection.
    pub async fn delete_queue(&self, caller: &Caller, name: &str) -> Result<()> {
        let delete = self.bus.get()?.delete_queue(self.namespaces.vhost(), name);
        self.end_queue(caller, name, Action::QueueDelete, delete).await
    }

    async fn end_queue(
        &self,
        caller: &Caller,
        name: &str,
        action: Action,
        deed: impl Future<Output = Result<bool>>,
    ) -> Result<()> {
        caller.reason()?;
        let queue = self.queue(name).await?;
        self.by_hand("queue", [Action::QueueCondemn, action], |action| note_about(caller, action, &queue), deed).await
    }

    /// Writes down what is about to go, so that a crash cannot hide it, does it, and writes down how it ended.
    async fn by_hand(
        &self,
        what: &str,
        [condemn, action]: [Action; 2],
        note: impl Fn(Action) -> Note,
        deed: impl Future<Output = Result<bool>>,
    ) -> Result<()> {
        self.store.note(note(condemn)).await?;
        let failed = match deed.await {
            Ok(true) => return self.store.note(note(action)).await,
            Ok(false) => no_such(what),
            Err(error) => error,
        };
        self.store.note(note(action).outcome(Outcome::Failed).with("cause", failed.message())).await?;
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
