//! The messages of a queue, taken out in order.
//!
//! A stream hands out copies: it has them all as before, knows each by its offset, and closes the connection of who asks for
//! single ones or gives some back (rabbitmq-versions.md). Where it ends is told by what it hands out from its last chunk on, for
//! its count is one of chunks and of what is no message.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use tokio::time::timeout;

use super::depth::{ask, soft};
use super::message::{Message, QueueKind, stream_offset, taken};
use super::{AmqpDoor, SILENT, Session, within};
use crate::base::{Error, Result, Secret, VhostName};

/// Messages that the broker hands out ahead of what we acknowledged: a batch that is made durable, and the next one. It is
/// less where they are long on average, and how many of them are in memory, the valve decides.
const PREFETCH_MAX: u16 = 2000;
/// Bytes that it may hand out ahead, by the average: what it sent has to be read before it hears that we are done.
const PREFETCH_LEN_MAX: u64 = 8 << 20;
/// How long a queue that has messages may hand out none. A busy broker takes a second.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// How long a batch waits for one more message, once it has some.
const LINGER: Duration = Duration::from_millis(20);
/// How long the last chunk of a stream is silent before it was the last.
const STREAM_IDLE: Duration = Duration::from_millis(700);
/// For each question to the broker.
const DEADLINE: Duration = Duration::from_secs(20);

/// Messages on their way out of a queue. The connection is cut when this goes, and then the broker has what was not
/// acknowledged.
pub struct AmqpDrain {
    session: Session,
    channel: Channel,
    consumer: Consumer,
    queue: String,
    kind: QueueKind,
    left: Left,
    /// The delivery that was handed out last and not acknowledged.
    last_tag: Option<u64>,
}

/// What is left of what was there when it began.
enum Left {
    /// So many messages.
    Messages(u64),
    /// Up to this offset; `None` when there was nothing. And whether that was handed out.
    Stream { last: Option<u64>, is_over: bool },
}

/// The number that stands for all deliveries that were not acknowledged (AMQP 0-9-1, 1.8.3.13).
const EVERYTHING: u64 = 0;
/// Where a consumer of a stream begins.
const FIRST: &str = "first";
const LAST: &str = "last";

impl AmqpDoor {
    /// Begins to take what is in a queue now. `kind` is its type, as the broker tells it, and `average` how many bytes its
    /// messages have, if that is known.
    pub async fn drain(
        &self,
        (user, password): (&str, &Secret),
        vhost: &VhostName,
        queue: &str,
        kind: &str,
        average: Option<u64>,
    ) -> Result<AmqpDrain> {
        let kind = match kind {
            "stream" => QueueKind::Stream,
            "quorum" => QueueKind::Quorum,
            _ => QueueKind::Classic,
        };
        let prefetch = average.map_or(PREFETCH_MAX, prefetch);
        let session = within(DEADLINE, self.enter(user, password, vhost, DEADLINE).boxed()).await?;
        let begun = async {
            let depth = ask(&session, queue).await?.ok_or_else(|| Error::not_found("the broker has no such queue"))?;
            let (left, from) = match kind {
                QueueKind::Stream => {
                    let last = last_offset(&session, queue).await?;
                    (Left::Stream { last, is_over: last.is_none() }, Some(FIRST))
                }
                _ => (Left::Messages(depth.ready), None),
            };
            let (channel, consumer) = consume(&session, queue, prefetch, from).await?;
            Ok((left, channel, consumer))
        };
        let (left, channel, consumer) = within(DEADLINE, begun.boxed()).await?;
        Ok(AmqpDrain { session, channel, consumer, queue: queue.to_owned(), kind, left, last_tag: None })
    }
}

impl AmqpDrain {
    /// The next messages, so many and of so many bytes at most; one is handed out whatever its length. None when there are no
    /// more of those that were there at the beginning.
    pub async fn next(&mut self, count_max: usize, len_max: usize) -> Result<Vec<Message>> {
        let (mut batch, mut len) = (Vec::new(), 0);
        while batch.len() < count_max && len < len_max && !self.is_over() {
            let patience = if batch.is_empty() { IDLE_MAX } else { LINGER };
            match self.delivery(patience).await? {
                Some(delivery) if self.is_behind_the_end(&delivery) => break,
                Some(delivery) => {
                    self.last_tag = Some(delivery.delivery_tag);
                    let message = taken(delivery, self.kind)?;
                    self.count(&message)?;
                    len += message.body.len();
                    batch.push(message);
                }
                None if batch.is_empty() => self.require_nothing_left().await?,
                None => break,
            }
        }
        Ok(batch)
    }

    /// Lets the broker forget what was handed out so far.
    pub async fn acknowledge(&mut self) -> Result<()> {
        let Some(tag) = self.last_tag.take() else { return Ok(()) };
        let all = BasicAckOptions { multiple: true };
        let told = async { self.channel.basic_ack(tag, all).await.map_err(failed) };
        within(DEADLINE, told.boxed()).await
    }

    /// Ends it. How many messages wait in the queue; of a stream, how many came behind the last one.
    pub async fn end(mut self) -> Result<u64> {
        let asked = async {
            self.leave().await?;
            let left = match self.left {
                Left::Messages(_) => ask(&self.session, &self.queue).await?.map_or(0, |depth| depth.ready),
                Left::Stream { last, .. } => {
                    let now = last_offset(&self.session, &self.queue).await?;
                    now.map_or(0, |now| now + 1).saturating_sub(last.map_or(0, |last| last + 1))
                }
            };
            // What we asked is known; that the farewell fails changes nothing.
            let _ = self.session.connection.close(200, "taken".into()).await;
            Ok(left)
        };
        within(DEADLINE, asked.boxed()).await
    }

    /// Gives back what was handed out and not acknowledged, and ends the channel. It would be given back by that, too; but that
    /// counts as a failure where quorum queues tell the two apart (4.3), and after so many the broker drops a message. A
    /// stream has everything anyway, and closes the connection of who gives something back. The answers come behind what was
    /// sent ahead, so that is read, and let go.
    async fn leave(&mut self) -> Result<()> {
        let (channel, tag) = (self.channel.clone(), self.consumer.tag());
        let is_stream = self.kind == QueueKind::Stream;
        let leaving = async move {
            if !is_stream {
                channel.basic_cancel(tag, BasicCancelOptions::default()).await?;
                let all = BasicNackOptions { multiple: true, requeue: true };
                channel.basic_nack(EVERYTHING, all).await?;
            }
            channel.close(200, "taken".into()).await
        };
        self.session.valve.open();
        let ahead = async {
            while self.consumer.next().await.is_some() {}
            // The consumer has ended, which the other side says at length.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            left = leaving => left.map_err(failed),
            () = ahead => Ok(()),
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.left, Left::Messages(0) | Left::Stream { is_over: true, .. })
    }

    /// The next delivery, or none within some time.
    async fn delivery(&mut self, patience: Duration) -> Result<Option<Delivery>> {
        if let Some(delivery) = self.consumer.next().now_or_never() {
            return handed_out(delivery).map(Some);
        }
        self.session.valve.open();
        let delivery = timeout(patience, self.consumer.next()).await;
        self.session.valve.shut();
        delivery.ok().map(handed_out).transpose()
    }

    /// Whether it came to a stream after this began.
    fn is_behind_the_end(&mut self, delivery: &Delivery) -> bool {
        let Left::Stream { last, is_over } = &mut self.left else { return false };
        *is_over = stream_offset(&delivery.properties) > *last;
        *is_over
    }

    fn count(&mut self, message: &Message) -> Result<()> {
        match &mut self.left {
            Left::Messages(left) => *left -= 1,
            Left::Stream { last, is_over } => {
                if message.offset.is_none() {
                    return Err(Error::unavailable("a stream hands out messages without their offsets"));
                }
                *is_over = message.offset == *last;
            }
        }
        Ok(())
    }

    /// After a silence: fine when somebody else took the rest.
    async fn require_nothing_left(&mut self) -> Result<()> {
        let depth = within(DEADLINE, ask(&self.session, &self.queue).boxed()).await?;
        match (&mut self.left, depth) {
            (_, None) => Err(Error::unavailable("the queue was deleted while it was taken")),
            (Left::Messages(left), Some(depth)) if depth.ready == 0 => {
                *left = 0;
                Ok(())
            }
            _ => Err(Error::unavailable("the queue has messages and hands none out")
                .because("a consumer that is the only active one, or a broker that is in trouble")),
        }
    }
}

fn prefetch(average: u64) -> u16 {
    let count = PREFETCH_LEN_MAX / average.max(1);
    u16::try_from(count).unwrap_or(PREFETCH_MAX).clamp(1, PREFETCH_MAX)
}

fn failed(error: lapin::Error) -> Error {
    match soft(&error) {
        Some(AMQPSoftError::ACCESSREFUSED) => Error::unavailable("the broker does not let us read the queue")
            .because(format!("our administrator needs the right to read in the vhost: {error}")),
        _ => Error::unavailable(SILENT).because(error),
    }
}

fn handed_out(delivery: Option<lapin::Result<Delivery>>) -> Result<Delivery> {
    match delivery {
        Some(delivery) => delivery.map_err(failed),
        None => Err(Error::unavailable("the broker ended our consumer: the queue was deleted, or its node is down")),
    }
}

/// A consumer on a channel of its own. The prefetch is per consumer, which means the same in all versions
/// (rabbitmq-versions.md, A11); of a stream it is demanded.
async fn consume(session: &Session, queue: &str, prefetch: u16, from: Option<&str>) -> Result<(Channel, Consumer)> {
    let channel = session.connection.create_channel().await.map_err(failed)?;
    channel.basic_qos(prefetch, BasicQosOptions { global: false }).await.map_err(failed)?;
    let mut arguments = FieldTable::default();
    if let Some(from) = from {
        arguments.insert("x-stream-offset".into(), AMQPValue::LongString(from.into()));
    }
    // What was read until now was taken.
    session.valve.open();
    session.valve.shut();
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(queue.into(), "".into(), options, arguments).await.map_err(failed)?;
    Ok((channel, consumer))
}

/// The offset of the last message of a stream; `None` when it has none.
async fn last_offset(session: &Session, queue: &str) -> Result<Option<u64>> {
    let (channel, mut consumer) = consume(session, queue, PREFETCH_MAX, Some(LAST)).await?;
    let mut last = None;
    loop {
        session.valve.open();
        let Ok(delivery) = timeout(STREAM_IDLE, consumer.next()).await else { break };
        let delivery = handed_out(delivery)?;
        last = last.max(stream_offset(&delivery.properties));
        let one = BasicAckOptions { multiple: false };
        channel.basic_ack(delivery.delivery_tag, one).await.map_err(failed)?;
    }
    channel.close(200, "seen".into()).await.map_err(failed)?;
    Ok(last)
}
