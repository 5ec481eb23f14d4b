//! The messages of queues, over AMQP.

use async_trait::async_trait;

use super::ManagementBroker;
use crate::base::{Error, Result, VhostName};
use crate::ports::amqp::{AmqpDoor, AmqpDrain, AmqpPublisher, Confirmed};
use crate::ports::broker::messages::{BATCH_LEN_MAX, BATCH_MAX, Drain, Message, Messages, Published, Publisher};
use crate::ports::broker::names::require_reachable;
use crate::ports::broker::topology::Topology;

/// The type of a queue where the broker does not tell any: what was there before there were types.
const CLASSIC: &str = "classic";

#[async_trait]
impl Messages for ManagementBroker {
    async fn drain(&self, vhost: &VhostName, queue: &str) -> Result<Box<dyn Drain>> {
        let door = self.door()?;
        require_reachable(queue)?;
        let told = self.queue(vhost, queue).await?.ok_or_else(|| Error::not_found("the broker has no such queue"))?;
        let login = self.http.logins.present();
        let kind = told.kind.as_deref().unwrap_or(CLASSIC);
        let average = told.bytes.zip(told.messages).and_then(|(bytes, messages)| bytes.checked_div(messages));
        Ok(Box::new(door.drain(login.login(), vhost, queue, kind, average).await?))
    }

    async fn publisher(&self, vhost: &VhostName, queue: &str) -> Result<Box<dyn Publisher>> {
        let login = self.http.logins.present();
        let (user, password) = login.login();
        Ok(Box::new(self.door()?.publisher(user, password, vhost, queue).await?))
    }
}

impl ManagementBroker {
    pub(super) fn door(&self) -> Result<&AmqpDoor> {
        self.door.as_ref().ok_or_else(|| Error::unavailable("there is no way to the broker over AMQP"))
    }
}

#[async_trait]
impl Drain for AmqpDrain {
    async fn next(&mut self) -> Result<Vec<Message>> {
        Self::next(self, BATCH_MAX, BATCH_LEN_MAX).await
    }

    async fn acknowledge(&mut self) -> Result<()> {
        Self::acknowledge(self).await
    }

    async fn end(self: Box<Self>) -> Result<u64> {
        Self::end(*self).await
    }
}

#[async_trait]
impl Publisher for AmqpPublisher {
    async fn publish(&mut self, messages: &[Message]) -> Published {
        let Confirmed { confirmed, changed, failed } = Self::publish(self, messages).await;
        Published { confirmed, changed, failed }
    }

    async fn end(self: Box<Self>) {
        Self::end(*self).await;
    }
}
