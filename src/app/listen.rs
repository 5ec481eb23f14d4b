//! Listeners: the network, and the control socket for users of this host. Every wait has an end.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::base::{Error, Result};
use crate::web::peer::Connection;

/// Connections at once; more wait in the kernel. Under the usual limit of open files with room for the broker's.
const CONNECTIONS_MAX: usize = 900;
/// Bytes of a request's head: an Authorization header of 4096 characters and a long target fit several times.
const HEAD_LEN_MAX: usize = 32 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 100;
/// Requests at once on a connection of HTTP/2; more wait at the client. Each may have a body in memory.
const STREAMS_MAX: u32 = 32;
/// A pause after the kernel refuses a connection, as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds the network listener.
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

/// Serves connections from the network until `stop`, then lets the requests in hand end.
pub(super) async fn serve_network(
    listener: TcpListener,
    router: Router,
    head_timeout: Duration,
    stop: CancellationToken,
) {
    let server = Server::new(router, head_timeout);
    loop {
        let Some(place) = server.place(&stop).await else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                // Answers are small and must not wait for more of them. A failure only makes them late.
                drop(stream.set_nodelay(true));
                server.serve(stream, Connection::Network { address, tls: false }, place);
            }
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    server.graceful.shutdown().await;
}

/// Serves users of this host until `stop`.
pub(super) async fn serve_control(
    listener: UnixListener,
    router: Router,
    head_timeout: Duration,
    stop: CancellationToken,
) {
    let server = Server::new(router, head_timeout);
    loop {
        let Some(place) = server.place(&stop).await else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let user = stream.peer_cred().map_or("unknown".into(), |peer| format!("uid {}", peer.uid()));
                server.serve(stream, Connection::Local { user: user.into() }, place);
            }
            Err(error) => pause(&error).await,
        }
    }
    server.graceful.shutdown().await;
}

async fn pause(error: &std::io::Error) {
    tracing::warn!("cannot accept a connection: {error}");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

struct Server {
    router: Router,
    builder: Builder<TokioExecutor>,
    /// For a connection to ask something, or something more.
    patience: Duration,
    places: Arc<Semaphore>,
    graceful: GracefulShutdown,
}

impl Server {
    fn new(router: Router, head_timeout: Duration) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
            .max_buf_size(HEAD_LEN_MAX)
            .max_headers(HEADERS_MAX)
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(head_timeout)
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(u32::try_from(HEAD_LEN_MAX).unwrap_or(u32::MAX));
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { router, builder, patience: head_timeout, places, graceful: GracefulShutdown::new() }
    }

    /// Waits for a place among the connections; `None` when it is time to stop.
    async fn place(&self, stop: &CancellationToken) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            () = stop.cancelled() => None,
            place = self.places.clone().acquire_owned() => place.ok(),
        }
    }

    fn serve<S>(&self, stream: S, connection: Connection, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, in_hand) = (self.router.clone(), InHand::default());
        let counted = in_hand.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(connection.clone());
            let answer = router.clone().oneshot(request);
            let counted = counted.begin();
            async move {
                let answer = answer.await;
                drop(counted);
                answer
            }
        });
        let conversation = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let (conversation, patience) = (self.graceful.watcher().watch(conversation), self.patience);
        // Owned by the watcher: the shutdown awaits it.
        tokio::spawn(async move {
            tokio::select! {
                ended = conversation => if let Err(error) = ended {
                    // A client that went away, or spoke no HTTP: its own matter.
                    tracing::debug!("a connection ended early: {error}");
                },
                () = in_hand.rests(patience) => tracing::debug!("a connection asked nothing in time"),
            }
            drop(place);
        });
    }
}

/// How many requests of a connection are in hand. hyper itself limits neither the wait for the first byte, nor that of
/// an HTTP/2 connection between requests, nor that for a client to read its answer.
#[derive(Clone, Default)]
struct InHand(watch::Sender<usize>);

impl InHand {
    /// Counts a request until what is returned is dropped.
    fn begin(&self) -> InHandGuard {
        self.0.send_modify(|count| *count += 1);
        InHandGuard(self.0.clone())
    }

    /// Ends when no request was begun, in hand or ended for this long.
    async fn rests(&self, patience: Duration) {
        let mut count = self.0.subscribe();
        while tokio::time::timeout(patience, count.changed()).await.is_ok() || *count.borrow() > 0 {}
    }
}

struct InHandGuard(watch::Sender<usize>);

impl Drop for InHandGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
