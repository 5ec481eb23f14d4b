//! The broker over RabbitMQ's management API.

mod call;
mod cluster;
mod connections;
mod credentials;
mod errors;
mod http;
mod identity;
mod resources;
mod topology;
mod users;
mod wire;

use crate::base::Result;
use crate::ports::resolve::Resolver;

use http::Http;
pub use http::ManagementSettings;

/// A [`Broker`](super::Broker) on RabbitMQ 3.6 to 4.x. It connects when it is asked something, not before.
pub struct ManagementBroker {
    http: Http,
}

impl ManagementBroker {
    /// A client for these settings. `Invalid` when the address or a certificate cannot be used.
    pub fn new(settings: &ManagementSettings, resolver: Resolver) -> Result<Self> {
        Ok(Self { http: Http::new(settings, resolver)? })
    }
}
