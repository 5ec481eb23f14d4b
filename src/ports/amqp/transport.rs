//! How lapin reaches the broker: over TLS of our own, and never longer than it is waited for.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::Reactor;
use futures_util::{AsyncRead, AsyncWrite, Stream};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::valve::Valve;

/// The socket of an attempt, once there is one. It is shut when the attempt is over, whichever way: a broker that
/// accepts and then says nothing would otherwise keep lapin's thread for ever.
pub(super) struct Attempt(Socket);

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
pub(super) struct Transport {
    tokio: Tokio,
    /// None: without TLS.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    socket: Socket,
    valve: Valve,
}

/// What is read and written, with or without TLS.
pub trait Wire: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Wire for T {}

impl Transport {
    /// With what ends it, and what holds it back.
    pub fn new(tls: Option<(Arc<ClientConfig>, ServerName<'static>)>) -> (Self, Attempt, Valve) {
        let transport = Self { tokio: Tokio::current(), tls, socket: Arc::default(), valve: Valve::default() };
        let (attempt, valve) = (Attempt(transport.socket.clone()), transport.valve.clone());
        (transport, attempt, valve)
    }

    async fn connect(self, address: SocketAddr) -> io::Result<Compat<Box<dyn Wire>>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.as_fd().try_clone_to_owned()?.into());
        let wire: Box<dyn Wire> = match self.tls {
            Some((config, name)) => Box::new(TlsConnector::from(config).connect(name, stream).await?),
            None => Box::new(stream),
        };
        let wire: Box<dyn Wire> = Box::new(self.valve.on(wire));
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
