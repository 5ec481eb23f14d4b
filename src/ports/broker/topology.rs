//! Queues, exchanges and the bindings between them.

use async_trait::async_trait;

use super::places::Place;
use crate::base::{Result, Timestamp, VhostName};
pub use crate::ports::amqp::Depth;

/// A queue as the broker tells it.
///
/// **Invariant:** `None` means that the broker did not say, never zero (rabbitmq.md, fact 7).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queue {
    /// The name.
    pub name: String,
    /// Messages in it, ready and unacknowledged.
    pub messages: Option<u64>,
    /// Those that wait for a consumer.
    pub ready: Option<u64>,
    /// Those that a consumer has in hand.
    pub unacknowledged: Option<u64>,
    /// Bytes of these messages, without their headers. The broker leaves it out of lists; ask for the single queue.
    pub bytes: Option<u64>,
    /// Consumers. The broker leaves it out of lists; ask for the single queue.
    pub consumers: Option<u64>,
    /// `running`, `down`, ….
    pub state: Option<String>,
    /// `classic`, `quorum` or `stream`.
    pub kind: Option<String>,
    /// Whether it belongs to one connection and cannot be deleted by us.
    pub exclusive: Option<bool>,
    /// When the message at its head was published, as its publisher dated it; of a stream, when its first part was written.
    /// The broker leaves it out of lists, and never tells it of quorum queues, nor of streams before 4.3.
    pub head: Option<Timestamp>,
    /// Messages that its consumers got since the broker began to count. The broker leaves it out of lists.
    pub delivered: Option<u64>,
    /// Of a queue that has copies: those that can be reached, and all.
    pub members: Option<(usize, usize)>,
    /// Whether an age or a number of bytes bounds it, as far as the broker said: lists leave policies out.
    pub is_bounded: bool,
    /// Where messages go that it gives up, if anywhere. The broker leaves it out of lists where a policy says so.
    pub dead_letters: Option<String>,
}

/// What matters of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Whether an age or a number of bytes bounds it.
    pub is_bounded: bool,
}

impl Queue {
    /// What matters of it if it is a stream.
    pub fn stream(&self) -> Option<Stream> {
        (self.kind.as_deref() == Some("stream")).then_some(Stream { is_bounded: self.is_bounded })
    }

    /// Whether too few of its copies can be reached for it to say or to do anything.
    pub fn is_without_majority(&self) -> bool {
        self.members.is_some_and(|(online, all)| online * 2 <= all)
    }

    /// The same with what the queue itself said now. What consumers have in hand only the broker's statistics know, and the
    /// bytes, too: of messages that went since they were counted there are as many less.
    #[must_use]
    pub fn as_it_says(self, Depth { ready, consumers }: Depth) -> Self {
        let messages = ready.saturating_add(self.unacknowledged.unwrap_or(0));
        let bytes = self.bytes.map(|bytes| match self.messages {
            Some(told) if messages < told => {
                let left = u128::from(bytes) * u128::from(messages) / u128::from(told);
                u64::try_from(left).unwrap_or(bytes)
            }
            _ => bytes,
        });
        Self { messages: Some(messages), ready: Some(ready), consumers: Some(consumers), bytes, ..self }
    }
}

/// An exchange as the broker tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange {
    /// The name; empty for the default exchange.
    pub name: String,
    /// `direct`, `topic`, ….
    pub kind: Option<String>,
}

/// A rule by which an exchange hands messages on, as the broker tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// The exchange that hands on.
    pub source: String,
    /// Where to.
    pub destination: Destination,
    /// Which messages; what it means depends on the type of the exchange.
    pub routing_key: String,
}

/// What is bound to an exchange.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// The queue of this name.
    Queue(String),
    /// The exchange of this name.
    Exchange(String),
}

impl Destination {
    /// The name of either.
    pub fn name(&self) -> &str {
        match self {
            Self::Queue(name) | Self::Exchange(name) => name,
        }
    }

    /// `queue` or `exchange`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Exchange(_) => "exchange",
        }
    }
}

/// The queues, exchanges and bindings of a vhost.
#[async_trait]
pub trait Topology: Send + Sync {
    /// The queues of a vhost. Absence from one list proves nothing: those of a lost node go missing for a moment.
    async fn queues(&self, vhost: &VhostName) -> Result<Vec<Queue>>;

    /// The queues of a vhost with what the broker's statistics know of them, which is seconds old: names and consumers. For
    /// many queues it takes the broker twice as long as [`Topology::queues`].
    async fn queues_with_consumers(&self, vhost: &VhostName) -> Result<Vec<Queue>>;

    /// On which nodes the queues of a vhost are, with those that [`Topology::queues`] leaves out because they are down.
    async fn places(&self, vhost: &VhostName) -> Result<Vec<Place>>;

    /// One queue. `None` also while its node is down.
    async fn queue(&self, vhost: &VhostName, name: &str) -> Result<Option<Queue>>;

    /// What a queue says of itself now, where lists and statistics are up to ten seconds old. `None` when there is none, or
    /// its node is down; `Conflict` for one that belongs to a connection.
    async fn depth(&self, vhost: &VhostName, name: &str) -> Result<Option<Depth>>;

    /// Deletes a queue with its messages. False when there was none, or its node is down. `Conflict` when it belongs
    /// to a connection: close that.
    async fn delete_queue(&self, vhost: &VhostName, name: &str) -> Result<bool>;

    /// Throws away the messages of a queue that wait; those that a consumer has in hand stay. False when there is no such
    /// queue. `Conflict` for one that belongs to a connection.
    async fn purge_queue(&self, vhost: &VhostName, name: &str) -> Result<bool>;

    /// The exchanges of a vhost, with those that the broker brings along.
    async fn exchanges(&self, vhost: &VhostName) -> Result<Vec<Exchange>>;

    /// Deletes an exchange. False when there was none. `Forbidden` for those that the broker brings along.
    async fn delete_exchange(&self, vhost: &VhostName, name: &str) -> Result<bool>;

    /// The bindings of a vhost, without those by which the default exchange reaches every queue.
    async fn bindings(&self, vhost: &VhostName) -> Result<Vec<Binding>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_since_it_was_counted_has_no_bytes() {
        let counted = Queue { messages: Some(1000), unacknowledged: Some(10), bytes: Some(5000), ..Queue::default() };
        for (ready, bytes) in [(0, 50), (1, 55), (490, 2500), (990, 5000), (2000, 5000)] {
            let now = counted.clone().as_it_says(Depth { ready, consumers: 1 });
            assert_eq!((now.messages, now.bytes), (Some(ready + 10), Some(bytes)));
        }
        let unknown = Queue { bytes: Some(5000), ..Queue::default() };
        assert_eq!(unknown.as_it_says(Depth { ready: 1, consumers: 0 }).bytes, Some(5000));
    }
}
