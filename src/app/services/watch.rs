//! Services while they run: what they say, whether they are ready, and that one died.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Voice;
use super::answer::Served;
use crate::base::{Error, Kind, Result};
use crate::ports::engine::{Engine, Image};
use crate::proto::frames::Output;

/// Bytes of a line of a service. The rest of a longer one is a line of its own.
const LINE_LEN_MAX: usize = 8 << 10;
/// Lines that are told of a service that died before it was ready.
const LAST_LINES: usize = 10;
/// In the place of a tab.
const TAB: &str = "    ";
/// Between two looks at whether a service is ready.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// For a command of an image that tries its health: as long as Docker gives it.
const TRY_TIMEOUT: Duration = Duration::from_secs(30);
/// For a port to let us in: it is on this host.
const KNOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// For the last words of one that died.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Between two questions to an engine that is away, which may be just restarted, and how often it is asked.
const AWAY_PAUSE: Duration = Duration::from_secs(1);
const AWAY_MAX: u32 = 30;

/// A service that was started.
#[derive(Clone)]
pub(super) struct Service {
    pub engine: Engine,
    pub name: String,
    /// Its container.
    pub container: String,
    pub address: std::net::IpAddr,
    pub image: Image,
    pub voice: Voice,
    last: Arc<Mutex<VecDeque<String>>>,
    /// It said all that it will.
    said_all: CancellationToken,
}

impl Service {
    pub fn new(engine: &Engine, served: &Served, image: &Image, voice: &Voice) -> Self {
        Self {
            engine: engine.clone(),
            name: served.name.clone(),
            container: served.container.name.clone(),
            address: served.container.address,
            image: image.clone(),
            voice: voice.clone(),
            last: Arc::default(),
            said_all: CancellationToken::new(),
        }
    }

    /// Hands on what it says, as much as may be, until it ends.
    pub async fn follow(self, len_max: u64) {
        let _said_all = self.said_all.clone().drop_guard();
        let mut lines = [Lines::default(), Lines::default()];
        let mut len = 0;
        let Ok(mut logs) = self.engine.logs(&self.container).await else { return };
        // An engine that dies breaks it off, and says so elsewhere.
        while let Ok(Some(said)) = logs.next().await {
            for (output, bytes) in said {
                for line in lines[usize::from(output == Output::Error)].take(&bytes) {
                    self.hand_on(line, &mut len, len_max).await;
                }
            }
        }
        for line in lines.into_iter().filter_map(Lines::rest) {
            self.hand_on(line, &mut len, len_max).await;
        }
    }

    async fn hand_on(&self, line: String, len: &mut u64, len_max: u64) {
        let is_full = *len >= len_max;
        *len = len.saturating_add(line.len() as u64 + 1);
        if !is_full && *len < len_max {
            // A tab would be written out, as what terminals obey is.
            self.voice.pass(format!("{} | {}", self.name, line.replace('\t', TAB))).await;
        } else if !is_full {
            *len = len_max;
            self.voice.pass(format!("{} | … the rest of it is left out (--max-log)", self.name)).await;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.push_back(line);
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }

    /// Waits until it is ready, no longer than that.
    pub async fn ready_within(&self, within: Duration) -> Result<()> {
        match timeout(within, self.ready()).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let waited = match (&self.image.healthcheck, self.image.exposed_ports.first()) {
                    (None, Some(port)) => {
                        format!("nobody listens on its port {port}, or its health check does not succeed")
                    }
                    _ => "its health check does not succeed".to_owned(),
                };
                let name = &self.name;
                Err(Error::unavailable(format!(
                    "the service `{name}` was not ready in time (--ready-within): {waited}"
                )))
            }
        }
    }

    /// Waits until it is ready: by the health of its image, or by its lowest port, or else as soon as it runs.
    async fn ready(&self) -> Result<()> {
        loop {
            let state = self.engine.state(&self.container).await?;
            let state = state.ok_or_else(|| Error::not_found(format!("the service `{}` was removed", self.name)))?;
            if !state.is_running {
                return Err(self.died(state.exit_code).await);
            }
            let test = self.image.healthcheck.as_ref().or(state.healthcheck.as_ref()).and_then(|test| command(test));
            let is_ready = match (test, self.image.exposed_ports.first()) {
                // One that cannot be run, as while it starts, is tried again.
                (Some(test), _) => matches!(self.engine.exec(&self.container, &test, TRY_TIMEOUT).await, Ok(0)),
                (None, Some(port)) => {
                    let address = SocketAddr::new(self.address, *port);
                    matches!(timeout(KNOCK_TIMEOUT, TcpStream::connect(address)).await, Ok(Ok(_)))
                }
                (None, None) => true,
            };
            if is_ready {
                return Ok(());
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    async fn died(&self, exit_code: i64) -> Error {
        // What it said last is on its way.
        let _ = timeout(LAST_WORDS, self.said_all.cancelled()).await;
        let last: Vec<String> = self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        let said = if last.is_empty() { "it said nothing".into() } else { format!("it said:\n{}", last.join("\n")) };
        let name = &self.name;
        Error::unavailable(format!("the service `{name}` ended with exit code {exit_code} before it was ready; {said}"))
    }

    /// Says that it died, if it does.
    pub async fn tell_of_its_end(self) {
        if let Ok(exit_code) = ended(&self.engine, &self.container).await {
            self.voice.say(format!("the service `{}` ended with exit code {exit_code}; the task goes on", self.name));
        }
    }
}

/// Waits for the end of a container. An engine that is away for a moment is asked again.
pub(super) async fn ended(engine: &Engine, container: &str) -> Result<i64> {
    let mut away = 0;
    loop {
        match engine.ended(container).await {
            Err(error) if error.kind() == Kind::Unavailable && away < AWAY_MAX => away += 1,
            outcome => return outcome,
        }
        sleep(AWAY_PAUSE).await;
    }
}

/// The command by which an image tries its health.
fn command(test: &[String]) -> Option<Vec<String>> {
    match test {
        [kind, line] if kind == "CMD-SHELL" => Some(["/bin/sh", "-c", line].map(str::to_owned).to_vec()),
        [kind, command @ ..] if kind == "CMD" && !command.is_empty() => Some(command.to_vec()),
        _ => None,
    }
}

/// Bytes as lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(LINE_LEN_MAX) {
                self.0.extend_from_slice(part);
                if self.0.ends_with(b"\n") || self.0.len() >= LINE_LEN_MAX {
                    whole.extend(std::mem::take(self).rest());
                }
            }
        }
        whole
    }

    fn rest(self) -> Option<String> {
        let line = String::from_utf8_lossy(&self.0);
        (!self.0.is_empty()).then(|| line.trim_end_matches(['\n', '\r']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_end_or_are_too_long() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"one\ntw"), ["one"]);
        assert_eq!(lines.take(b"o\r\n\nthree"), ["two", ""]);
        assert_eq!(lines.rest().unwrap(), "three");
        let mut lines = Lines::default();
        let long = lines.take(&[b'x'; 3 * LINE_LEN_MAX + 5]);
        assert_eq!((long.len(), lines.0.len()), (3, 5));
        assert_eq!(Lines::default().rest(), None);
    }

    #[test]
    fn health_is_tried_by_a_command_or_a_line() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(command(&words(&["CMD", "/a", "b"])).unwrap(), ["/a", "b"]);
        assert_eq!(command(&words(&["CMD-SHELL", "a b"])).unwrap(), ["/bin/sh", "-c", "a b"]);
        assert_eq!(command(&words(&["CMD"])), None);
        assert_eq!(command(&words(&["NONE"])), None);
    }
}
