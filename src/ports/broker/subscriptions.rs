//! Messages as they come: queues of our own, bound beside those of somebody else's programs.

use async_trait::async_trait;

use crate::base::{Result, VhostName};
pub use crate::ports::amqp::Subscription;

/// Queues of our own in a vhost.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// Makes the queue what it should be, and begins to read it. `NotFound` when the exchange, or the vhost, is not there;
    /// `Conflict` when a queue of that name is there otherwise; `Unavailable` as well when we may not do so.
    async fn subscribe(&self, vhost: &VhostName, wanted: &Subscription) -> Result<Box<dyn Subscriber>>;
}

/// A queue that is read for as long as this is there. When it goes, what was not acknowledged is back in the queue.
#[async_trait]
pub trait Subscriber: Send {
    /// The bodies of the next messages, in order: so many and of so many bytes at most, but for the last of them. It waits
    /// until there is one, and may be abandoned while it waits. `Unavailable` when the queue, or the broker, has gone.
    async fn next(&mut self, count_max: usize, len_max: usize) -> Result<Vec<Vec<u8>>>;

    /// Binds the queue again: a broker tells nobody that a binding went, or the exchange with it. Fails as [`Subscriptions::subscribe`].
    async fn bind_again(&mut self) -> Result<()>;

    /// Lets the broker forget all that was handed out so far.
    async fn acknowledge(&mut self) -> Result<()>;
}
