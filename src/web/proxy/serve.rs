//! A listener of a session: connections are let in one by one and answered until the session ends.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::entrance::Entrance;
use super::trailers::{Tail, Trailing};
use super::tunnel::Tunnel;
use super::{Peers, Plane};
use crate::base::rate::RateLimit;

/// Connections to one session at once: a build with many threads, several times. More wait in the kernel.
const CONNECTIONS_MAX: usize = 256;
/// Bytes of a request's head, and of a body that are read at once. Less makes long bodies slow, more takes memory for each.
const READ_LEN_MAX: usize = 256 << 10;
const HEADERS_MAX: usize = 200;
/// For a client to send the head of a request, and between two of them.
const PATIENCE: Duration = Duration::from_secs(120);
/// Rejected connections that the log tells: whoever is rejected may come as often as they like.
const REJECTED_PER_MINUTE: u32 = 10;
/// A pause after the kernel refuses a connection, as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is spoken at an entrance.
#[derive(Clone)]
pub enum Face {
    /// HTTP.
    Http(Arc<Plane>),
    /// AMQP.
    Amqp(Arc<Tunnel>),
}

impl Face {
    fn plane(&self) -> &Plane {
        match self {
            Self::Http(plane) => plane,
            Self::Amqp(tunnel) => &tunnel.plane,
        }
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, peer: Arc<str>) {
        match self {
            Self::Http(plane) => converse(stream, peer, plane).await,
            Self::Amqp(tunnel) => tunnel.converse(stream, peer).await,
        }
    }
}

/// Answers until `stop`, then lets go of every connection at once: a session that is over answers nothing more.
pub async fn serve(entrance: Entrance, peers: Peers, face: Face, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let peers = Arc::new(peers);
    let rejected = Arc::new(RateLimit::new(REJECTED_PER_MINUTE));
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.ok();
            (accept(&entrance).await, place)
        };
        let (accepted, place) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = accepted => accepted,
        };
        let connection = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (face, peers, stop, rejected) = (face.clone(), peers.clone(), stop.clone(), rejected.clone());
        // Ended by the token, which whoever began the session holds.
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = connection.converse(&peers, face, &rejected) => {}
            }
            drop(place);
        });
    }
}

enum Accepted {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

async fn accept(entrance: &Entrance) -> io::Result<Accepted> {
    match entrance {
        Entrance::Port(listener) => {
            let (stream, _) = listener.accept().await?;
            // Answers are small and must not wait for more of them. A failure only makes them late.
            let _ = stream.set_nodelay(true);
            Ok(Accepted::Tcp(stream))
        }
        Entrance::Socket(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
    }
}

impl Accepted {
    async fn converse(self, peers: &Peers, face: Face, rejected: &RateLimit<()>) {
        let admitted = match &self {
            Self::Tcp(stream) => match (stream.peer_addr(), stream.local_addr()) {
                (Ok(peer), Ok(ours)) => peers.admit(peer, ours).await,
                (Err(error), _) | (_, Err(error)) => Err(format!("a connection without an address: {error}")),
            },
            Self::Unix(stream) => match stream.peer_cred() {
                Ok(user) => peers.admit_user(user.uid()),
                Err(error) => Err(format!("a connection of nobody: {error}")),
            },
        };
        match (admitted, self) {
            (Err(why), _) => {
                if rejected.admit((), face.plane().clock.elapsed()).is_ok() {
                    tracing::warn!("Rejected connection: {why}");
                }
            }
            (Ok(peer), Self::Tcp(stream)) => face.converse(stream, peer).await,
            (Ok(peer), Self::Unix(stream)) => face.converse(stream, peer).await,
        }
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, peer: Arc<str>, plane: Arc<Plane>) {
    let tail = Tail::default();
    let connection = Trailing::new(TokioIo::new(stream), tail.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (plane, peer, tail) = (plane.clone(), peer.clone(), tail.clone());
        async move { Ok::<_, Infallible>(plane.answer(&peer, request, &tail).await) }
    });
    let conversation = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(READ_LEN_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(connection, service)
        .with_upgrades();
    if let Err(error) = conversation.await {
        // A client that went away, or spoke no HTTP: its own matter.
        tracing::debug!("a connection ended early: {error}");
    }
}
