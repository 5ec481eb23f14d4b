//! How many messages a queue says that it has, now.

use std::time::Duration;

use futures_util::FutureExt;
use lapin::ErrorKind;
use lapin::options::QueueDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

use super::{AmqpDoor, SILENT, Session, within};
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
            let session = self.enter(user, password, vhost, deadline).await?;
            let depth = ask(&session, queue).await?;
            // What we asked is known; that the farewell fails changes nothing.
            let _ = session.connection.close(200, "counted".into()).await;
            Ok(depth)
        };
        within(deadline, asked.boxed()).await
    }
}

/// Asks a queue on a channel of its own, which is over when the broker has something against the question.
pub(super) async fn ask(session: &Session, queue: &str) -> Result<Option<Depth>> {
    let failed = |e: lapin::Error| Error::unavailable(SILENT).because(e);
    let channel = session.connection.create_channel().await.map_err(failed)?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    match channel.queue_declare(queue.into(), passive, Default::default()).await {
        Ok(told) => Ok(Some(Depth { ready: told.message_count().into(), consumers: told.consumer_count().into() })),
        Err(error) => match soft(&error) {
            Some(AMQPSoftError::NOTFOUND) => Ok(None),
            Some(AMQPSoftError::RESOURCELOCKED) => {
                Err(Error::conflict("the queue belongs to a connection").because(error))
            }
            _ => Err(failed(error)),
        },
    }
}

/// What the broker has against something that we asked for on a channel.
pub(super) fn soft(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}
