//! What a client needs to reach the broker, in one line.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::base::{AccountName, Secret, VhostName};

/// What stays as it is in the vhost's part: RFC 3986's unreserved characters.
const VHOST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
}

impl Amqp {
    /// The address without a user, to try a login.
    pub fn url(&self) -> String {
        let Self { protocol, hostname, port, vhost } = self;
        format!("{protocol}{hostname}:{port}/{}", utf8_percent_encode(vhost.as_str(), VHOST))
    }

    /// The connection string of a user in the vhost that it may enter (taskcluster.md 6.2). Only the vhost is escaped: names and passwords of ours
    /// need no escape.
    pub fn connection_string(&self, account: &AccountName, password: &Secret, vhost: &VhostName) -> Secret {
        let Self { protocol, hostname, port, .. } = self;
        let vhost = utf8_percent_encode(vhost.as_str(), VHOST);
        Secret::new(format!("{protocol}{account}:{}@{hostname}:{port}/{vhost}", password.expose()))
    }
}
