//! The task itself, on this host or in a container.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::answer::TaskPlace;
use super::watch::ended;
use crate::base::{Error, Result};
use crate::ports::engine::{Engine, Logs};
use crate::ports::own_hosts::HOSTS;
use crate::ports::system;
use crate::proto::frames::Output;

/// The program that runs, whatever became of its file.
const PROGRAM: &str = "/proc/self/exe";
/// In the place of a file of hosts, where the task sees the system's.
pub const NO_HOSTS: &str = "-";
/// For what a container said last, after it ended.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// What an engine calls itself that may end the output of a container too early.
const PODMAN: &str = "podman";
/// Behind the exit code of a program that a signal ended.
pub(super) const BY_SIGNAL: i32 = 128;

/// A task on this host.
pub(super) struct Here {
    child: Child,
    /// It leads a group of its own, which is killed as a whole.
    group: Option<Pid>,
}

impl Here {
    /// Starts it. This program, by the name `alias`, becomes the command in a process of its own.
    pub fn start(
        alias: &str,
        command: &[String],
        without: &[&str],
        environment: &BTreeMap<String, String>,
        hosts: Option<&Path>,
    ) -> Result<Self> {
        let mut child = Command::new(PROGRAM);
        child.arg0(alias).arg(std::process::id().to_string());
        child.arg(hosts.unwrap_or(Path::new(NO_HOSTS))).args(command);
        without.iter().for_each(|name| {
            child.env_remove(name);
        });
        child.envs(environment).kill_on_drop(true);
        // In a group of its own it could not read from a terminal.
        let has_group = !io::stdin().is_terminal();
        if has_group {
            child.process_group(0);
        }
        let child = child.spawn().map_err(|e| Error::unavailable("the task could not be started").because(e))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { group: id.filter(|_| has_group), child })
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<i32> {
        let status = self.child.wait().await.map_err(|e| Error::internal("waiting for the task", e))?;
        if let Some(group) = self.group.take() {
            // What it left in the background ends with it, as it does in a container.
            let _ = kill_process_group(group, Signal::KILL);
        }
        Ok(exit_code(status))
    }

    /// Kills it, if it runs, with all that is of its group.
    pub fn kill(&mut self) {
        if let (Some(group), Some(_)) = (self.group, self.child.id()) {
            // It may have ended just now.
            let _ = kill_process_group(group, Signal::KILL);
        }
        // As above.
        let _ = self.child.start_kill();
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| BY_SIGNAL + status.signal().unwrap_or_default())
}

/// Writes a copy of the system's hosts with these, where a task on this host can be made to see it.
pub(super) fn write_hosts(path: &Path, hosts: &BTreeMap<String, IpAddr>) -> Result<bool> {
    if system::user() != 0 {
        return Ok(false);
    }
    // In front: the first that has a name counts.
    let mut text: String = hosts.iter().map(|(name, address)| format!("{address}\t{name}\n")).collect();
    text.push_str(&fs::read_to_string(HOSTS).unwrap_or_default());
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        // Whatever user the task becomes.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
    };
    write().map_err(|e| Error::unavailable("the hosts of the task could not be written").because(e))?;
    Ok(true)
}

/// Bytes of each output that were handed on.
#[derive(Default)]
struct Told([AtomicUsize; 2]);

/// Hands on what the task's container says until it ended, and tells its exit code.
pub(super) async fn follow(engine: &Engine, place: &TaskPlace) -> Result<i32> {
    let (name, told) = (&place.container.name, Told::default());
    let mut speaking = Box::pin(async { speak(engine.logs(name).await?, &told).await });
    let mut ending = Box::pin(ended(engine, name));
    let code = tokio::select! {
        // It may be broken off, when the engine is away for a moment: its container goes on.
        _ = &mut speaking => ending.await?,
        code = &mut ending => {
            // What is still on its way.
            let _ = timeout(LAST_WORDS, speaking).await;
            code?
        }
    };
    if engine.version().name == PODMAN {
        let rest = async { speak(engine.logs_so_far(name).await?, &told).await };
        // What cannot be told in time is lost, and its end is known all the same.
        let _ = timeout(LAST_WORDS, rest).await;
    }
    code_of(code)
}

fn code_of(code: i64) -> Result<i32> {
    i32::try_from(code).map_err(|e| Error::internal("reading an exit code", e))
}

/// An output of this process, whose reader may be slow.
fn own(output: BorrowedFd<'_>) -> Result<tokio::fs::File> {
    let failed = |e| Error::internal("opening an output of this process", e);
    let file = output.try_clone_to_owned().map_err(failed)?;
    Ok(tokio::fs::File::from_std(file.into()))
}

/// Hands on what was not told yet.
async fn speak(mut logs: Logs, told: &Told) -> Result<()> {
    let (mut out, mut error) = (own(io::stdout().as_fd())?, own(io::stderr().as_fd())?);
    let mut known = [0, 1].map(|output| told.0[output].load(Ordering::Relaxed));
    while let Some(said) = logs.next().await? {
        for (output, bytes) in said {
            let (at, file) = if output == Output::Out { (0, &mut out) } else { (1, &mut error) };
            let skipped = bytes.len().min(known[at]);
            known[at] -= skipped;
            // Nobody is left to tell when it is closed, and the task goes on.
            let _ = file.write_all(&bytes[skipped..]).await;
            let _ = file.flush().await;
            told.0[at].fetch_add(bytes.len() - skipped, Ordering::Relaxed);
        }
    }
    Ok(())
}
