//! The messages of queues: taken out, and published.

use async_trait::async_trait;

use crate::base::{Error, Result, VhostName};
pub use crate::ports::amqp::{Message, Properties};

/// The messages of the queues of a vhost.
#[async_trait]
pub trait Messages: Send + Sync {
    /// Begins to take what is in a queue now. `NotFound` when there is none, or its node is down; `Conflict` for one that
    /// belongs to a connection; `Unavailable` as well when we may not read it.
    async fn drain(&self, vhost: &VhostName, queue: &str) -> Result<Box<dyn Drain>>;

    /// Begins to publish into a queue, by the default exchange. `NotFound` when there is none; `Unavailable` as well when we
    /// may not publish there.
    async fn publisher(&self, vhost: &VhostName, queue: &str) -> Result<Box<dyn Publisher>>;
}

/// Messages on their way out of a queue. When it goes without an end, what was not acknowledged is back in the queue.
#[async_trait]
pub trait Drain: Send {
    /// The next messages, in order: at most [`BATCH_MAX`], and no more than [`BATCH_LEN_MAX`] but for the last of them. None
    /// when all that were there at the beginning were handed out, or somebody else took the rest. `Unavailable` when the queue
    /// has messages and hands none out.
    async fn next(&mut self) -> Result<Vec<Message>>;

    /// Lets the broker forget all that was handed out so far. A stream forgets nothing.
    async fn acknowledge(&mut self) -> Result<()>;

    /// Ends it; what was not acknowledged is back in the queue. How many messages wait there; of a stream, how many came
    /// since the beginning.
    async fn end(self: Box<Self>) -> Result<u64>;
}

/// Messages that one call hands out.
pub const BATCH_MAX: usize = 1000;
/// Bytes of bodies that one call hands out: what is in memory several times while it is made durable.
pub const BATCH_LEN_MAX: usize = 1 << 20;

/// Messages on their way into a queue.
#[async_trait]
pub trait Publisher: Send {
    /// Publishes messages in their order, and waits until the broker has confirmed them.
    async fn publish(&mut self, messages: &[Message]) -> Published;

    /// Ends it.
    async fn end(self: Box<Self>);
}

/// What became of messages that were published.
#[derive(Debug, Default)]
pub struct Published {
    /// How many of the first ones the broker has for sure. Of those behind it may have some.
    pub confirmed: usize,
    /// How many of them went without what the broker would have acted upon: the name of another user, or copies (`CC`).
    pub changed: usize,
    /// Why it was not all of them.
    pub failed: Option<Error>,
}
