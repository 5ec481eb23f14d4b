//! Settings of the log.

use std::net::IpAddr;
use std::path::PathBuf;

use url::Host;

use super::parse::{self, Parsed};
use super::reader::Reader;
use super::setting::{Info, Optional, Setting};
use crate::ports::log::{Facility, SyslogSettings, Tail, Target};

pub(super) const LOG_LEVEL: Setting<String> = Setting::new("LOG_LEVEL", "log-level", "info", filter)
    .help("error, warn, info, debug or trace; also target=level lists");
pub(super) const LOG_FORMAT: Setting<bool> =
    Setting::new("LOG_FORMAT", "log-format", "text", |text| parse::one_of(text, &[("text", false), ("json", true)]))
        .help("text or json");
pub(super) const LOG_MODE: Setting<&str> =
    Setting::new("LOG_MODE", "log-mode", "stdout", |text| word(text, &["stdout", "file", "syslog"]))
        .help("where the log goes: stdout, file or syslog");
pub(super) const LOG_FILE: Optional<PathBuf> =
    Optional::new("LOG_FILE", "log-file", parse::path).help("file of the log; opened again on SIGHUP");
pub(super) const SYSLOG_HOST: Optional<String> =
    Optional::new("SYSLOG_HOST", "syslog-host", host).help("syslog server; if not set, the socket of this host");
pub(super) const SYSLOG_PORT: Setting<u16> =
    Setting::new("SYSLOG_PORT", "syslog-port", "514", parse::remote_port).help("port of the syslog server");
pub(super) const SYSLOG_PROTOCOL: Setting<&str> =
    Setting::new("SYSLOG_PROTOCOL", "syslog-protocol", "udp with SYSLOG_HOST, else local", |text| {
        word(text, &["local", "udp", "tcp"])
    })
    .follows(|values| if values.given(&SYSLOG_HOST.info).is_some() { "udp" } else { "local" }.to_owned())
    .help("local (the socket of this host), udp or tcp");
pub(super) const SYSLOG_FACILITY: Setting<Facility> =
    Setting::new("SYSLOG_FACILITY", "syslog-facility", "daemon", facility)
        .help("facility of every line, such as local0");
/// Any value outweighs `LOG_LEVEL` from any source, as it did in the ancestors.
pub(super) const DEBUG: Optional<String> =
    Optional::switch("DEBUG", "debug", parse::text).help("set to anything: LOG_LEVEL is debug, whatever else it says");

/// The socket for datagrams of this host's own syslog server.
const LOCAL_SOCKET: &str = "/dev/log";
/// The levels of the log.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// What counts for one mode only.
const MODES: [(Info, &str); 5] = [
    (LOG_FILE.info, "file"),
    (SYSLOG_HOST.info, "syslog"),
    (SYSLOG_PORT.info, "syslog"),
    (SYSLOG_PROTOCOL.info, "syslog"),
    (SYSLOG_FACILITY.info, "syslog"),
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
    let mode = read.get(&LOG_MODE);
    for (setting, needed) in &MODES {
        if read.is_given(setting) && mode != *needed {
            read.report.warning(format!("{} has no effect: LOG_MODE is {mode}", setting.name));
        }
    }
    let output = match mode {
        "file" => file(read),
        "syslog" => LogOutput::Syslog(syslog(read)),
        _ => LogOutput::Stdout,
    };
    LogSettings { filter: read.get(&LOG_LEVEL), json: read.get(&LOG_FORMAT), output, tail: Tail::default() }
}

fn file(read: &mut Reader) -> LogOutput {
    if let Some(path) = read.find(&LOG_FILE) {
        return LogOutput::File(path);
    }
    read.refuse(&LOG_MODE.info, "needs LOG_FILE as well");
    LogOutput::Stdout
}

fn syslog(read: &mut Reader) -> SyslogSettings {
    let host = read.find(&SYSLOG_HOST);
    let has_host = read.is_given(&SYSLOG_HOST.info);
    let port = read.get(&SYSLOG_PORT);
    let protocol = read.get(&SYSLOG_PROTOCOL);
    match (has_host, protocol) {
        (true, "local") => read.refuse(&SYSLOG_PROTOCOL.info, "local is the socket of this host, without SYSLOG_HOST"),
        (false, "udp" | "tcp") => read.refuse(&SYSLOG_PROTOCOL.info, "needs SYSLOG_HOST as well"),
        _ => {}
    }
    let target = match host {
        None => Target::Local(LOCAL_SOCKET.into()),
        Some(host) if protocol == "tcp" => Target::Tcp(host, port),
        Some(host) => Target::Udp(host, port),
    };
    SyslogSettings { target, facility: read.get(&SYSLOG_FACILITY) }
}

/// One of these words.
fn word(text: &str, words: &[&'static str]) -> Parsed<&'static str> {
    parse::one_of(text, &words.iter().map(|word| (*word, *word)).collect::<Vec<_>>())
}

/// A level, or a list of `target=level` with at most one level for the rest.
fn filter(text: &str) -> Parsed<String> {
    let filter = text.to_ascii_lowercase();
    let is_directive = |directive: &str| {
        let (target, level) = directive.split_once('=').unwrap_or(("all", directive));
        let is_target = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        LEVELS.contains(&level) && !target.is_empty() && target.chars().all(is_target)
    };
    let is_filter = filter.split(',').all(is_directive);
    if is_filter { Ok(filter) } else { parse::expected("error, warn, info, debug or trace", text) }
}

fn host(text: &str) -> Parsed<String> {
    let address = text.trim_start_matches('[').trim_end_matches(']');
    match (address.parse::<IpAddr>(), Host::parse(text)) {
        (Ok(address), _) => Ok(address.to_string()),
        (_, Ok(Host::Domain(name))) => Ok(name),
        _ => parse::expected("a host name or address", text),
    }
}

fn facility(text: &str) -> Parsed<Facility> {
    Facility::parse(text).map_or_else(|| parse::expected("a facility such as daemon, authpriv or local0", text), Ok)
}
