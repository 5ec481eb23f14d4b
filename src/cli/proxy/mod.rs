//! The task proxy by the names of its ancestors: their options, their messages, their exit codes (proxy.md 6). Neither reads
//! the settings of this host or opens a store.

pub(super) mod attach;
mod operate;
mod relengapi;
pub(super) mod secrets;
mod taskcluster;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

pub(super) use operate::{Proxy, offline, run as operate};

use jiff::tz::TimeZone;

use super::output;
use crate::app::hardening;
use crate::base::{Error, Result};
use crate::ports::upstream::Pins;
use crate::proto::proxy::command_line::Syntax;

/// Where names are that DNS is not asked for.
const RESOLVE: &str = "PROXY_RESOLVE";

/// One of the programs that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ancestor {
    /// taskcluster-proxy.
    Taskcluster,
    /// relengapi-proxy.
    Relengapi,
}

/// Which program this is called as, if it is one of them.
pub(super) fn called_as(name: &OsStr) -> Option<Ancestor> {
    match Path::new(name).file_name()?.to_str()? {
        "taskcluster-proxy" => Some(Ancestor::Taskcluster),
        "relengapi-proxy" => Some(Ancestor::Relengapi),
        _ => None,
    }
}

/// Which of them `keylender proxy` is with these arguments, if it is one: with an option in front, or with scopes alone.
pub(super) fn meant_by(arguments: &[OsString]) -> Option<Ancestor> {
    let first = arguments.first()?.to_str()?;
    let is_command = ["session", "explain", "upstreams", "store", "check", "help", "-h", "--help"].contains(&first);
    if is_command || first.starts_with("--config") {
        return None;
    }
    let is_relengapi = arguments.iter().any(|text| text.to_str().is_some_and(|text| text.starts_with("--relengapi")));
    Some(if is_relengapi { Ancestor::Relengapi } else { Ancestor::Taskcluster })
}

/// Runs one of them until a signal ends it. Every error is exit code 1 with a line on standard error.
pub(super) fn run(ancestor: Ancestor, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    hardening::harden();
    let arguments: Result<Vec<String>> = arguments.into_iter().map(text).collect();
    // One task asks one process: a second thread would only pass work to and fro.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = arguments.and_then(|arguments| {
        let runtime = runtime.map_err(|e| Error::internal("starting the runtime", e))?;
        runtime.block_on(async {
            match ancestor {
                Ancestor::Taskcluster => taskcluster::run(&arguments).await,
                Ancestor::Relengapi => relengapi::run(&arguments).await,
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::remark(&error.chain());
            ExitCode::FAILURE
        }
    }
}

fn text(argument: OsString) -> Result<String> {
    argument.into_string().map_err(|_| Error::invalid("an argument is not UTF-8"))
}

/// A wrong command line, with the usage below the reason.
fn wrong(syntax: &Syntax, error: &Error) -> Error {
    Error::invalid(format!("{}\n{}", error.message(), syntax.usage))
}

/// Prints what was asked for on standard output.
fn print(text: &str) {
    // There is nobody left to tell when standard output is closed.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A variable of the environment; an empty one is none.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::vars_os()
        .find_map(|(own, value)| (own == name).then_some(value))?
        .into_string()
        .ok()
        .filter(|v| !v.is_empty())
}

/// The time zone of this host. Only a variable that names another one makes it worth to look through all there are.
fn zone() -> TimeZone {
    if variable("TZ").is_some() {
        return TimeZone::system();
    }
    let local = std::fs::read("/etc/localtime").ok().and_then(|bytes| TimeZone::tzif("Local", &bytes).ok());
    local.unwrap_or(TimeZone::UTC)
}

fn pins() -> Result<Pins> {
    Pins::parse(&variable(RESOLVE).unwrap_or_default())
}
