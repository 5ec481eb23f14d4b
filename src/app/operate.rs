//! Operating the appliance of a data directory: over its control socket while it runs, in this process while it
//! rests. Either way it is the same API with the same rules and the same audit log.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::brokers::Brokers;
pub use super::build::check_backup;
use super::build::{self, Appliance};
use super::lifecycle::CONTROL_SOCKET;
use super::settings::Settings;
use crate::base::{Clock, Error, Kind, Result};
use crate::ports::keylender::{Answer, CALL_TIMEOUT, Incoming, KeylenderClient, LINES_TIMEOUT, WORK_TIMEOUT};
use crate::store::{Checked, FILE_NAME};
use crate::web::{Router, local};

/// The mount of our own API.
pub(super) const MOUNT: &str = "/api/keylender/v1";

/// An operator of this host at work on an appliance.
pub struct Operator(Way);

enum Way {
    Running(KeylenderClient),
    /// It rests: its store is ours for the moment.
    Resting(Router),
}

impl Operator {
    /// Finds out whether the appliance runs. The error says why neither way is open.
    pub fn connect(settings: &Settings) -> Result<Self> {
        let socket = settings.data_dir.join(CONTROL_SOCKET);
        if answers(&socket)? {
            return Ok(Self(Way::Running(KeylenderClient::control(&socket)?)));
        }
        let appliance = Appliance::with(settings, Clock::system(), Brokers::of(settings)?)?;
        Ok(Self(Way::Resting(appliance.router)))
    }

    /// The appliance that runs, and only that: whoever watches for long must not keep it from starting. The error says
    /// that it rests.
    pub fn running(settings: &Settings) -> Result<Self> {
        running(settings).map(|client| Self(Way::Running(client)))
    }

    /// Calls a method of our own API and returns its document, or its error as ours.
    pub async fn call(&self, method: &str, path: &str, input: Option<Value>) -> Result<Value> {
        self.call_within(method, path, input, CALL_TIMEOUT).await
    }

    /// The same for a POST that may work for long.
    pub async fn work(&self, path: &str) -> Result<Value> {
        self.call_within("POST", path, None, WORK_TIMEOUT).await
    }

    /// A change of any method that may work for long.
    pub async fn change(&self, method: &str, path: &str, input: Option<Value>) -> Result<Value> {
        self.call_within(method, path, input, WORK_TIMEOUT).await
    }

    /// The very bytes of what a GET answers.
    pub async fn fetch(&self, path: &str) -> Result<Vec<u8>> {
        self.fetch_within(path, CALL_TIMEOUT).await
    }

    /// The same of one that may work for long.
    pub async fn fetch_at_length(&self, path: &str) -> Result<Vec<u8>> {
        self.fetch_within(path, WORK_TIMEOUT).await
    }

    /// Hands on what a GET answers with, a part at a time and whatever its length. A part need not end where a line does.
    pub async fn fetch_parts(&self, path: &str, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut incoming = self.open("GET", path, None, LINES_TIMEOUT).await?;
        if !is_success(incoming.status) {
            return Err(refusal(&incoming.whole().await?));
        }
        while let Some(part) = incoming.next().await? {
            take(&part)?;
        }
        Ok(())
    }

    async fn fetch_within(&self, path: &str, timeout: Duration) -> Result<Vec<u8>> {
        let answer = self.ask("GET", path, None, timeout).await?;
        if is_well(&answer) { Ok(answer.body) } else { Err(refusal(&answer)) }
    }

    async fn call_within(&self, method: &str, path: &str, input: Option<Value>, timeout: Duration) -> Result<Value> {
        read(&self.ask(method, path, input, timeout).await?)
    }

    async fn ask(&self, method: &str, path: &str, input: Option<Value>, timeout: Duration) -> Result<Answer> {
        self.open(method, path, input, timeout).await?.whole().await
    }

    async fn open(&self, method: &str, path: &str, input: Option<Value>, timeout: Duration) -> Result<Incoming> {
        let path = format!("{MOUNT}{path}");
        let body = input.map(|input| input.to_string());
        match &self.0 {
            Way::Running(door) => door.open(method, &path, None, body, timeout).await,
            Way::Resting(router) => local::open(router.clone(), method, &path, body).await,
        }
    }
}

/// A client of the appliance that runs.
pub(super) fn running(settings: &Settings) -> Result<KeylenderClient> {
    let socket = settings.data_dir.join(CONTROL_SOCKET);
    if answers(&socket)? {
        KeylenderClient::control(&socket)
    } else {
        Err(Error::unavailable("the appliance does not run"))
    }
}

/// Makes the store of a backup in the data directory, which must have none, nor an appliance that runs on one that was
/// moved away.
pub fn restore(settings: &Settings, backup: &Path) -> Result<Checked> {
    let has_store = settings.data_dir.join(FILE_NAME).exists();
    if !has_store && answers(&settings.data_dir.join(CONTROL_SOCKET))? {
        return Err(Error::conflict("keylender runs in this data directory: stop it first"));
    }
    build::restore(settings, backup)
}

/// Whether somebody serves this control socket. That we may not open it is an error of its own: the store would
/// only say that it is in use.
fn answers(socket: &Path) -> Result<bool> {
    match UnixStream::connect(socket) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(Error::forbidden("this appliance belongs to another user: run this as that user or as root")
                .because(format!("{}: {e}", socket.display())))
        }
        Err(_) => Ok(false),
    }
}

/// The document of an answer, or the error that it carries.
pub fn read(answer: &Answer) -> Result<Value> {
    if !is_well(answer) {
        return Err(refusal(answer));
    }
    serde_json::from_slice(&answer.body).map_err(|_| Error::unavailable("the answer is not JSON: is this a keylender?"))
}

fn is_well(answer: &Answer) -> bool {
    is_success(answer.status)
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// The error that an answer carries.
fn refusal(answer: &Answer) -> Error {
    let kind = match answer.status {
        401 => Kind::Unauthenticated,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        429 => Kind::Limited,
        400..500 => Kind::Invalid,
        503 => Kind::Unavailable,
        _ => Kind::Internal,
    };
    let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let message = document.as_ref().and_then(|document| document["message"].as_str());
    // What follows the rule is for logs (taskcluster.md 5.2).
    let human = message.and_then(|message| message.split("\n\n---\n").next()).map(|message| message.trim().to_owned());
    let human = human.or_else(|| page_text(&answer.body));
    Error::new(kind, human.unwrap_or_else(|| format!("the appliance answers with status {}", answer.status)))
}

/// What an error page says: the small pages around the APIs have one `<pre>`.
fn page_text(body: &[u8]) -> Option<String> {
    let page = std::str::from_utf8(body).ok()?;
    let (text, _) = page.split_once("<pre>")?.1.split_once("</pre>")?;
    Some(text.to_owned())
}
