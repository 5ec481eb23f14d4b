//! A queue of our own that is bound to somebody's exchange, and read for as long as we are there.

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use std::time::Duration;
use tokio::time::timeout;

use super::depth::soft;
use super::{AmqpDoor, SILENT, Session, within};
use crate::base::{Error, Result, Secret, VhostName};

/// Messages that the broker hands out ahead of what we acknowledged: some batches. How many bytes of them are in memory,
/// the valve decides.
const PREFETCH_MAX: u16 = 4000;
/// How long a batch waits for one more message, once it has some: a fraction of what nobody notices as late.
const LINGER: Duration = Duration::from_millis(5);
/// An exchange that there is not: what is sent there is gone.
const NOWHERE: &str = "keylender.nowhere";
/// For each question to the broker.
const DEADLINE: Duration = Duration::from_secs(20);

/// What is wanted: a queue of this name, which the broker keeps small, with what comes to an exchange under a routing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Our queue. It is a durable one of the type `classic`: it has one copy, of what nobody misses for long.
    pub queue: String,
    /// Whose messages it gets, too. It has to be there.
    pub exchange: String,
    /// With this routing key.
    pub key: String,
    /// Messages that wait there at most; the oldest make room.
    pub messages_max: u32,
    /// Bytes of their bodies, likewise.
    pub len_max: u32,
    /// After which a message that nobody read is dropped.
    pub message_ttl: Duration,
    /// After which without a reader the queue goes.
    pub expires: Duration,
}

impl Subscription {
    fn arguments(&self) -> FieldTable {
        let millis = |span: Duration| AMQPValue::LongLongInt(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
        let word = |word: &str| AMQPValue::LongString(word.into());
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), word("classic"));
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(self.messages_max.into()));
        arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(self.len_max.into()));
        // Said, or a policy of somebody's could have it refuse what comes.
        arguments.insert("x-overflow".into(), word("drop-head"));
        // A policy for all queues could have the oldest, when they make room, sent to where they came from.
        arguments.insert("x-dead-letter-exchange".into(), word(NOWHERE));
        arguments.insert("x-message-ttl".into(), millis(self.message_ttl));
        arguments.insert("x-expires".into(), millis(self.expires));
        arguments
    }
}

/// Messages as they come. The connection is cut when this goes, and then the broker has what was not acknowledged.
pub struct AmqpSubscriber {
    session: Session,
    channel: Channel,
    consumer: Consumer,
    wanted: Subscription,
    /// What was taken and not handed out yet, and its bytes.
    taken: Vec<Vec<u8>>,
    taken_len: usize,
    /// The delivery that was taken last and not acknowledged.
    last_tag: Option<u64>,
}

impl AmqpDoor {
    /// Makes the queue what it should be, and begins to read it.
    ///
    /// # Errors
    /// `NotFound` when the exchange is not there. `Conflict` when a queue of that name is there otherwise. `Unavailable` when
    /// the broker does not answer, or our administrator has no rights there.
    pub async fn subscribe(
        &self,
        (user, password): (&str, &Secret),
        vhost: &VhostName,
        wanted: &Subscription,
    ) -> Result<AmqpSubscriber> {
        let session = within(DEADLINE, self.enter(user, password, vhost, DEADLINE).boxed()).await?;
        let begun = async {
            let failed = |error| failed(wanted, error);
            let channel = session.connection.create_channel().await.map_err(failed)?;
            bind(&channel, wanted).await?;
            channel.basic_qos(PREFETCH_MAX, BasicQosOptions { global: false }).await.map_err(failed)?;
            session.valve.open();
            session.valve.shut();
            let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
            let queue = wanted.queue.as_str().into();
            let consumer = channel.basic_consume(queue, "keylender".into(), options, none).await.map_err(failed)?;
            Ok((channel, consumer))
        };
        let (channel, consumer) = within(DEADLINE, begun.boxed()).await?;
        let (wanted, taken) = (wanted.clone(), Vec::new());
        Ok(AmqpSubscriber { session, channel, consumer, wanted, taken, taken_len: 0, last_tag: None })
    }
}

impl AmqpSubscriber {
    /// The bodies of the next messages, so many and of so many bytes at most; one is handed out whatever its length. It waits
    /// until there is one, and may be abandoned at any time: what was taken by then is handed out by the next call.
    pub async fn next(&mut self, count_max: usize, len_max: usize) -> Result<Vec<Vec<u8>>> {
        self.session.valve.open();
        if self.taken.is_empty() {
            let first = self.consumer.next().await;
            self.take(first)?;
        }
        while self.taken.len() < count_max && self.taken_len < len_max {
            let next = match self.consumer.next().now_or_never() {
                Some(next) => next,
                // The valve is open: what is on its way may still come.
                None => match timeout(LINGER, self.consumer.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            self.take(next)?;
        }
        self.session.valve.shut();
        self.taken_len = 0;
        Ok(std::mem::take(&mut self.taken))
    }

    fn take(&mut self, delivery: Option<lapin::Result<Delivery>>) -> Result<()> {
        let ended = || Error::unavailable("the broker ended our consumer: the queue was deleted, or its node is down");
        let delivery = delivery.ok_or_else(ended)?.map_err(|error| Error::unavailable(SILENT).because(error))?;
        self.last_tag = Some(delivery.delivery_tag);
        self.taken_len += delivery.data.len();
        self.taken.push(delivery.data);
        Ok(())
    }

    /// Binds the queue again: a broker tells nobody that a binding went, or the exchange with it.
    pub async fn bind_again(&mut self) -> Result<()> {
        within(DEADLINE, bind(&self.channel, &self.wanted).boxed()).await
    }

    /// Lets the broker forget what was handed out so far. Not to be called after a call of [`Self::next`] that was abandoned.
    pub async fn acknowledge(&mut self) -> Result<()> {
        let Some(tag) = self.last_tag.take() else { return Ok(()) };
        let all = BasicAckOptions { multiple: true };
        let told =
            async { self.channel.basic_ack(tag, all).await.map_err(|error| Error::unavailable(SILENT).because(error)) };
        within(DEADLINE, told.boxed()).await
    }
}

/// Makes the queue what it should be, and binds it.
async fn bind(channel: &Channel, wanted: &Subscription) -> Result<()> {
    let failed = |error| failed(wanted, error);
    let (queue, durable) = (wanted.queue.as_str(), QueueDeclareOptions { durable: true, ..Default::default() });
    channel.queue_declare(queue.into(), durable, wanted.arguments()).await.map_err(failed)?;
    let (exchange, key) = (wanted.exchange.as_str().into(), wanted.key.as_str().into());
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(queue.into(), exchange, key, options, none).await.map_err(failed)
}

fn failed(wanted: &Subscription, error: lapin::Error) -> Error {
    let Subscription { queue, exchange, .. } = wanted;
    match soft(&error) {
        Some(AMQPSoftError::NOTFOUND) => Error::not_found(format!("the broker has no exchange `{exchange}` there")),
        Some(AMQPSoftError::PRECONDITIONFAILED) => {
            let message = format!("the queue `{queue}` is there with other arguments: delete it, and it is made anew");
            Error::conflict(message).because(error)
        }
        Some(AMQPSoftError::ACCESSREFUSED) => Error::unavailable(format!("the broker does not let us have `{queue}`"))
            .because(format!("our administrator needs rights in the vhost: {error}")),
        _ => Error::unavailable(SILENT).because(error),
    }
}
