//! Queues of our own, over AMQP.

use async_trait::async_trait;

use super::ManagementBroker;
use crate::base::{Result, VhostName};
use crate::ports::amqp::AmqpSubscriber;
use crate::ports::broker::subscriptions::{Subscriber, Subscription, Subscriptions};

#[async_trait]
impl Subscriptions for ManagementBroker {
    async fn subscribe(&self, vhost: &VhostName, wanted: &Subscription) -> Result<Box<dyn Subscriber>> {
        let login = self.http.logins.present();
        Ok(Box::new(self.door()?.subscribe(login.login(), vhost, wanted).await?))
    }
}

#[async_trait]
impl Subscriber for AmqpSubscriber {
    async fn next(&mut self, count_max: usize, len_max: usize) -> Result<Vec<Vec<u8>>> {
        Self::next(self, count_max, len_max).await
    }

    async fn bind_again(&mut self) -> Result<()> {
        Self::bind_again(self).await
    }

    async fn acknowledge(&mut self) -> Result<()> {
        Self::acknowledge(self).await
    }
}
