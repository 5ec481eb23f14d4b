//! The broker over AMQP, as its clients reach it: does a login work, what does a queue say of itself, and its messages, taken
//! out and published.

mod depth;
mod drain;
mod message;
mod publish;
mod subscription;
mod transport;
mod tunnel;
mod valve;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::uri::{AMQPAuthority, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, ErrorKind};
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use url::Url;

use super::resolve::Resolver;
use super::tls::{Tls, install_crypto};
use crate::base::{Error, Result, Secret, VhostName};
pub use depth::Depth;
pub use drain::AmqpDrain;
pub use message::{Message, Properties};
pub use publish::{AmqpPublisher, Confirmed};
pub use subscription::{AmqpSubscriber, Subscription};
use transport::{Attempt, Transport};
pub use tunnel::Bare;
use valve::Valve;

const SILENT: &str = "the broker does not answer";

/// A connection, which is cut when this goes.
struct Session {
    connection: Connection,
    /// Holds back what the broker sends, for who takes messages.
    valve: Valve,
    _attempt: Attempt,
}

/// Where users of the broker log in.
#[derive(Clone)]
pub struct AmqpDoor {
    scheme: AMQPScheme,
    host: String,
    port: u16,
    vhost: String,
    tls: Tls,
    /// Read once: it is the same for every connection.
    client_config: Arc<OnceLock<Arc<ClientConfig>>>,
    resolver: Resolver,
}

impl AmqpDoor {
    /// A door at `amqp://host:port/vhost` or `amqps://…`. The vhost is percent-encoded; without a path it is `/`.
    /// `Invalid` when the address is not one of these, or holds a login.
    pub fn new(url: &Url, tls: Tls, resolver: Resolver) -> Result<Self> {
        let expected =
            || Error::invalid("the broker's AMQP address must look like amqps://host:5671/vhost, without a login");
        let scheme: AMQPScheme = url.scheme().parse().map_err(|_| expected())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(expected());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(expected)?;
        let vhost = match url.path().strip_prefix('/') {
            None | Some("") => "/".to_owned(),
            Some(path) => percent_decode_str(path).decode_utf8().map_err(|_| expected())?.into_owned(),
        };
        let port = url.port().unwrap_or_else(|| scheme.default_port());
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { scheme, host, port, vhost, tls, client_config: Arc::default(), resolver })
    }

    /// Tries a login and leaves at once. True: it works. False: the broker refuses it, for the password or because
    /// the user may not use the vhost. `Unavailable` when there is no answer within the deadline.
    pub async fn verify_login(&self, user: &str, password: &Secret, deadline: Duration) -> Result<bool> {
        let attempt = async {
            let Some(Session { connection, .. }) = &self.log_in(user, password, &self.vhost, deadline).await? else {
                return Ok(false);
            };
            // The answer is known; that the farewell fails changes nothing.
            let _ = connection.close(200, "verified".into()).await;
            Ok(true)
        };
        within(deadline, attempt.boxed()).await
    }

    /// None: users knock without TLS.
    fn transport_tls(&self) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>> {
        if self.scheme != AMQPScheme::AMQPS {
            return Ok(None);
        }
        let name = ServerName::try_from(self.host.clone());
        let name = name.map_err(|e| Error::invalid("no certificate can have the broker's name").because(e))?;
        let config = match self.client_config.get() {
            Some(config) => config.clone(),
            None => {
                let read = Arc::new(self.tls.client_config()?);
                self.client_config.get_or_init(|| read).clone()
            }
        };
        Ok(Some((config, name)))
    }

    /// Logs in as our administrator does. `Unavailable` when that is refused, too.
    async fn enter(&self, user: &str, password: &Secret, vhost: &VhostName, deadline: Duration) -> Result<Session> {
        let session = self.log_in(user, password, vhost.as_str(), deadline).await?;
        session.ok_or_else(|| {
            Error::unavailable("the broker refuses our login over AMQP")
                .because("our administrator must be allowed to enter the vhost, too")
        })
    }

    /// Logs in; none when the broker refuses that.
    async fn log_in(&self, user: &str, password: &Secret, vhost: &str, deadline: Duration) -> Result<Option<Session>> {
        install_crypto();
        let addresses = self.resolver.addresses(&self.host).await?;
        let addresses: Vec<SocketAddr> = addresses.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect();
        let userinfo = AMQPUserInfo { username: user.to_owned(), password: password.expose().to_owned() };
        let uri = AMQPUri {
            scheme: self.scheme.clone(),
            authority: AMQPAuthority { userinfo, host: self.host.clone(), port: self.port },
            vhost: vhost.to_owned(),
            ..AMQPUri::default()
        };
        let tls = self.transport_tls().map_err(|e| Error::unavailable(SILENT).because(e))?;
        let (transport, attempt, valve) = Transport::new(tls);
        let runtime = Runtime::new(RuntimeParts::new(Tokio::current(), transport));
        let properties = ConnectionProperties::default().with_connection_name("keylender".into());
        // lapin connects on a thread of its own, which our caller's time-out does not reach.
        let connect = Connection::connector(
            uri,
            runtime,
            async move |_, runtime| {
                let connecting = AsyncTcpStream::connect(&runtime, addresses.clone());
                Ok(timeout(deadline, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?)
            },
            properties,
        );
        match connect.await {
            Ok(connection) => Ok(Some(Session { connection, valve, _attempt: attempt })),
            Err(error) if is_refusal(&error) => Ok(None),
            Err(error) => Err(Error::unavailable(SILENT).because(error)),
        }
    }
}

/// Gives work at the broker so long. It has no type of its own: lapin's are so deep that no future of ours could hold them.
async fn within<T>(deadline: Duration, work: BoxFuture<'_, Result<T>>) -> Result<T> {
    let late = || Error::unavailable(SILENT).because(format!("no answer within {} s", deadline.as_secs_f32()));
    timeout(deadline, work).await.unwrap_or_else(|_| Err(late()))
}

/// Whether the broker said no to this user: 403 to the password, 530 to the vhost (rabbitmq.md 2.2).
fn is_refusal(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(
        error.kind(),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(url: &str) -> Result<AmqpDoor> {
        AmqpDoor::new(&url.parse().unwrap(), Tls::default(), Resolver::system().unwrap())
    }

    #[test]
    fn an_address_names_scheme_host_port_and_vhost() {
        for (url, host, port, vhost) in [
            ("amqp://broker", "broker", 5672, "/"),
            ("amqps://broker/", "broker", 5671, "/"),
            ("amqp://[::1]:7/%2F", "::1", 7, "/"),
            ("amqp://127.0.0.1:7/a%20b", "127.0.0.1", 7, "a b"),
        ] {
            let door = door(url).unwrap();
            assert_eq!((door.host.as_str(), door.port, door.vhost.as_str()), (host, port, vhost), "{url}");
        }
        assert!(["http://broker", "amqp://u:p@broker", "amqp:///x"].into_iter().all(|url| door(url).is_err()));
    }
}
