//! The broker's other door: whether a login works where its users knock, over AMQP.

use std::borrow::Cow;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPAuthority, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, ErrorKind};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use url::Url;

use super::resolve::Resolver;
use super::tls::{Tls, install_crypto};
use crate::base::{Error, Result, Secret};

const SILENT: &str = "the broker does not answer";

/// Where users of the broker log in.
#[derive(Clone)]
pub struct AmqpDoor {
    scheme: AMQPScheme,
    host: String,
    port: u16,
    vhost: String,
    tls: Tls,
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
        Ok(Self { scheme, host, port, vhost, tls, resolver })
    }

    /// Tries a login and leaves at once. True: it works. False: the broker refuses it, for the password or because
    /// the user may not use the vhost. `Unavailable` when there is no answer within the deadline.
    pub async fn verify_login(&self, user: &str, password: &Secret, deadline: Duration) -> Result<bool> {
        install_crypto();
        match timeout(deadline, self.log_in(user, password, deadline)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::unavailable(SILENT).because(format!("no login within {} s", deadline.as_secs_f32()))),
        }
    }

    async fn log_in(&self, user: &str, password: &Secret, deadline: Duration) -> Result<bool> {
        let addresses = self.resolver.addresses(&self.host).await?;
        let addresses: Vec<SocketAddr> = addresses.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect();
        let userinfo = AMQPUserInfo { username: user.to_owned(), password: password.expose().to_owned() };
        let uri = AMQPUri {
            scheme: self.scheme.clone(),
            authority: AMQPAuthority { userinfo, host: self.host.clone(), port: self.port },
            vhost: self.vhost.clone(),
            ..AMQPUri::default()
        };
        let runtime = lapin::runtime::default_runtime().map_err(|e| Error::internal("starting an AMQP client", e))?;
        let (tls, is_tls) = (lapin_tls(&self.tls), self.scheme == AMQPScheme::AMQPS);
        let attempt = Attempt::default();
        let socket = attempt.0.clone();
        let properties = ConnectionProperties::default().with_connection_name("keylender login probe".into());
        // lapin connects on a thread of its own, which our caller's time-out does not reach.
        let connect = Connection::connector(
            uri,
            runtime,
            async move |uri, runtime| {
                let connecting = async {
                    let stream = AsyncTcpStream::connect(&runtime, addresses.clone()).await?;
                    if let AsyncTcpStream::Plain(stream) = &stream {
                        drop(socket.set(stream.get_ref().as_fd().try_clone_to_owned()?.into()));
                    }
                    if is_tls { stream.into_tls(&uri.authority.host, tls.as_ref()).await } else { Ok(stream) }
                };
                Ok(timeout(deadline, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?)
            },
            properties,
        );
        match connect.await {
            Ok(connection) => {
                // The answer is known; that the farewell fails changes nothing.
                drop(connection.close(200, "verified".into()).await);
                Ok(true)
            }
            Err(error) if is_refusal(&error) => Ok(false),
            Err(error) => Err(Error::unavailable(SILENT).because(error)),
        }
    }
}

/// The socket of an attempt, once there is one. It is shut when the attempt is over, whichever way: a broker that
/// accepts and then says nothing would otherwise keep lapin's thread for ever.
#[derive(Default)]
struct Attempt(Arc<OnceLock<TcpStream>>);

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(socket) = self.0.get() {
            // It may be closed already, which is as good.
            drop(socket.shutdown(Shutdown::Both));
        }
    }
}

fn lapin_tls(tls: &Tls) -> OwnedTLSConfig {
    let identity = tls.identity.as_ref().map(|identity| OwnedIdentity::PKCS8 {
        pem: identity.certificate.clone().into_bytes(),
        key: identity.key.expose().as_bytes().to_vec(),
    });
    OwnedTLSConfig { identity, cert_chain: tls.own_authorities().map(Cow::into_owned) }
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
