//! Listeners: the network, and the control socket for users of this host. Every wait has an end.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use futures_util::StreamExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::tls::TlsDoor;
use crate::base::{Error, Result};
use crate::proto::proxy_header;
use crate::web::peer::{Connection, TrustProxy};
use crate::web::per_address::{AddressPermit, PerAddress};

/// Connections to the control socket at once: people and their scripts.
pub(super) const CONTROL_CONNECTIONS_MAX: usize = 64;
/// Bytes of a request's head: an Authorization header of 4096 characters and a long target fit several times.
const HEAD_LEN_MAX: usize = 32 << 10;
const HEADERS_MAX: usize = 100;
/// Requests at once on a connection of HTTP/2; more wait at the client. Each may have a body in memory.
const STREAMS_MAX: u32 = 32;
/// A pause after the kernel refuses a connection, as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| Error::unavailable(format!("cannot listen on {address}")).because(e))
}

/// Binds the control socket, which only this user and root can open. One that is left over is removed: the lock on
/// the store says that nobody serves it.
pub(super) fn bind_control(path: &Path) -> Result<UnixListener> {
    let cannot = |e: std::io::Error| {
        Error::unavailable("cannot make the control socket").because(format!("{}: {e}", path.display()))
    };
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(cannot(e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(cannot)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(cannot)?;
    Ok(listener)
}

pub(super) struct Door {
    pub router: Router,
    /// For a connection to ask something, or something more, and for a client to read its answer.
    pub patience: Duration,
    /// For a request to be answered.
    pub work_max: Duration,
    /// Connections at once; more wait in the kernel.
    pub connections_max: usize,
}

/// What a connection from the network goes through before it asks anything.
pub(super) struct Gate {
    /// For a PROXY header, and for a TLS handshake.
    pub patience: Duration,
    /// Whose word counts in the PROXY header that every connection begins with, if it does.
    pub proxies: Option<TrustProxy>,
    /// Hops that speak for many. They may have as many connections as there are, like those on this host.
    pub hops: TrustProxy,
    /// Connections of everybody else, by address.
    pub per_address: PerAddress,
    /// TLS, if it is spoken.
    pub tls: Option<Arc<TlsDoor>>,
}

/// A connection that was let in.
struct Guest {
    stream: Spoken,
    connection: Connection,
    _address_permit: Option<AddressPermit>,
}

enum Spoken {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Serves connections from the network until `stop`, then lets the requests in hand end.
pub(super) async fn serve_network(listener: TcpListener, door: Door, gate: Gate, stop: CancellationToken) {
    let (server, gate, graceful) = (Arc::new(Server::new(door)), Arc::new(gate), GracefulShutdown::new());
    while let Some((accepted, place)) = server.next(listener.accept(), &stop).await {
        let Ok((stream, address)) = accepted else { continue };
        // Answers are small and must not wait for more of them. A failure only makes them late.
        let _ = stream.set_nodelay(true);
        let (server, gate, watcher, stop) = (server.clone(), gate.clone(), graceful.watcher(), stop.clone());
        // Owned by the watcher: the shutdown awaits it.
        tokio::spawn(async move {
            let let_in = tokio::select! {
                biased;
                let_in = gate.let_in(stream, address) => let_in,
                () = stop.cancelled() => return,
            };
            match let_in {
                Ok(Guest { stream: Spoken::Plain(stream), connection, _address_permit }) => {
                    server.converse(stream, connection, watcher).await;
                }
                Ok(Guest { stream: Spoken::Tls(stream), connection, _address_permit }) => {
                    server.converse(stream, connection, watcher).await;
                }
                Err(why) => tracing::debug!("a connection from {address} was closed: {why}"),
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

impl Gate {
    async fn let_in(&self, mut stream: TcpStream, hop: SocketAddr) -> std::result::Result<Guest, String> {
        let address = match &self.proxies {
            None => hop,
            Some(proxies) => proxied(&mut stream, hop, proxies, self.patience).await?,
        };
        let ip = address.ip().to_canonical();
        let counted = (!ip.is_loopback() && !self.hops.includes(ip)).then_some(ip);
        let permit = counted.map(|ip| self.per_address.acquire(ip).ok_or("its address has too many connections"));
        let _address_permit = permit.transpose()?;
        let Some(tls) = &self.tls else {
            let connection = Connection::Network { address, tls: None };
            return Ok(Guest { stream: Spoken::Plain(stream), connection, _address_permit });
        };
        let (stream, secured) = tls.accept(stream, counted, self.patience).await?;
        let connection = Connection::Network { address, tls: Some(secured) };
        Ok(Guest { stream: Spoken::Tls(stream.into()), connection, _address_permit })
    }
}

/// Serves users of this host until `stop`.
pub(super) async fn serve_control(listener: UnixListener, door: Door, stop: CancellationToken) {
    let (server, graceful) = (Arc::new(Server::new(door)), GracefulShutdown::new());
    while let Some((accepted, place)) = server.next(listener.accept(), &stop).await {
        let Ok((stream, _)) = accepted else { continue };
        let user = stream.peer_cred().map_or("unknown".into(), |peer| format!("uid {}", peer.uid()));
        let (server, watcher) = (server.clone(), graceful.watcher());
        // Owned by the watcher: the shutdown awaits it.
        tokio::spawn(async move {
            server.converse(stream, Connection::Local { user: user.into() }, watcher).await;
            drop(place);
        });
    }
    graceful.shutdown().await;
}

/// For whom a proxy speaks, by the header before its first request. One that speaks for nobody asks for itself.
async fn proxied(
    stream: &mut TcpStream,
    hop: SocketAddr,
    proxies: &TrustProxy,
    patience: Duration,
) -> std::result::Result<SocketAddr, String> {
    if !proxies.includes(hop.ip().to_canonical()) {
        return Err("it is not a proxy of TRUST_PROXY".into());
    }
    let header = tokio::time::timeout(patience, read_header(stream)).await.map_err(|_| "no PROXY header in time")?;
    let header = header.map_err(|e| format!("no PROXY header: {e}"))?;
    let source = proxy_header::source(&header).map_err(|error| error.message().to_owned())?;
    Ok(source.unwrap_or(hop))
}

/// Reads a PROXY header and not a byte more.
async fn read_header(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut header = vec![0; proxy_header::LEN_MIN];
    stream.read_exact(&mut header).await?;
    while let Some(missing) = proxy_header::missing(&header) {
        let len = header.len();
        header.resize(len + missing, 0);
        stream.read_exact(&mut header[len..]).await?;
    }
    Ok(header)
}

async fn pause(error: &std::io::Error) {
    tracing::warn!("cannot accept a connection: {error}");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

struct Server {
    router: Router,
    builder: Builder<TokioExecutor>,
    patience: Duration,
    work_max: Duration,
    places: Arc<Semaphore>,
}

impl Server {
    fn new(door: Door) -> Self {
        let Door { router, patience, work_max, connections_max } = door;
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(patience)
            .max_buf_size(HEAD_LEN_MAX)
            .max_headers(HEADERS_MAX)
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(patience)
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(u32::try_from(HEAD_LEN_MAX).unwrap_or(u32::MAX));
        let places = Arc::new(Semaphore::new(connections_max));
        Self { router, builder, patience, work_max, places }
    }

    /// Waits for a place among the connections and for a connection; `None` when it is time to stop.
    async fn next<T>(
        &self,
        accept: impl Future<Output = std::io::Result<T>>,
        stop: &CancellationToken,
    ) -> Option<(std::io::Result<T>, OwnedSemaphorePermit)> {
        let accepted = async {
            let place = self.places.clone().acquire_owned().await.ok()?;
            Some((accept.await, place))
        };
        let (accepted, place) = tokio::select! {
            () = stop.cancelled() => return None,
            accepted = accepted => accepted?,
        };
        if let Err(error) = &accepted {
            pause(error).await;
        }
        Some((accepted, place))
    }

    async fn converse<S>(&self, stream: S, connection: Connection, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, in_flight) = (self.router.clone(), InFlight::default());
        let counted = in_flight.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(connection.clone());
            let answer = router.clone().oneshot(request);
            let (moving, counted) = (counted.clone(), counted.begin());
            async move {
                let answer = answer.await;
                drop(counted);
                answer.map(|answer| answer.map(|body| moving.watch(body)))
            }
        });
        let conversation = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        tokio::select! {
            ended = watcher.watch(conversation) => if let Err(error) = ended {
                // A client that went away, or spoke no HTTP: its own matter.
                tracing::debug!("a connection ended early: {error}");
            },
            () = in_flight.rests(self.patience, self.work_max) => {
                tracing::debug!("a connection asked nothing in time, or was not answered in time");
            }
        }
    }
}

/// How many requests of a connection are in hand. hyper itself limits neither the wait for the first byte, nor that of
/// an HTTP/2 connection between requests, nor that for a client to read its answer.
#[derive(Clone, Default)]
struct InFlight(watch::Sender<usize>);

impl InFlight {
    /// Counts a request until what is returned is dropped.
    fn begin(&self) -> InFlightGuard {
        self.0.send_modify(|count| *count += 1);
        InFlightGuard(self.0.clone())
    }

    /// A body of any length keeps its connection for as long as it is read: each part that leaves counts as a request would.
    fn watch(self, body: Body) -> Body {
        if body.size_hint().exact().is_some() {
            return body;
        }
        Body::from_stream(body.into_data_stream().inspect(move |_| self.0.send_modify(|_| ())))
    }

    /// Ends when for this long no request was begun, in hand or ended, and for `work_max` none was begun or ended.
    async fn rests(&self, patience: Duration, work_max: Duration) {
        let (mut count, mut waited) = (self.0.subscribe(), Duration::ZERO);
        loop {
            match tokio::time::timeout(patience, count.changed()).await {
                Ok(_) => waited = Duration::ZERO,
                Err(_) if *count.borrow() > 0 && waited + patience < work_max => waited += patience,
                Err(_) => return,
            }
        }
    }
}

struct InFlightGuard(watch::Sender<usize>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
