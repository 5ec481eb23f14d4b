//! The log of a proxy without an appliance: lines on standard error with the time in front, as the ancestors wrote them. A
//! call is one line, with its record as JSON at the end of it.

use std::fmt;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::sync::mpsc;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::base::Clock;
use crate::base::invisible::written_out;
use crate::domain::proxy::{Call, Line, Settled};
use crate::proto::proxy::go;

/// Calls that are written at once.
const BATCH: usize = 256;
/// Between two batches, so that the calls of a busy proxy do not wake the thread one by one. The first after a quiet moment
/// is written at once, and 256,000 calls fit into a second.
const GATHER: Duration = Duration::from_millis(1);

/// How a call begins in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `Proxying /path | GET | https://…`
    Taskcluster,
    /// `GET https://…`
    Relengapi,
}

/// Writes lines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    clock: Clock,
    zone: TimeZone,
    style: Style,
}

impl Log {
    /// A log that also writes down calls, on a thread of its own: a reader who is slow delays nobody until as many wait as
    /// may, and then nothing is proxied until they are written.
    pub fn start(clock: Clock, zone: TimeZone, style: Style, mut calls: mpsc::Receiver<Line>) -> Self {
        let log = Self { clock, zone, style };
        log.receive_warnings();
        let writer = log.clone();
        let started = std::thread::Builder::new().name("log".into()).spawn(move || {
            let (mut waiting, mut text) = (Vec::with_capacity(BATCH), String::new());
            while calls.blocking_recv_many(&mut waiting, BATCH) > 0 {
                text.clear();
                for line in waiting.drain(..) {
                    writer.put(&mut text, &writer.call(&line));
                }
                // Nobody is left to tell when standard error is closed.
                let _ = io::stderr().lock().write_all(text.as_bytes());
                std::thread::sleep(GATHER);
            }
        });
        if let Err(error) = started {
            // The receiver is gone, and every call is answered that it cannot be recorded.
            log.say(&format!("calls cannot be written down: {error}"));
        }
        log
    }

    /// What the parts below warn of stands in the log, too. It is no mistake if somebody else receives it already.
    fn receive_warnings(&self) {
        let lines =
            tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).with_target(false).with_level(false);
        let _ = lines.with_timer(self.clone()).with_max_level(tracing::Level::WARN).try_init();
    }

    /// Writes a line.
    pub fn say(&self, text: &str) {
        let mut line = String::new();
        self.put(&mut line, text);
        // In one piece: standard error has no buffer. Nobody is left to tell when it is closed.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }

    fn put(&self, lines: &mut String, text: &str) {
        lines.push_str(&go::log_stamp(self.clock.now(), &self.zone));
        lines.push(' ');
        lines.push_str(&written_out(text));
        lines.push('\n');
    }

    /// Says that an address is listened on.
    pub fn serving(&self, address: SocketAddr) {
        if self.style == Style::Taskcluster {
            let text = if address.ip().is_unspecified() { format!(":{}", address.port()) } else { address.to_string() };
            self.say(&format!("Serving on {text}"));
        }
    }

    fn call(&self, Line { call, settled }: &Line) -> String {
        let Call { method, url, .. } = call;
        let record = serde_json::to_string(&Record { call, settled }).unwrap_or_default();
        match self.style {
            Style::Taskcluster => format!("Proxying {} | {method} | {url} | {record}", path(url)),
            Style::Relengapi => format!("{method} {url} | {record}"),
        }
    }
}

/// A call with its end, as one object.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    call: &'a Call,
    #[serde(flatten)]
    settled: &'a Settled,
}

impl FormatTime for Log {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str(&go::log_stamp(self.clock.now(), &self.zone))
    }
}

/// The path of a URL.
fn path(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, rest)| rest);
    behind.find('/').map_or("/", |at| &behind[at..])
}
