//! Keeps the session at an appliance: opens it, says that we live, opens another one when it was lost, and closes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Log;
use super::appliance::{ALIVE_EVERY, Appliance, Opened, Wanted};
use super::passage::Passage;
use crate::base::{Error, Kind, ProxySessionId, Result, Scope};
use crate::proto::proxy::go;
use crate::proto::proxy::upstream::Base;

/// Between two looks at the session. Who asks a port at which nobody listens causes one.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// Before another session is opened, at most: each program waits a part of it by chance, so that those that one restart
/// hits do not come at once. Twice as long before each further one in a row.
const OPEN_PAUSE: Duration = Duration::from_secs(2);
/// How long that gets.
const OPEN_PAUSE_MAX: Duration = Duration::from_secs(16);
/// Sessions in a row that were opened and not reached: it is not going to be better.
const UNREACHED_MAX: u32 = 5;
/// For an opening that is under way when we end. Workers kill what does not end soon.
const OPENING_PATIENCE: Duration = Duration::from_secs(3);
/// For the listener of a session to let us in: it is on this host, or next to it.
const KNOCK_PATIENCE: Duration = Duration::from_secs(5);
/// A request that is nobody's call: it is answered from the record.
const KNOCK: &[u8] = b"GET /receipts HTTP/1.1\r\nHost: session\r\nConnection: close\r\n\r\n";
const LET_IN: &[u8] = b"HTTP/1.1 200";

/// Keeps the session.
pub(super) struct Keeper {
    appliance: Arc<Appliance>,
    wanted: Arc<Wanted>,
    log: Log,
    /// An opening under way. The appliance goes on with it, whatever becomes of us.
    opening: Option<JoinHandle<Result<Opened>>>,
    /// What is to be closed in the end.
    session: Option<ProxySessionId>,
    /// Said already that the appliance is away.
    is_away: bool,
    /// Openings in a row of sessions that were lost, and how many in a row were not reached.
    openings: u32,
    unreached: u32,
}

/// What the appliance says of the session.
enum Looked {
    Lives,
    Lost,
    Away,
}

impl Keeper {
    pub fn new(appliance: Appliance, wanted: Wanted, log: Log) -> Self {
        let (appliance, wanted) = (Arc::new(appliance), Arc::new(wanted));
        Self { appliance, wanted, log, opening: None, session: None, is_away: false, openings: 0, unreached: 0 }
    }

    /// Opens a session that is as it must be, and that lets us in. Tells where it is asked.
    pub async fn open(&mut self) -> Result<SocketAddr> {
        let (appliance, wanted) = (self.appliance.clone(), self.wanted.clone());
        // Aside, so that what it gives can be closed when a signal breaks this off.
        let opening = self.opening.insert(tokio::spawn(async move { appliance.open(&wanted).await }));
        let opened = opening.await;
        self.opening = None;
        let opened = opened.map_err(|e| Error::internal("opening a session", e))??;
        self.session = Some(opened.session.clone());
        match check(&opened, &self.wanted).await {
            Ok(address) => {
                self.unreached = 0;
                self.tell(&opened);
                Ok(address)
            }
            Err(error) => {
                self.unreached += 1;
                self.close().await;
                Err(error)
            }
        }
    }

    fn tell(&self, opened: &Opened) {
        if !opened.not_held.is_empty() {
            let scopes: Vec<_> = opened.not_held.iter().map(Scope::as_str).collect();
            let words = "Warning - scopes that the client of the appliance does not hold are left out:";
            self.log.say(&format!("{words} {}", go::printed_list(&scopes)));
        }
        self.log.say(&format!("Session: '{}' until {}", opened.session, opened.ends));
        self.log.say(&format!("{}{}", self.wanted.granted_words, go::printed_list(&opened.permissions())));
    }

    /// Keeps the session at an address until the appliance says that it is over.
    pub async fn keep(&mut self, mut address: SocketAddr, passage: &Passage) -> Result<()> {
        loop {
            let begin = Instant::now();
            // A session that lives after we were connected was there before: so this is its own listener, and nobody who
            // took a port that it left.
            let thread = connect(address).await.ok();
            match (self.look().await?, thread) {
                (Looked::Lives, Some(thread)) => self.hold(address, thread, passage).await?,
                (Looked::Lost, _) => address = self.reopen().await?.unwrap_or(address),
                (Looked::Lives, None) | (Looked::Away, _) => {}
            }
            sleep_until(begin + LOOK_PAUSE).await;
        }
    }

    /// Lets calls in while a connection to the session lasts, which says nothing: the session ends it with itself, and then
    /// its port may be anybody's. That counts at once, whatever the appliance is being asked.
    async fn hold(&mut self, address: SocketAddr, mut thread: TcpStream, passage: &Passage) -> Result<()> {
        let mut nothing = [0];
        let outcome = tokio::select! {
            // It never says anything before.
            _ = thread.read(&mut nothing) => Ok(()),
            outcome = self.stay(address, passage) => outcome,
        };
        passage.door.send_replace(None);
        outcome
    }

    /// Says that we live, until the session is lost.
    async fn stay(&mut self, address: SocketAddr, passage: &Passage) -> Result<()> {
        loop {
            passage.door.send_replace(Some(address));
            let begin = Instant::now();
            tokio::select! {
                () = sleep(ALIVE_EVERY) => {}
                () = passage.missed.notified() => {}
            }
            sleep_until(begin + LOOK_PAUSE).await;
            loop {
                match self.look().await? {
                    Looked::Lives => break,
                    Looked::Lost => return Ok(()),
                    Looked::Away => sleep(LOOK_PAUSE).await,
                }
            }
            self.openings = 0;
        }
    }

    async fn look(&mut self) -> Result<Looked> {
        let Some(session) = &self.session else { return Ok(Looked::Lost) };
        match self.appliance.alive(session).await {
            Ok(()) => {
                self.is_away = false;
                Ok(Looked::Lives)
            }
            Err(error) if error.kind() == Kind::NotFound => {
                self.session = None;
                Ok(Looked::Lost)
            }
            // It may be well again later; whatever else it says stays so.
            Err(error) if is_passing(&error) => {
                self.miss(&error);
                Ok(Looked::Away)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens another session, if that can be done now.
    async fn reopen(&mut self) -> Result<Option<SocketAddr>> {
        if self.openings == 0 {
            self.log.say("The appliance does not know the session any more: another one is opened");
        }
        let most = OPEN_PAUSE.saturating_mul(1 << self.openings.min(u32::BITS - 1)).min(OPEN_PAUSE_MAX);
        self.openings += 1;
        sleep(most.mul_f64(rand::random_range(0.0..1.0))).await;
        match self.open().await {
            Ok(address) => {
                self.is_away = false;
                Ok(Some(address))
            }
            Err(error) if is_passing(&error) && self.unreached < UNREACHED_MAX => {
                self.miss(&error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn miss(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.is_away, true) {
            self.log.say(&format!("Warning - {}; the appliance is asked again and again", error.chain()));
        }
    }

    /// Ends the session, also one that is just being opened. What cannot be closed now ends by our silence.
    pub async fn end(mut self) {
        if let Some(opening) = self.opening.take() {
            match timeout(OPENING_PATIENCE, opening).await {
                Ok(Ok(Ok(opened))) => self.session = Some(opened.session),
                Ok(_) => {}
                Err(_) => {
                    self.log.say("Warning - a session that is being opened ends when this worker is not heard of")
                }
            }
        }
        self.close().await;
    }

    async fn close(&mut self) {
        let Some(session) = &self.session else { return };
        if let Err(error) = self.appliance.close(session).await {
            let words = "could not be closed, and ends when this worker is not heard of";
            self.log.say(&format!("Warning - the session '{session}' {words}: {}", error.chain()));
        }
        self.session = None;
    }
}

fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::Busy | Kind::Limited | Kind::Internal)
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

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use tokio::net::TcpListener;

    use super::super::{Alone, By, Style};
    use super::*;
    use crate::base::{Clock, Secret};
    use crate::ports::upstream::Pins;
    use crate::proto::proxy::delegation::Delegation;
    use crate::web::proxy::Peers;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn keeper(appliance: SocketAddr) -> Keeper {
        let clock = Clock::system();
        let who = Delegation::new("worker", Secret::new("token"), None, None).unwrap();
        let url = Base::parse(&format!("http://{appliance}")).unwrap();
        let appliance = Appliance::new(url, who, clock.clone()).unwrap();
        let by = By::Scopes(Vec::new());
        let wanted = Wanted { upstream: "taskcluster", by, credentials: None, root_url: None, granted_words: "" };
        Keeper::new(appliance, wanted, Alone::new(clock, Style::Taskcluster, TimeZone::UTC, Pins::default()).log)
    }

    /// An appliance that answers this to whatever it is asked.
    async fn answering(json: String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut asked = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", json.len());
                let _ = stream.write_all(format!("{head}{json}").as_bytes()).await;
                // One that is closed before everything was read would take the answer with it.
                asked.push(stream);
            }
        });
        address
    }

    #[tokio::test]
    async fn a_session_that_is_not_reached_again_and_again_is_the_end() {
        let nobodys = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (session, ends) = (ProxySessionId::generate(), Clock::system().now());
        let opened = serde_json::json!({
            "session": session, "address": format!("http://{nobodys}"), "ends": ends, "upstreams": []
        });
        let mut keeper = keeper(answering(opened.to_string()).await);
        keeper.unreached = UNREACHED_MAX - 2;
        assert_eq!(keeper.reopen().await.unwrap(), None);
        keeper.openings = 0;
        let refused = keeper.reopen().await.unwrap_err();
        assert!(refused.message().contains("is not reached from here"), "{refused}");
        assert!(keeper.session.is_none(), "what was not reached is closed");
    }

    #[tokio::test]
    async fn nothing_passes_to_a_port_that_a_session_left_while_the_appliance_is_asked() {
        let [appliance, session] =
            [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
        let address = session.local_addr().unwrap();
        let mut keeper = keeper(appliance.local_addr().unwrap());
        keeper.session = Some(ProxySessionId::generate());
        let passage = Arc::new(Passage::new(Peers::default(), Clock::system()));
        let thread = TcpStream::connect(address).await.unwrap();
        let (held, _) = session.accept().await.unwrap();
        let mut door = passage.door.subscribe();
        let shared = passage.clone();
        let holding = tokio::spawn(async move { keeper.hold(address, thread, &shared).await });
        timeout(PATIENCE, door.wait_for(|door| *door == Some(address))).await.unwrap().unwrap();
        passage.missed.notify_one();
        // It never answers.
        let _asked = timeout(PATIENCE, appliance.accept()).await.unwrap().unwrap();
        drop((held, session));
        timeout(PATIENCE, door.wait_for(Option::is_none)).await.unwrap().unwrap();
        timeout(PATIENCE, holding).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_is_at_the_port_of_a_session_that_the_appliance_does_not_confirm_gets_nothing() {
        let stranger = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let appliance = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut keeper = keeper(appliance.local_addr().unwrap());
        keeper.session = Some(ProxySessionId::generate());
        let passage = Passage::new(Peers::default(), Clock::system());
        tokio::select! {
            _ = keeper.keep(stranger.local_addr().unwrap(), &passage) => panic!("it goes on"),
            _ = async { (stranger.accept().await.unwrap(), appliance.accept().await.unwrap()) } => {}
        }
        assert_eq!(*passage.door.borrow(), None);
    }
}
