//! The log to a syslog server by RFC 5424: by datagrams (RFC 5426), or over TCP with octet counting (RFC 6587). On the
//! socket of this host lines are as syslog(3) writes them, for that is what rsyslog and journald read there: of RFC 5424
//! they make a message without a name.
//!
//! Whoever logs only puts a line into a queue. One task sends, so a server that is slow or away stops nobody.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Losses;
use crate::base::{Clock, Error, Result};
use crate::ports::resolve::Resolver;

/// Lines that wait for a server: some seconds of a busy appliance, and with the longest lines 16 MiB.
const QUEUE_LEN_MAX: usize = 2048;
/// Bytes of a line; what is longer is cut. Usual servers take no more.
const LINE_LEN_MAX: usize = 8192;
/// For reaching an address of the server, and for it to take a line.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts to reach a server that is away.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// For what is queued when the appliance stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Where Linux tells its host name without a call of the C library.
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";
/// What RFC 5424 has for "not known".
const NIL: &str = "-";
/// Bytes of a host name in RFC 5424.
const HOST_NAME_LEN_MAX: usize = 255;
/// The names of facilities; each one's code is its place. Those without a name are for the system's own use.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "",
    "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// Which part of a system speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// By its usual name, such as `daemon`.
    pub fn parse(name: &str) -> Option<Self> {
        let code = FACILITIES.iter().position(|known| !known.is_empty() && *known == name)?;
        u8::try_from(code).ok().map(Self)
    }
}

/// How grave a line is, by the codes of RFC 5424.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody must act.
    Error = 3,
    /// We coped.
    Warning = 4,
    /// What the appliance did.
    Informational = 6,
    /// For developers.
    Debug = 7,
}

/// Where a syslog server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// On this host, at a socket for datagrams.
    Local(PathBuf),
    /// At a port for datagrams.
    Udp(String, u16),
    /// At a port for connections.
    Tcp(String, u16),
}

/// Where lines go, and as whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogSettings {
    /// The server.
    pub target: Target,
    /// The facility of every line.
    pub facility: Facility,
}

/// The way to a syslog server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Syslog {
    facility: Facility,
    is_local: bool,
    host_name: Arc<str>,
    clock: Clock,
    queue: mpsc::Sender<Vec<u8>>,
    losses: Arc<Losses>,
}

/// The task that sends.
pub struct Sender {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Syslog {
    /// Starts to send. The server may be away.
    pub fn start(settings: SyslogSettings, clock: Clock) -> Result<(Self, Sender)> {
        let (queue, lines) = mpsc::channel(QUEUE_LEN_MAX);
        let (losses, stop) = (Arc::<Losses>::default(), CancellationToken::new());
        let is_local = matches!(settings.target, Target::Local(_));
        let door = Door { target: settings.target, resolver: Resolver::system()?, losses: losses.clone() };
        let task = tokio::spawn(door.send_all(lines, stop.clone()));
        let host_name = host_name().into();
        Ok((Self { facility: settings.facility, is_local, host_name, clock, queue, losses }, Sender { task, stop }))
    }

    /// Puts a line into the queue, or counts it as lost when the queue is full.
    pub fn write(&self, severity: Severity, line: &[u8]) {
        if self.queue.try_send(self.message(severity, line)).is_err() {
            self.losses.add();
        }
    }

    /// Lines that were lost.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    fn message(&self, severity: Severity, line: &[u8]) -> Vec<u8> {
        let priority = self.facility.0 * 8 + severity as u8;
        let (now, host, process) = (self.clock.now(), &self.host_name, std::process::id());
        let head = if self.is_local {
            // Who reads it notes the time and the host.
            format!("<{priority}>keylender[{process}]: ")
        } else {
            format!("<{priority}>1 {now} {host} keylender {process} {NIL} {NIL} ")
        };
        let mut message = head.into_bytes();
        message.extend_from_slice(line.trim_ascii());
        if message.len() > LINE_LEN_MAX {
            // Not in the middle of a character, whose bytes go on with 0b10….
            let end = (0..=LINE_LEN_MAX).rev().find(|&at| message[at] & 0xC0 != 0x80).unwrap_or(0);
            message.truncate(end);
        }
        message
    }
}

impl Sender {
    /// Sends what is queued, as far as the server takes it soon, and ends.
    pub async fn close(self) {
        self.stop.cancel();
        // What does not leave in time is lost with the process.
        _ = timeout(CLOSE_TIMEOUT, self.task).await;
    }
}

/// The sending side of the queue.
struct Door {
    target: Target,
    resolver: Resolver,
    losses: Arc<Losses>,
}

/// A way to the server that is open.
enum Way {
    Local(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Door {
    async fn send_all(self, mut lines: mpsc::Receiver<Vec<u8>>, stop: CancellationToken) {
        let (mut way, mut is_away) = (None, false);
        loop {
            let line = tokio::select! {
                biased;
                line = lines.recv() => line,
                () = stop.cancelled() => return,
            };
            let Some(line) = line else { return };
            while let Err(error) = self.send(&mut way, &line).await {
                // The way may be broken in the middle of a line.
                way = None;
                if !is_away {
                    // Once, and not in the log, which cannot say it. Nobody may listen there either.
                    _ = writeln!(io::stderr(), "keylender: {}", error.chain());
                }
                is_away = true;
                tokio::select! {
                    () = sleep(RETRY_DELAY) => {}
                    () = stop.cancelled() => return,
                }
            }
            is_away = false;
            self.losses.end();
        }
    }

    async fn send(&self, way: &mut Option<Way>, line: &[u8]) -> Result<()> {
        if way.as_ref().is_some_and(Way::is_closed) {
            *way = None;
        }
        let way = match way {
            Some(way) => way,
            None => way.insert(self.open().await?),
        };
        let sent = in_time(way.send(line)).await;
        sent.map_err(|e| Error::unavailable("the syslog server takes no lines").because(e))
    }

    async fn open(&self) -> Result<Way> {
        let away = |e: io::Error| Error::unavailable("the syslog server cannot be reached").because(e);
        let (host, port) = match &self.target {
            Target::Udp(host, port) | Target::Tcp(host, port) => (host, *port),
            Target::Local(path) => {
                let socket = UnixDatagram::unbound().map_err(away)?;
                socket.connect(path).map_err(away)?;
                return Ok(Way::Local(socket));
            }
        };
        let mut last = None;
        for address in self.resolver.addresses(host).await? {
            match in_time(self.connect(SocketAddr::new(address, port))).await {
                Ok(way) => return Ok(way),
                Err(error) => last = Some(error),
            }
        }
        Err(away(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Way> {
        if matches!(self.target, Target::Tcp(..)) {
            return Ok(Way::Tcp(TcpStream::connect(address).await?));
        }
        let unspecified = match address.ip() {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        let socket = UdpSocket::bind((unspecified, 0)).await?;
        socket.connect(address).await?;
        Ok(Way::Udp(socket))
    }
}

impl Way {
    /// Whether the server hung up. What is written after that is gone without an error.
    fn is_closed(&self) -> bool {
        let Self::Tcp(stream) = self else { return false };
        // Asked of the system itself: the runtime hears of it only later.
        match recv(stream, &mut [0; 16], RecvFlags::DONTWAIT) {
            Ok((_, len)) => len == 0,
            Err(error) => error != Errno::AGAIN,
        }
    }

    async fn send(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Local(socket) => socket.send(line).await.map(drop),
            Self::Udp(socket) => socket.send(line).await.map(drop),
            Self::Tcp(stream) => {
                let frame = [format!("{} ", line.len()).as_bytes(), line].concat();
                stream.write_all(&frame).await
            }
        }
    }
}

async fn in_time<T>(attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(ATTEMPT_TIMEOUT, attempt).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn host_name() -> String {
    let name = std::fs::read_to_string(HOST_NAME_FILE).unwrap_or_default();
    let name = name.trim();
    let fits = (1..=HOST_NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    if fits { name.to_owned() } else { NIL.to_owned() }
}

#[cfg(test)]
mod tests;
