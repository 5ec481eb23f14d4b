//! Messages published into a queue, each confirmed by the broker.

use std::time::Duration;

use futures_util::FutureExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::protocol::AMQPSoftError;
use lapin::{Channel, Confirmation};
use tokio::time::timeout;

use super::depth::{ask, soft};
use super::message::{Message, publishable};
use super::{AmqpDoor, SILENT, Session, within};
use crate::base::{Error, Result, Secret, VhostName};

/// For a login and a question.
const DEADLINE: Duration = Duration::from_secs(20);
/// For a batch to be published and confirmed. A broker that is out of memory takes nothing at all for a while.
const CONFIRM_DEADLINE: Duration = Duration::from_secs(60);

/// Messages on their way into a queue.
pub struct AmqpPublisher {
    session: Session,
    channel: Channel,
    queue: String,
    /// Who we are: the broker lets nobody publish in the name of another user.
    user: String,
}

/// What became of messages that were published.
#[derive(Debug, Default)]
pub struct Confirmed {
    /// How many of the first ones the broker has.
    pub confirmed: usize,
    /// How many of them were published without something that the broker would have acted upon.
    pub changed: usize,
    /// Why it was not all of them.
    pub failed: Option<Error>,
}

impl AmqpDoor {
    /// Begins to publish into a queue, by the default exchange. `NotFound` when there is none.
    pub async fn publisher(
        &self,
        user: &str,
        password: &Secret,
        vhost: &VhostName,
        queue: &str,
    ) -> Result<AmqpPublisher> {
        let begun = async {
            let session = self.enter(user, password, vhost, DEADLINE).await?;
            ask(&session, queue).await?.ok_or_else(|| Error::not_found("the broker has no such queue"))?;
            let channel = session.connection.create_channel().await.map_err(failed)?;
            channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed)?;
            Ok(AmqpPublisher { session, channel, queue: queue.to_owned(), user: user.to_owned() })
        };
        within(DEADLINE, begun.boxed()).await
    }
}

impl AmqpPublisher {
    /// Publishes messages in their order, and waits until the broker has confirmed all of them.
    pub async fn publish(&mut self, messages: &[Message]) -> Confirmed {
        let mut done = Confirmed::default();
        let published = timeout(CONFIRM_DEADLINE, self.publish_all(messages, &mut done).boxed()).await;
        done.failed = match published {
            Ok(published) => published.err(),
            Err(_) => Some(Error::unavailable("the broker does not confirm what is published").because(format!(
                "no answer within {} s: it may be out of memory or disk space",
                CONFIRM_DEADLINE.as_secs()
            ))),
        };
        done
    }

    async fn publish_all(&self, messages: &[Message], done: &mut Confirmed) -> Result<()> {
        // Returned when the queue is gone, instead of lost.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let mut waiting = Vec::with_capacity(messages.len());
        for message in messages {
            let (properties, is_changed) = publishable(message.properties.decode()?, &self.user);
            let queue = self.queue.as_str().into();
            let sent = self.channel.basic_publish("".into(), queue, options, &message.body, properties);
            waiting.push((sent.await.map_err(failed)?, is_changed));
        }
        for (confirm, is_changed) in waiting {
            match confirm.await.map_err(failed)? {
                Confirmation::Ack(None) => {}
                Confirmation::Ack(Some(_)) => return Err(Error::not_found("the queue is gone")),
                Confirmation::Nack(_) | Confirmation::NotRequested => {
                    return Err(Error::unavailable("the queue takes no more messages")
                        .because("the broker refused one: the queue may have a limit"));
                }
            }
            done.confirmed += 1;
            done.changed += usize::from(is_changed);
        }
        Ok(())
    }

    /// Ends it.
    pub async fn end(self) {
        // All that was published is confirmed or given up; that the farewell fails changes nothing.
        let _ = timeout(DEADLINE, self.session.connection.close(200, "published".into()).boxed()).await;
    }
}

fn failed(error: lapin::Error) -> Error {
    match soft(&error) {
        Some(AMQPSoftError::ACCESSREFUSED) => Error::unavailable("the broker does not let us publish")
            .because(format!("our administrator needs the right to write in the vhost: {error}")),
        _ => Error::unavailable(SILENT).because(error),
    }
}
