//! How many messages a queue says that it has, now.

use std::time::Duration;

use futures_util::FutureExt;
use lapin::ErrorKind;
use lapin::options::QueueDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

use super::{AmqpDoor, SILENT, within};
use crate::base::{Error, Result, Secret, VhostName};

/// What a queue says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait. Those that a consumer has in hand are not among them.
    pub ready: u64,
    /// Consumers.
    pub consumers: u64,
}

impl AmqpDoor {
    /// Asks a queue of a vhost by a passive declaration, which needs no permission but to enter the vhost. `None` when there
    /// is no such queue, or its node is down. `Conflict` when it belongs to another connection. `Unavailable` when there is no
    /// answer within the deadline, or when the login is refused.
    pub async fn depth(
        &self,
        user: &str,
        password: &Secret,
        vhost: &VhostName,
        queue: &str,
        deadline: Duration,
    ) -> Result<Option<Depth>> {
        let asked = async {
            let session = self.log_in(user, password, vhost.as_str(), deadline).await?;
            let Some(session) = session else {
                return Err(Error::unavailable("the broker refuses our login over AMQP")
                    .because("our administrator must be allowed to enter the vhost, too"));
            };
            let failed = |e: lapin::Error| Error::unavailable(SILENT).because(e);
            let channel = session.connection.create_channel().await.map_err(failed)?;
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let depth = match channel.queue_declare(queue.into(), passive, Default::default()).await {
                Ok(told) => Some(Depth { ready: told.message_count().into(), consumers: told.consumer_count().into() }),
                Err(error) => match soft(&error) {
                    Some(AMQPSoftError::NOTFOUND) => None,
                    Some(AMQPSoftError::RESOURCELOCKED) => {
                        return Err(Error::conflict("the queue belongs to a connection").because(error));
                    }
                    _ => return Err(failed(error)),
                },
            };
            // What we asked is known; that the farewell fails changes nothing.
            let _ = session.connection.close(200, "counted".into()).await;
            Ok(depth)
        };
        within(deadline, asked.boxed()).await
    }
}

/// What the broker has against the question.
fn soft(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}
