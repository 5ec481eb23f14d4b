//! Settings of the log.

use std::net::IpAddr;
use std::path::PathBuf;

use url::Host;

use super::parse;
use super::typed::Reader;
use crate::ports::log::{Facility, SyslogSettings, Tail, Target};

/// The socket for datagrams of this host's own syslog server.
const LOCAL_SOCKET: &str = "/dev/log";
/// What counts for one mode only.
const MODES: [(&str, &str); 5] = [
    ("LOG_FILE", "file"),
    ("SYSLOG_HOST", "syslog"),
    ("SYSLOG_PORT", "syslog"),
    ("SYSLOG_PROTOCOL", "syslog"),
    ("SYSLOG_FACILITY", "syslog"),
];

/// What is logged, how, and where it goes.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A level, or a list of `target=level`; valid.
    pub filter: String,
    /// Whether lines are JSON.
    pub json: bool,
    /// Where lines go.
    pub output: LogOutput,
    /// Where the last lines are kept besides.
    pub tail: Tail,
}

/// Where lines of the log go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// To standard output.
    Stdout,
    /// To a file.
    File(PathBuf),
    /// To a syslog server.
    Syslog(SyslogSettings),
}

pub(super) fn log(read: &mut Reader) -> LogSettings {
    let mode = read.required("LOG_MODE", mode);
    for (name, needed) in MODES {
        if let (Some(_), true) = (read.values.given(name), mode != needed) {
            read.report.warning(format!("{name} has no effect: LOG_MODE is {mode}"));
        }
    }
    let output = match mode {
        "file" => file(read),
        "syslog" => LogOutput::Syslog(syslog(read)),
        _ => LogOutput::Stdout,
    };
    LogSettings {
        filter: read.required("LOG_LEVEL", parse::log_filter),
        json: read.required("LOG_FORMAT", parse::log_format),
        output,
        tail: Tail::default(),
    }
}

fn file(read: &mut Reader) -> LogOutput {
    if let Some(path) = read.optional("LOG_FILE", parse::path) {
        return LogOutput::File(path);
    }
    if let Some(given) = read.values.given("LOG_MODE") {
        read.report.problem(&given.place, "LOG_MODE: needs LOG_FILE as well");
    }
    LogOutput::Stdout
}

fn syslog(read: &mut Reader) -> SyslogSettings {
    let host = read.optional("SYSLOG_HOST", host);
    let has_host = read.values.given("SYSLOG_HOST").is_some();
    let port = read.required("SYSLOG_PORT", parse::remote_port);
    let protocol = read.required("SYSLOG_PROTOCOL", protocol);
    if let (Some(given), true) = (read.values.given("SYSLOG_PROTOCOL"), has_host == (protocol == "local")) {
        let message = match has_host {
            true => "SYSLOG_PROTOCOL: local is the socket of this host, without SYSLOG_HOST",
            false => "SYSLOG_PROTOCOL: needs SYSLOG_HOST as well",
        };
        read.report.problem(&given.place, message);
    }
    let target = match host {
        None => Target::Local(LOCAL_SOCKET.into()),
        Some(host) if protocol == "tcp" => Target::Tcp(host, port),
        Some(host) => Target::Udp(host, port),
    };
    SyslogSettings { target, facility: read.required("SYSLOG_FACILITY", facility) }
}

fn mode(text: &str) -> Result<&'static str, String> {
    let known = ["stdout", "file", "syslog"].into_iter().find(|known| *known == text);
    known.ok_or_else(|| format!("expected stdout, file or syslog, not {text:?}"))
}

fn host(text: &str) -> Result<String, String> {
    let address = text.trim_start_matches('[').trim_end_matches(']');
    match (address.parse::<IpAddr>(), Host::parse(text)) {
        (Ok(address), _) => Ok(address.to_string()),
        (_, Ok(Host::Domain(name))) => Ok(name),
        _ => Err(format!("expected a host name or address, not {text:?}")),
    }
}

fn protocol(text: &str) -> Result<&'static str, String> {
    let known = ["local", "udp", "tcp"].into_iter().find(|known| *known == text);
    known.ok_or_else(|| format!("expected local, udp or tcp, not {text:?}"))
}

fn facility(text: &str) -> Result<Facility, String> {
    Facility::parse(text).ok_or_else(|| format!("expected a facility such as daemon, authpriv or local0, not {text:?}"))
}
