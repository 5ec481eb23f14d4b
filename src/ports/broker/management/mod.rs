//! The broker over RabbitMQ's management API.

mod call;
mod cluster;
mod connections;
mod credentials;
mod errors;
mod http;
mod identity;
mod messages;
mod places;
mod queue_limits;
mod resources;
mod subscriptions;
mod topology;
mod users;
mod wire;

use crate::base::Result;
use crate::ports::amqp::AmqpDoor;
use crate::ports::resolve::Resolver;

use http::Http;
pub use http::ManagementSettings;

/// A [`Broker`](super::Broker) on RabbitMQ 3.6 to 4.x. It connects when it is asked something, not before.
pub struct ManagementBroker {
    http: Http,
    /// Its other door, where queues tell of themselves and hand out messages.
    door: Option<AmqpDoor>,
}

impl ManagementBroker {
    /// A client for these settings. `Invalid` when the address or a certificate cannot be used.
    pub fn new(settings: &ManagementSettings, resolver: Resolver) -> Result<Self> {
        Ok(Self { http: Http::new(settings, resolver)?, door: None })
    }

    /// The same that also reaches queues themselves, at this door.
    #[must_use]
    pub fn with_door(self, door: AmqpDoor) -> Self {
        Self { door: Some(door), ..self }
    }
}
