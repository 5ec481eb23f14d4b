//! AMQP for a task: a connection to the broker of this appliance, with TLS where the broker has it, on which the login of the
//! session stands in the place of what the client says. The task never has it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::record::Record;
use super::{Of, Plane};
use crate::base::{Error, Kind, Result};
use crate::domain::proxy::{BrokerLogin, Opened};
use crate::ports::amqp::{AmqpDoor, Bare};
use crate::proto::amqp_login::{self, FRAME_HEADER_LEN, PROTOCOL_HEADER, StartOk};

/// For a connection to the broker.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// For either side to say what is due before the login. Brokers wait as long for a client.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// What stands for a method in the record.
const METHOD: &str = "AMQP";
/// As for other connections that were upgraded.
const PASSED: u16 = 101;

/// The entrance of one upstream at the broker.
#[derive(Clone)]
pub struct Tunnel {
    /// The session's.
    pub plane: Arc<Plane>,
    /// Which of what was opened.
    pub place: usize,
    /// The broker.
    pub door: AmqpDoor,
}

/// A client that said whom it means to be, and a broker that waits for it.
struct Greeted {
    broker: Bare,
    /// What the client answered.
    answer: Vec<u8>,
    user: String,
}

impl Tunnel {
    /// Holds a conversation, until one of both ends it.
    pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&self, mut client: S, peer: Arc<str>) {
        let Some((of, opened)) = self.opened() else { return };
        // Who says nothing that is AMQP has asked for nothing.
        let greeted = match self.greet(&mut client).await {
            Ok(Some(greeted)) => greeted,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!("a connection for the broker ended early: {}", error.chain());
                return self.refuse(client, &peer, opened, &error).await;
            }
        };
        let login = match self.login(of, opened, &greeted.user).await {
            Ok(login) => login,
            Err(error) => return self.refuse(client, &peer, opened, &error).await,
        };
        let mut record = match self.record(&peer, opened) {
            Ok(record) => record,
            Err(error) => return refused(client, &error).await,
        };
        record.call.status = PASSED;
        // A connection that cannot be written down is not made.
        if let Err(error) = record.answered().await {
            return refused(client, &error).await;
        }
        let Greeted { mut broker, answer, .. } = greeted;
        let logged_in = StartOk::read(&answer).map(|ok| ok.with_login(login.user.as_str(), &login.password));
        if let Ok(frame) = logged_in
            && say(&mut broker, &frame).await.is_ok()
        {
            record.pass_both(client, &mut broker).await;
        }
    }

    fn opened(&self) -> Option<(&Of, &Opened)> {
        let of = self.plane.of.as_ref()?;
        Some((of, of.live.opened.get(self.place)?))
    }

    /// Brings both sides to where the client says who it is. None: it speaks another protocol, or went away.
    async fn greet<S: AsyncRead + AsyncWrite + Unpin>(&self, client: &mut S) -> Result<Option<Greeted>> {
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
        let mut broker = self.door.connect(CONNECT_MAX).await?;
        say(&mut broker, &PROTOCOL_HEADER).await?;
        let (head, start) = frame(&mut broker).await.map_err(|e| e.into_kind(Kind::Unavailable))?;
        amqp_login::require_start(&start).map_err(|e| e.into_kind(Kind::Unavailable))?;
        say(client, &[&head[..], &start].concat()).await?;
        let (_, answer) = frame(client).await?;
        let user = StartOk::read(&answer)?.user();
        let unnamed = || Error::invalid("log in by PLAIN or AMQPLAIN, with the namespace as the user and any password");
        Ok(Some(Greeted { broker, user: user.ok_or_else(unnamed)?, answer }))
    }

    async fn login(&self, of: &Of, opened: &Opened, user: &str) -> Result<BrokerLogin> {
        self.plane.admit_now()?;
        of.proxy.broker_login(&of.live, opened, user).await
    }

    fn record(&self, peer: &Arc<str>, opened: &Opened) -> Result<Record> {
        let place = self.plane.recorder.reserve()?;
        Ok(Record::of_connection(&self.plane, peer, opened, METHOD, &self.door.place(), place))
    }

    /// Writes down why nothing came of it, and tells the client.
    async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: S,
        peer: &Arc<str>,
        opened: &Opened,
        error: &Error,
    ) {
        if let Ok(mut record) = self.record(peer, opened) {
            // What cannot be written down is refused as well.
            let _ = record.settle(super::own::status(error), Some(error.chain())).await;
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
    let late = || Error::unavailable("the other side of a connection says nothing");
    timeout(GREETING_MAX, read).await.unwrap_or_else(|_| Err(late()))
}

/// Sends it at once: what TLS has in its hands waits for more otherwise.
async fn say<S: AsyncWrite + Unpin>(side: &mut S, bytes: &[u8]) -> Result<()> {
    side.write_all(bytes).await.map_err(away)?;
    side.flush().await.map_err(away)
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
