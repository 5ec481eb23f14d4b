//! The port of a proxy that is attached to an appliance: who may ask is let in, and every byte goes to the session's own
//! listener and back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy_buf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::base::Clock;
use crate::base::rate::RateLimit;
use crate::web::proxy::Peers;

/// Connections at once: those that the session's listener takes, but for the one by which we know that it is there. More
/// wait in the kernel.
const CONNECTIONS_MAX: usize = 255;
/// Bytes that are read at once, twice for each connection.
const READ_LEN: usize = 64 << 10;
/// For a session that is being opened anew, and for its listener.
const REACH_PATIENCE: Duration = Duration::from_secs(5);
/// For the request that is answered with [`AWAY`].
const AWAY_PATIENCE: Duration = Duration::from_secs(1);
/// Rejected connections that the log tells: whoever is rejected may come as often as they like.
const REJECTED_PER_MINUTE: u32 = 10;
/// A pause after the kernel refuses a connection, as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What is answered while there is no session.
const AWAY: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
                    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 54\r\n\r\n\
                    the appliance of this proxy has no session for it now\n";

/// Where the session is asked now; nothing while that is being found out.
pub(super) type Door = watch::Sender<Option<SocketAddr>>;

/// What all connections share.
pub(super) struct Passage {
    /// Where they go.
    pub door: Door,
    /// Called when nobody is there.
    pub missed: Notify,
    peers: Peers,
    clock: Clock,
    places: Arc<Semaphore>,
    rejected: RateLimit<()>,
}

impl Passage {
    pub fn new(peers: Peers, clock: Clock) -> Self {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (door, missed, rejected) = (Door::new(None), Notify::new(), RateLimit::new(REJECTED_PER_MINUTE));
        Self { door, missed, peers, clock, places, rejected }
    }

    /// Lets in who may ask, for ever.
    pub async fn let_in(self: Arc<Self>, listener: TcpListener) {
        loop {
            let place = self.places.clone().acquire_owned().await.ok();
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let this = self.clone();
            // Ended by either end of it, or with the process.
            tokio::spawn(async move {
                this.converse(stream).await;
                drop(place);
            });
        }
    }

    async fn converse(&self, client: TcpStream) {
        let admitted = match (client.peer_addr(), client.local_addr()) {
            (Ok(peer), Ok(ours)) => self.peers.admit(peer, ours).await,
            (Err(error), _) | (_, Err(error)) => Err(format!("a connection without an address: {error}")),
        };
        if let Err(why) = admitted {
            if self.rejected.admit((), self.clock.elapsed()).is_ok() {
                tracing::warn!("Rejected connection: {why}");
            }
            return;
        }
        let passed = match self.reach().await {
            Some(session) => pass(client, session).await,
            None => say_away(client).await,
        };
        if let Err(error) = passed {
            // Either end went away: their own matter.
            tracing::debug!("a connection ended early: {error}");
        }
    }

    /// The listener of the session. When nobody is there, the session is looked after, and tried once more.
    async fn reach(&self) -> Option<TcpStream> {
        let mut door = self.door.subscribe();
        for _ in 0..2 {
            let address = (*timeout(REACH_PATIENCE, door.wait_for(Option::is_some)).await.ok()?.ok()?)?;
            // Only while it is still there: its port may be anybody's as soon as it is gone.
            if let Ok(Ok(stream)) = timeout(REACH_PATIENCE, TcpStream::connect(address)).await
                && *door.borrow() == Some(address)
            {
                return Some(stream);
            }
            self.door.send_if_modified(|open| {
                let is_same = *open == Some(address);
                *open = open.filter(|_| !is_same);
                is_same
            });
            self.missed.notify_one();
        }
        None
    }
}

/// Passes bytes both ways until the session has said everything: it waits for no task that keeps its end open.
async fn pass(client: TcpStream, session: TcpStream) -> io::Result<()> {
    // Answers are small and must not wait for more of them. A failure only makes them late.
    let _ = (client.set_nodelay(true), session.set_nodelay(true));
    let (client_read, mut client_write) = client.into_split();
    let (session_read, mut session_write) = session.into_split();
    let asking = async {
        // How it ends is seen by what the session says then.
        let _ = hand_on(client_read, &mut session_write).await;
        std::future::pending().await
    };
    tokio::select! {
        answered = hand_on(session_read, &mut client_write) => answered,
        () = asking => Ok(()),
    }
}

async fn hand_on(from: OwnedReadHalf, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    copy_buf(&mut BufReader::with_capacity(READ_LEN, from), to).await?;
    to.shutdown().await
}

/// Says that there is no session, when something was asked: an answer before that could get lost.
async fn say_away(mut client: TcpStream) -> io::Result<()> {
    let mut asked = vec![0; READ_LEN];
    timeout(AWAY_PATIENCE, client.read(&mut asked)).await??;
    client.write_all(AWAY.as_bytes()).await?;
    client.shutdown().await
}
