//! Whether the scheduler or the API takes a heartbeat, in their order and, over HTTP, in their words.

use std::time::Duration;

use serde_json::json;

use super::{Generation, Heartbeat, Mode};
use crate::base::Timestamp;
use crate::proto::Refusal;

/// How far ahead of ours the clock of a host may be. MIG has no such rule, and what claims to be of next year would be
/// news until then. As much as the API allows behind.
pub const FUTURE_MAX: Duration = HTTP_AGE_MAX;
/// How old the API lets a heartbeat be, whatever the scheduler's configuration says.
const HTTP_AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// Longest name, in bytes.
const NAME_LEN_MAX: usize = 1024;
/// Longest version, in bytes.
const VERSION_LEN_MAX: usize = 128;
/// Longest location of a queue: the name of a queue and a routing key have 255 bytes in AMQP, and `mig.agt.` is a part of
/// both.
const QUEUELOC_LEN_MAX: usize = 255 - "mig.agt.".len();

/// Two settings of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// `agent.heartbeatfreq`: how often agents are expected to be heard.
    pub heartbeat_period: Duration,
    /// `agent.timeout`: after which silence an agent is gone.
    pub agent_timeout: Duration,
}

/// What becomes of a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The scheduler looks at its whitelist next, and the API takes it.
    Welcome,
    /// What the API needs is not there: the names of the members, as the API writes them.
    Missing(Vec<&'static str>),
    /// It is too old.
    Expired,
    /// It is not of its own time. Ours.
    FromTheFuture,
    /// It has a mode that there is not.
    BadMode,
    /// Its name is too long.
    LongName,
    /// Its version is too long.
    LongVersion,
    /// It names no queue. Ours, over AMQP.
    NoQueue,
    /// Its queue cannot exist. Ours.
    LongQueue,
}

/// What the API answers, with `Content-Type: application/json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// `{"error":null}` or `{"error":"text"}` and the end of the line.
    pub body: String,
}

/// Judges a heartbeat that was received at a moment.
pub fn judge(heartbeat: &Heartbeat, received_at: Timestamp, timings: &Timings) -> Verdict {
    let verdict = match heartbeat.generation {
        Generation::First | Generation::Second => over_amqp(heartbeat, received_at, timings),
        Generation::Third => over_http(heartbeat, received_at),
    };
    let verdict = verdict.unwrap_or(Verdict::Welcome);
    match heartbeat.queueloc.len() {
        0 if verdict == Verdict::Welcome => Verdict::NoQueue,
        len if verdict == Verdict::Welcome && len > QUEUELOC_LEN_MAX => Verdict::LongQueue,
        _ => verdict,
    }
}

/// The first thing that is wrong, as the scheduler looks for it. It counts bytes where it says characters.
fn over_amqp(heartbeat: &Heartbeat, received_at: Timestamp, timings: &Timings) -> Option<Verdict> {
    let mut checks = vec![
        (is_before(heartbeat.sent_at, received_at.minus(timings.agent_timeout)), Verdict::Expired),
        (is_ahead(heartbeat.sent_at, received_at), Verdict::FromTheFuture),
    ];
    checks.extend(forms(heartbeat));
    checks.into_iter().find(|(is_so, _)| *is_so).map(|(_, verdict)| verdict)
}

/// What is wrong for the API. It keeps its four findings in a map under `true` and `false`, so that the last one holds.
fn over_http(heartbeat: &Heartbeat, received_at: Timestamp) -> Option<Verdict> {
    let missing = missing(heartbeat);
    if !missing.is_empty() {
        return Some(Verdict::Missing(missing));
    }
    let mut checks = vec![
        (is_ahead(heartbeat.started_at, received_at), Verdict::FromTheFuture),
        (is_before(heartbeat.started_at, received_at.minus(HTTP_AGE_MAX)), Verdict::Expired),
    ];
    checks.extend(forms(heartbeat));
    checks.into_iter().rfind(|(is_so, _)| *is_so).map(|(_, verdict)| verdict)
}

fn forms(heartbeat: &Heartbeat) -> [(bool, Verdict); 3] {
    [
        (heartbeat.mode == Mode::Other, Verdict::BadMode),
        (heartbeat.name.len() > NAME_LEN_MAX, Verdict::LongName),
        (heartbeat.version.len() > VERSION_LEN_MAX, Verdict::LongVersion),
    ]
}

fn is_before(moment: Option<Timestamp>, limit: Timestamp) -> bool {
    moment.is_none_or(|moment| moment < limit)
}

fn is_ahead(moment: Option<Timestamp>, received_at: Timestamp) -> bool {
    moment.is_some_and(|moment| moment > received_at.plus(FUTURE_MAX))
}

/// The members that the API needs and does not find. It tells them in an order that changes; this is that of its code.
fn missing(heartbeat: &Heartbeat) -> Vec<&'static str> {
    let environment = &heartbeat.environment;
    let needed = [
        ("name", heartbeat.name.is_empty()),
        ("mode", heartbeat.mode == Mode::Unstated),
        ("version", heartbeat.version.is_empty()),
        ("queueLoc", heartbeat.queueloc.is_empty()),
        ("pid", heartbeat.pid == 0),
        ("environment.init", environment.init.is_empty()),
        ("environment.ident", environment.ident.is_empty()),
        ("environment.os", environment.os.is_empty()),
        ("environment.arch", environment.arch.is_empty()),
        ("environment.publicIP", environment.public_ip.is_empty()),
    ];
    needed.into_iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| name).collect()
}

impl Verdict {
    /// The verdict in words: where the API has some, those.
    pub fn text(&self) -> String {
        let text = match self {
            Self::Welcome => "welcome",
            Self::Missing(names) => return format!("missing field(s): {}", names.join(", ")),
            Self::Expired => "heartbeat expired",
            Self::FromTheFuture => "heartbeat is from the future",
            Self::BadMode => "agent reported an invalid mode",
            Self::LongName => "agent reported a name that is too long",
            Self::LongVersion => "agent reported a version string that is too long",
            Self::NoQueue => "agent reported no queue location",
            Self::LongQueue => "agent reported a queue location that is too long",
        };
        text.to_owned()
    }

    /// What the API answers to a heartbeat that was judged and, if it was welcome, kept. All that is wrong with it is
    /// about missing fields to the API, too long a name as well.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Welcome => Answer::of(200, None),
            other => Answer::of(400, Some(format!("Missing fields in request body: {}", other.text()))),
        }
    }
}

impl Answer {
    /// To a body that could not be read. The API goes on with the words of Go's reader, and this with ours.
    pub fn unreadable(refusal: &Refusal) -> Self {
        Self::of(400, Some(format!("Failed to decode request body: {refusal}")))
    }

    /// To an agent that may send no heartbeats. The API lets everybody do so; the words are there.
    pub fn unauthorized(reason: &str) -> Self {
        Self::of(401, Some(format!("Agent is not authorized to upload heartbeats: {reason}")))
    }

    /// To a heartbeat that could not be kept.
    pub fn not_saved(reason: &str) -> Self {
        Self::of(500, Some(format!("Failed to save heartbeat: {reason}")))
    }

    /// As Go writes JSON: safe within HTML and JavaScript, and with the end of a line.
    fn of(status: u16, error: Option<String>) -> Self {
        let mut body = json!({ "error": error }).to_string();
        for unsafe_letter in ['<', '>', '&', '\u{2028}', '\u{2029}'] {
            body = body.replace(unsafe_letter, &format!("\\u{:04x}", u32::from(unsafe_letter)));
        }
        body.push('\n');
        Self { status, body }
    }
}
