//! A login over AMQP, as a lent user would make it: does it work?

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::{AsyncRead, AsyncWrite, Stream};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::uri::{AMQPAuthority, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, ErrorKind};
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
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

    /// None: users knock without TLS.
    fn transport_tls(&self) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>> {
        if self.scheme != AMQPScheme::AMQPS {
            return Ok(None);
        }
        let name = ServerName::try_from(self.host.clone());
        let name = name.map_err(|e| Error::invalid("no certificate can have the broker's name").because(e))?;
        Ok(Some((Arc::new(self.tls.client_config()?), name)))
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
        let tls = self.transport_tls().map_err(|e| Error::unavailable(SILENT).because(e))?;
        let transport = Transport { tokio: Tokio::current(), tls, socket: Arc::default() };
        let _attempt = Attempt(transport.socket.clone());
        let runtime = Runtime::new(RuntimeParts::new(Tokio::current(), transport));
        let properties = ConnectionProperties::default().with_connection_name("keylender login probe".into());
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
            Ok(connection) => {
                // The answer is known; that the farewell fails changes nothing.
                let _ = connection.close(200, "verified".into()).await;
                Ok(true)
            }
            Err(error) if is_refusal(&error) => Ok(false),
            Err(error) => Err(Error::unavailable(SILENT).because(error)),
        }
    }
}

/// The socket of an attempt, once there is one. It is shut when the attempt is over, whichever way: a broker that
/// accepts and then says nothing would otherwise keep lapin's thread for ever.
struct Attempt(Socket);

type Socket = Arc<Mutex<Option<std::net::TcpStream>>>;

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It may be closed already, which is as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// How lapin reaches the broker: over TLS of our own. What lapin brings for it would bring PKCS#12, and with that a second
/// set of old ciphers.
#[derive(Clone, Debug)]
struct Transport {
    tokio: Tokio,
    /// None: without TLS.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    socket: Socket,
}

/// What is read and written, with or without TLS.
trait Wire: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Wire for T {}

impl Transport {
    async fn connect(self, address: SocketAddr) -> io::Result<Compat<Box<dyn Wire>>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.as_fd().try_clone_to_owned()?.into());
        let wire: Box<dyn Wire> = match self.tls {
            Some((config, name)) => Box::new(TlsConnector::from(config).connect(name, stream).await?),
            None => Box::new(stream),
        };
        Ok(wire.compat())
    }
}

impl Reactor for Transport {
    type TcpStream = Compat<Box<dyn Wire>>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.tokio.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.tokio.sleep(duration)
    }

    fn interval(&self, period: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(period)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        self.clone().connect(address)
    }
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
