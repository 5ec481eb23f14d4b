//! The task proxy attached to an appliance: a session there that lasts as long as this process, asked at a port of our own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::appliance::{ALIVE_EVERY, Appliance, Opened, Wanted};
use super::passage::Passage;
use super::{Alone, Log, listen};
use crate::base::{Error, Kind, ProxySessionId, Result, Scope};
use crate::proto::proxy::go;
use crate::proto::proxy::upstream::Base;

/// Between two looks at the session. Who asks a port at which nobody listens causes one.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// For the listener of a session to let us in: it is on this host, or next to it.
const KNOCK_PATIENCE: Duration = Duration::from_secs(5);
/// A request that is nobody's call: it is answered from the record.
const KNOCK: &[u8] = b"GET /receipts HTTP/1.1\r\nHost: session\r\nConnection: close\r\n\r\n";
const LET_IN: &[u8] = b"HTTP/1.1 200";

impl Alone {
    /// Passes everything to a session of an appliance, until a signal or the appliance ends it. A session that the appliance
    /// lost, as by a restart, is opened anew with what it was opened with.
    ///
    /// # Errors
    /// With the reason of the appliance when it refuses the session, or when somebody ended it there.
    pub async fn attached(self, appliance: Appliance, wanted: Wanted) -> Result<()> {
        let mut signals = Signals::listen()?;
        let Self { clock, addresses, peers, log, .. } = self;
        log.say(&format!("Appliance: '{}'", appliance.url));
        let passage = Arc::new(Passage::new(peers, clock));
        let mut keeper = tokio::select! {
            biased;
            // One that is opened nevertheless ends when nobody says that its worker lives.
            () = signals.come() => return Ok(()),
            opened = Keeper::start(appliance, wanted, log.clone()) => opened?,
        };
        let outcome = tokio::select! {
            biased;
            () = signals.come() => Ok(()),
            outcome = keeper.keep(&passage) => outcome,
            outcome = serve(&addresses, &log, &passage) => outcome,
        };
        let closed = keeper.appliance.close(&keeper.session.id).await;
        outcome?;
        closed.map_err(|error| {
            let words = "the session could not be closed, and ends when this worker is not heard of";
            Error::new(error.kind(), words).because(error)
        })
    }
}

async fn serve(addresses: &[SocketAddr], log: &Log, passage: &Arc<Passage>) -> Result<()> {
    let mut listening = Vec::new();
    for address in addresses {
        let listener = listen(*address).await?;
        log.serving(*address);
        listening.push(passage.clone().let_in(listener));
    }
    join_all(listening).await;
    Ok(())
}

/// Signals that end the process, and with it the session.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|e| Error::internal("listening for signals", e));
        let [hangup, interrupt, terminate] =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()].map(listen);
        Ok(Self([hangup?, interrupt?, terminate?]))
    }

    async fn come(&mut self) {
        let [hangup, interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

struct Session {
    id: ProxySessionId,
    address: SocketAddr,
    /// A connection that says nothing: the session ends it with itself, before anybody else can be at its port.
    thread: Option<TcpStream>,
}

/// Keeps the session: says that we live, and opens another one when it was lost.
struct Keeper {
    appliance: Appliance,
    wanted: Wanted,
    log: Log,
    session: Session,
    /// Said already that the appliance is away.
    is_away: bool,
}

impl Keeper {
    async fn start(appliance: Appliance, wanted: Wanted, log: Log) -> Result<Self> {
        let session = open(&appliance, &wanted, &log).await?;
        Ok(Self { appliance, wanted, log, session, is_away: false })
    }

    /// Keeps it until the appliance says that it is over.
    async fn keep(&mut self, passage: &Passage) -> Result<()> {
        loop {
            let begin = Instant::now();
            self.session.thread = connect(self.session.address).await.ok();
            passage.door.send_replace(Some(self.session.address));
            tokio::select! {
                () = sleep(ALIVE_EVERY) => {}
                () = passage.missed.notified() => {}
                () = end_of(&mut self.session.thread) => { passage.door.send_replace(None); }
            }
            sleep_until(begin + LOOK_PAUSE).await;
            while !self.look().await? {
                if !self.is_held() {
                    passage.door.send_replace(None);
                }
                sleep(LOOK_PAUSE).await;
            }
        }
    }

    /// Whether the session is known to be there now.
    async fn look(&mut self) -> Result<bool> {
        let looked = match self.appliance.alive(&self.session.id).await {
            Err(error) if error.kind() == Kind::NotFound => {
                self.log.say("The appliance does not know the session any more: another one is opened");
                let opened = open(&self.appliance, &self.wanted, &self.log).await;
                opened.map(|session| self.session = session)
            }
            looked => looked,
        };
        match looked {
            Ok(()) => {
                self.is_away = false;
                Ok(true)
            }
            // It may be well again later; whatever else it says stays so.
            Err(error) if is_passing(error.kind()) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    self.log.say(&format!("Warning - {}; the appliance is asked again and again", error.chain()));
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the connection to the session is there.
    fn is_held(&self) -> bool {
        let read = self.session.thread.as_ref().map(|thread| thread.try_read(&mut [0]));
        matches!(read, Some(Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

fn is_passing(kind: Kind) -> bool {
    matches!(kind, Kind::Unavailable | Kind::Busy | Kind::Limited | Kind::Internal)
}

/// Returns when a session lets go of a connection.
async fn end_of(thread: &mut Option<TcpStream>) {
    if let Some(thread) = thread {
        // It never says anything before.
        let _ = thread.read(&mut [0]).await;
    }
}

/// Opens a session that is as it must be, and that lets us in.
async fn open(appliance: &Appliance, wanted: &Wanted, log: &Log) -> Result<Session> {
    let opened = appliance.open(wanted).await?;
    let checked = check(&opened, wanted).await;
    let address = match checked {
        Ok(address) => address,
        Err(error) => {
            // One that stays ends when nobody says that its worker lives.
            let _ = appliance.close(&opened.session).await;
            return Err(error);
        }
    };
    if !opened.not_held.is_empty() {
        let scopes: Vec<_> = opened.not_held.iter().map(Scope::as_str).collect();
        let words = "Warning - scopes that the client of the appliance does not hold are left out:";
        log.say(&format!("{words} {}", go::printed_list(&scopes)));
    }
    log.say(&format!("Session: '{}' until {}", opened.session, opened.ends));
    log.say(&format!("{}{}", wanted.granted_words, go::printed_list(&opened.permissions())));
    Ok(Session { id: opened.session, address, thread: None })
}

async fn check(opened: &Opened, wanted: &Wanted) -> Result<SocketAddr> {
    let deployment = opened.root_url.as_deref().map(Base::parse).transpose()?;
    if let (Some(own), Some(there)) = (&wanted.root_url, &deployment)
        && own != there
    {
        return Err(Error::conflict(format!("the upstream of the appliance is {there}, and not {own}")));
    }
    let address = opened.address()?;
    let failed = |cause: String| {
        Error::unavailable(format!("the session at {address} is not reached from here: see PROXY_ADDRESS"))
            .because(cause)
    };
    let knocked = timeout(KNOCK_PATIENCE, knock(address)).await;
    let is_let_in = knocked.map_err(|_| failed("no answer in time".into()))?.map_err(|e| failed(e.to_string()))?;
    if is_let_in { Ok(address) } else { Err(failed("it does not let this process in".into())) }
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    timeout(KNOCK_PATIENCE, TcpStream::connect(address)).await?
}

/// Whether a session lets us in.
async fn knock(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = connect(address).await?;
    stream.write_all(KNOCK).await?;
    let mut answer = [0; LET_IN.len()];
    match stream.read_exact(&mut answer).await {
        Ok(_) => Ok(answer == LET_IN),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
