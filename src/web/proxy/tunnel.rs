//! AMQP for a task: a connection to the broker of this appliance, with TLS where the broker has it, on which the login of the
//! session stands in the place of what the client says. The task never has it.
//!
//! A client is greeted as the broker greeted us before, so that whoever does not log in costs the broker nothing, and nobody
//! waits for users to be made on a connection that the broker counts the seconds of.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::record::Record;
use super::{Of, Plane, namespaces};
use crate::base::{Error, Kind, Result};
use crate::domain::proxy::{BrokerLogin, Opened};
use crate::ports::amqp::{AmqpDoor, Bare};
use crate::proto::amqp_login::{self, FRAME_HEADER_LEN, PROTOCOL_HEADER, StartOk};

/// For a connection to the broker.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// For either side to say or hear what is due before the login. Brokers wait as long for a client.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// What stands for a method in the record.
const METHOD: &str = "AMQP";
/// As for other connections that were upgraded.
const PASSED: u16 = 101;

/// The entrance of one upstream at the broker.
pub struct Tunnel {
    /// The session's.
    pub plane: Arc<Plane>,
    /// Which of what was opened.
    place: usize,
    door: AmqpDoor,
    /// How the broker greets.
    greeting: OnceCell<Vec<u8>>,
}

impl Tunnel {
    /// That of what was opened at this place.
    pub fn new(plane: Arc<Plane>, place: usize, door: AmqpDoor) -> Self {
        Self { plane, place, door, greeting: OnceCell::new() }
    }

    /// Holds a conversation, until one of both ends it.
    pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&self, mut client: S, peer: Arc<str>) {
        let Some((of, opened)) = self.opened() else { return };
        // Who says nothing that is AMQP has asked for nothing.
        let answer = match self.greet(&mut client).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return,
            Err(error) => return self.refuse(client, (&peer, ""), opened, &error).await,
        };
        let (user, logged_in) = match self.log_in(of, opened, &answer).await {
            (user, Ok(logged_in)) => (user, logged_in),
            (user, Err(error)) => return self.refuse(client, (&peer, &user), opened, &error).await,
        };
        let mut record = match self.record(&peer, opened, &user) {
            Ok(record) => record,
            Err(error) => return refused(client, &error).await,
        };
        record.call.status = PASSED;
        // A connection that cannot be written down is not made.
        if let Err(error) = record.answered().await {
            return refused(client, &error).await;
        }
        let (mut broker, frame) = logged_in;
        if say(&mut broker, &frame).await.is_ok() {
            record.pass_both(client, &mut broker).await;
        }
    }

    fn opened(&self) -> Option<(&Of, &Opened)> {
        let of = self.plane.of.as_ref()?;
        Some((of, of.live.opened.get(self.place)?))
    }

    /// What a client answers to the greeting, if it speaks the protocol.
    async fn greet<S: AsyncRead + AsyncWrite + Unpin>(&self, client: &mut S) -> Result<Option<Vec<u8>>> {
        let mut header = [0; PROTOCOL_HEADER.len()];
        let read = timeout(GREETING_MAX, client.read_exact(&mut header)).await;
        if !matches!(read, Ok(Ok(_))) {
            return Ok(None);
        }
        if header != PROTOCOL_HEADER {
            // As brokers answer what they do not speak.
            let _ = say(client, &PROTOCOL_HEADER).await;
            return Ok(None);
        }
        self.plane.admit_now()?;
        let greeting = self.greeting.get_or_try_init(async || Ok::<_, Error>(self.reach().await?.1)).await;
        // Who was not greeted hears no reason either.
        let own = amqp_login::start();
        say(client, greeting.as_ref().map_or(&own[..], |greeting| &greeting[..])).await?;
        let unsaid = |error: Error| Error::invalid("the client did not say who it is").because(error);
        let answer = frame(client).await.map(|(_, answer)| answer).map_err(unsaid);
        greeting.and(answer).map(Some)
    }

    /// A connection on which the broker greeted us, with what it said.
    async fn reach(&self) -> Result<(Bare, Vec<u8>)> {
        let unwell = |error: Error| Error::unavailable("the broker greets nobody").because(error);
        let mut broker = self.door.connect(CONNECT_MAX).await?;
        say(&mut broker, &PROTOCOL_HEADER).await.map_err(unwell)?;
        let (head, start) = frame(&mut broker).await.map_err(unwell)?;
        amqp_login::require_start(&start).map_err(unwell)?;
        Ok((broker, [&head[..], &start].concat()))
    }

    /// Whom a client means to be, and a connection on which it is to be said that it is somebody else.
    async fn log_in(&self, of: &Of, opened: &Opened, answer: &[u8]) -> (String, Result<(Bare, amqp_login::Frame)>) {
        let user = match StartOk::read(answer).map(|answer| answer.user()) {
            Ok(user) => user.unwrap_or_default(),
            Err(error) => return (String::new(), Err(error)),
        };
        if user.is_empty() {
            let words = "log in by PLAIN or AMQPLAIN, with the namespace as the user and any password";
            return (user, Err(Error::invalid(words)));
        }
        let logged_in = async {
            self.plane.admit_now()?;
            let hint = |words| format!("{words} (the user of the login is the namespace)");
            let login = of.proxy.broker_login(&of.live, opened, &user).await;
            let is_refused = |error: &Error| error.kind() == Kind::Forbidden;
            let BrokerLogin { user, password } =
                login.map_err(|error| if is_refused(&error) { error.reworded(hint) } else { error })?;
            let (broker, _) = self.reach().await?;
            Ok((broker, StartOk::read(answer)?.with_login(user.as_str(), &password)))
        };
        let logged_in = logged_in.await;
        (user, logged_in)
    }

    /// The URL of the record names whom the client means to be.
    fn record(&self, peer: &Arc<str>, opened: &Opened, user: &str) -> Result<Record> {
        let (scheme, place) = self.door.place();
        let at = if user.is_empty() { "" } else { "@" };
        let url = format!("{scheme}://{user}{at}{place}");
        Ok(Record::of_connection(&self.plane, peer, opened, METHOD, &url, self.plane.recorder.reserve()?))
    }

    /// Writes down why nothing came of it, and tells the client.
    async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: S,
        (peer, user): (&Arc<str>, &str),
        opened: &Opened,
        error: &Error,
    ) {
        // The task reads its record, and not what is behind us.
        tracing::info!("a connection of a task for the broker came to nothing: {}", error.chain());
        if let Ok(mut record) = self.record(peer, opened, user) {
            // What cannot be written down is refused as well.
            let _ = record.settle(namespaces::status(error), Some(error.message().to_owned())).await;
        }
        refused(client, error).await;
    }
}

/// One frame: its header and the rest.
async fn frame<S: AsyncRead + Unpin>(side: &mut S) -> Result<([u8; FRAME_HEADER_LEN], Vec<u8>)> {
    let read = async {
        let mut header = [0; FRAME_HEADER_LEN];
        side.read_exact(&mut header).await.map_err(away)?;
        let mut rest = vec![0; amqp_login::rest_len(header)?];
        side.read_exact(&mut rest).await.map_err(away)?;
        Ok((header, rest))
    };
    timeout(GREETING_MAX, read).await.unwrap_or_else(|_| Err(late()))
}

/// Sends it at once: what TLS has in its hands waits for more otherwise.
async fn say<S: AsyncWrite + Unpin>(side: &mut S, bytes: &[u8]) -> Result<()> {
    let said = async {
        side.write_all(bytes).await.map_err(away)?;
        side.flush().await.map_err(away)
    };
    timeout(GREETING_MAX, said).await.unwrap_or_else(|_| Err(late()))
}

fn late() -> Error {
    Error::unavailable("the other side of a connection takes too long")
}

fn away(error: std::io::Error) -> Error {
    Error::unavailable("a connection for the broker broke off").because(error)
}

/// Ends a connection as a broker would, with the reason.
async fn refused<S: AsyncRead + AsyncWrite + Unpin>(mut client: S, error: &Error) {
    /// ACCESS_REFUSED and INTERNAL_ERROR of the standard.
    const CODES: [u16; 2] = [403, 541];
    let is_passing = matches!(error.kind(), Kind::Unavailable | Kind::Busy | Kind::Limited | Kind::Internal);
    let code = CODES[usize::from(is_passing)];
    let words = format!("{} - {}", if is_passing { "INTERNAL_ERROR" } else { "ACCESS_REFUSED" }, error.message());
    if say(&mut client, &amqp_login::close(code, &words)).await.is_ok() {
        let _ = client.shutdown().await;
        // What the client still says is heard out, or the kernel would take back what was just written.
        let mut rest = [0; 1024];
        let _ = timeout(GREETING_MAX, async { while matches!(client.read(&mut rest).await, Ok(1..)) {} }).await;
    }
}
