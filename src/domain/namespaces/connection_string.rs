//! What a client needs to reach the broker, in one line.

use crate::base::text::url_encoded;
use crate::base::{AccountName, Secret, VhostName};

/// How clients reach the broker.
#[derive(Clone, Debug)]
pub struct Amqp {
    /// `amqp://` or `amqps://`.
    pub protocol: String,
    /// The host as clients see it.
    pub hostname: String,
    /// The port as clients see it.
    pub port: u16,
    pub vhost: VhostName,
    /// What follows the vhost, for the libraries of clients, such as `frameMax=8192`; mostly empty.
    pub query: String,
}

impl Amqp {
    /// The address without a user, to try a login.
    pub fn url(&self) -> String {
        let Self { protocol, hostname, port, vhost, .. } = self;
        format!("{protocol}{hostname}:{port}/{}", url_encoded(vhost.as_str()))
    }

    /// The connection string of a user in the vhost that it may enter (taskcluster.md 6.2). Only the vhost is escaped: names and passwords of ours
    /// need no escape.
    pub fn connection_string(&self, account: &AccountName, password: &Secret, vhost: &VhostName) -> Secret {
        let Self { protocol, hostname, port, query, .. } = self;
        let (vhost, mark) = (url_encoded(vhost.as_str()), if query.is_empty() { "" } else { "?" });
        Secret::new(format!("{protocol}{account}:{}@{hostname}:{port}/{vhost}{mark}{query}", password.expose()))
    }
}
