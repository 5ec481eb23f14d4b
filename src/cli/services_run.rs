//! `keylender services run`: the services of a task's payload beside the task; and `clean`, which removes what is left over.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::proxy::{attach, secrets, variable};
use super::{Failure, Outcome, output, services_payload};
use crate::app::Caller;
use crate::app::hardening::Before;
use crate::app::services::{Directory, Pull, Run as Running, Task, Voice, Wanted, clean};
use crate::app::settings::Settings;
use crate::base::{Clock, Error, Result, Span};
use crate::ports::engine::Engine;
use crate::ports::{own_hosts, system};
use crate::proto::services::ImageName;

/// What this program is called in the process of a task, before it becomes the task.
pub(super) const TASK: &str = "keylender-services-task";
const EXAMPLES: &str = "Examples:
  keylender services run payload.json --provisioner aws --worker-type builder -- ./task.sh
  keylender services run payload.json --provisioner aws --worker-type builder --task-image debian:12 -- make check";
/// What the task does not inherit: who this runner is to the appliance.
const WITHOUT: &[&str] = &["KEYLENDER_TOKEN", "KEYLENDER_TOKEN_FILE"];
/// Where engines are asked, unless something else is named.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];
const READY_WITHIN: Duration = Duration::from_secs(120);
const LASTS: Duration = Duration::from_secs(24 * 3600);
/// The appliance allows no session to last longer.
const LASTS_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// For lines that are still to be written when all is over.
const LAST_LINES: Duration = Duration::from_secs(1);
/// As shells have it: a program that is there and cannot be run, and one that is not.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    /// The payload of the task in JSON, or - for standard input
    payload: PathBuf,
    /// Whose worker this is
    #[arg(long, value_name = "ID")]
    provisioner: String,
    /// Which kind of worker this is
    #[arg(long, value_name = "ID")]
    worker_type: String,
    /// The task, whose scopes are looked up
    #[arg(long, value_name = "TASKID")]
    task: Option<String>,
    /// Its run [default: 0]
    #[arg(long, value_name = "N", requires = "task")]
    run: Option<u32>,
    /// A scope of the task; may be repeated
    #[arg(long, value_name = "SCOPE")]
    task_scope: Vec<String>,
    /// Credentials of the worker, as JSON in a file, for upstreams that are signed for
    #[arg(long, value_name = "FILE")]
    credentials: Option<String>,
    /// Run the task in a container of this image, instead of on this host
    #[arg(long, value_name = "IMAGE")]
    task_image: Option<ImageName>,
    /// Which images are fetched
    #[arg(long, value_enum, default_value = "missing")]
    pull: PullChoice,
    /// How long services may take to be ready, such as `5 minutes` [default: 2 minutes]
    #[arg(long, value_name = "SPAN")]
    ready_within: Option<Span>,
    /// How long all of it may last, at most 7 days [default: 1 day]
    #[arg(long, value_name = "SPAN")]
    lasts: Option<Span>,
    /// How much of the output of each service is shown
    #[arg(long, value_name = "BYTES", default_value_t = 10 << 20)]
    max_log: u64,
    #[command(flatten)]
    engine: EngineChoice,
    /// The task; without one the services run until a signal comes
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Args)]
#[command(after_help = "Example:\n  keylender services clean")]
pub(super) struct Clean {
    /// Also what runners started that are not known here, whether they live or not
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    engine: EngineChoice,
}

#[derive(Args)]
struct EngineChoice {
    /// The socket of Docker or podman [default: DOCKER_HOST, or the usual places]
    #[arg(long, value_name = "unix:///PATH")]
    engine: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PullChoice {
    Missing,
    Always,
    Never,
}

impl From<PullChoice> for Pull {
    fn from(choice: PullChoice) -> Self {
        match choice {
            PullChoice::Missing => Self::Missing,
            PullChoice::Always => Self::Always,
            PullChoice::Never => Self::Never,
        }
    }
}

pub(super) async fn run(command: Run, settings: &Settings, before: Arc<Before>) -> Outcome {
    let payload = services_payload::read(&command.payload)?;
    // Before anything is begun that no signal would end.
    let stop = stopped()?;
    let caller = caller(settings)?;
    let directory = Directory::open(&directory()?)?;
    let engine = engine(&command.engine).await?;
    let lasts = command.lasts.map_or(LASTS, Span::size);
    if lasts > LASTS_MAX {
        return Err(Error::invalid("--lasts is at most 7 days").into());
    }
    let wanted = Wanted {
        payload,
        asked: asked(&command)?,
        task: match command.task_image {
            Some(image) => Task::Image { image, command: command.command },
            None if command.command.is_empty() => Task::Nothing,
            None => Task::Here { command: command.command, alias: TASK, without: WITHOUT },
        },
        pull: command.pull.into(),
        ready_within: command.ready_within.map_or(READY_WITHIN, Span::size),
        lasts,
        log_len_max: command.max_log,
        before_task: Box::new(move || before.restore()),
    };
    let (voice, lines) = Voice::new();
    let written = write(lines);
    let outcome = match Running::new(engine, caller, wanted, voice, directory) {
        Ok(running) => running.run(stop).await,
        Err(error) => Err(error),
    };
    // Its other end is gone with the run; nobody waits for long for a reader who does not read.
    let _ = tokio::time::timeout(LAST_LINES, written).await;
    match outcome? {
        0 => Ok(()),
        code => Err(Failure::Code(u8::try_from(code).unwrap_or(u8::MAX))),
    }
}

pub(super) async fn run_clean(command: Clean) -> Outcome {
    let directory = Directory::open(&directory()?)?;
    let engine = engine(&command.engine).await?;
    let (voice, lines) = Voice::new();
    let written = write(lines);
    let outcome = clean(&engine, &directory, command.all, &voice).await;
    drop(voice);
    // As above.
    let _ = tokio::time::timeout(LAST_LINES, written).await;
    Ok(outcome?)
}

/// Becomes the task: with its own file of hosts, and to end when the runner does.
pub(super) fn become_task(arguments: &[OsString]) -> ExitCode {
    let [parent, hosts, program, rest @ ..] = arguments else { return ExitCode::from(CANNOT_RUN) };
    if !parent.to_str().and_then(|id| id.parse().ok()).is_some_and(own_hosts::die_with) {
        return ExitCode::from(CANNOT_RUN);
    }
    if hosts != "-"
        && let Err(error) = own_hosts::see(Path::new(hosts))
    {
        output::remark(&format!("the names of services do not resolve, but <NAME>_SERVICE_HOST has them: {error}"));
    }
    let error = Command::new(program).args(rest).exec();
    output::complain(&format!("cannot run {}: {error}", program.display()));
    ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN })
}

/// What else the appliance is asked.
fn asked(command: &Run) -> Result<std::collections::BTreeMap<&'static str, Value>> {
    let mut asked = std::collections::BTreeMap::from([
        ("provisionerId", json!(command.provisioner)),
        ("workerType", json!(command.worker_type)),
    ]);
    if let Some(task) = &command.task {
        asked.insert("taskId", json!(task));
        asked.insert("runId", json!(command.run.unwrap_or(0)));
    }
    if !command.task_scope.is_empty() {
        asked.insert("taskScopes", json!(command.task_scope));
    }
    if let Some(text) = secrets::read(command.credentials.as_deref(), None)? {
        let secrets::Credentials { client_id, access_token, certificate } = secrets::credentials(&text)?;
        let credentials = json!({ "clientId": client_id, "accessToken": access_token, "certificate": certificate });
        asked.insert("credentials", credentials);
    }
    Ok(asked)
}

/// The appliance that the environment names, or that of this host.
fn caller(settings: &Settings) -> Result<Caller> {
    match attach::named_by_environment()? {
        Some((url, who)) => Caller::signing(&url, who, Clock::system()),
        None => Caller::of_this_host(settings),
    }
}

async fn engine(choice: &EngineChoice) -> Result<Engine> {
    let named = choice.engine.clone().map(|named| ("--engine", named));
    let named = named.or_else(|| variable("DOCKER_HOST").map(|named| ("DOCKER_HOST", named)));
    let Some((what, named)) = named else {
        let Some(socket) = SOCKETS.iter().find(|socket| Path::new(socket).exists()) else {
            let words =
                "there is no container engine on this host: install docker.io or podman, or name one by --engine";
            return Err(Error::unavailable(words));
        };
        return Engine::connect(Path::new(socket)).await;
    };
    match named.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
        Some(path) => Engine::connect(Path::new(path)).await,
        None => Err(Error::invalid(format!(
            "{what} must be a socket of this host, like unix:///run/podman/podman.sock, and not {named}"
        ))),
    }
}

/// Where runners have their locks.
fn directory() -> Result<PathBuf> {
    let base = if system::user() == 0 { Some("/run".to_owned()) } else { variable("XDG_RUNTIME_DIR") };
    let base = base.ok_or_else(|| Error::invalid("XDG_RUNTIME_DIR must name a directory for the locks of runners"))?;
    Ok(Path::new(&base).join("keylender-services"))
}

/// Writes lines on standard error, on a thread of its own: a reader who is slow holds up services that say much, and nothing
/// else.
async fn write_all(mut lines: mpsc::Receiver<String>) {
    // It ends with the last one.
    let _ = tokio::task::spawn_blocking(move || {
        while let Some(line) = lines.blocking_recv() {
            output::remark(&line);
        }
    })
    .await;
}

fn write(lines: mpsc::Receiver<String>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(write_all(lines))
}

/// The number of the first signal that says stop.
fn stopped() -> Result<impl Future<Output = i32>> {
    let listen = |kind| signal(kind).map_err(|e| Error::internal("listening for signals", e));
    let [mut hangup, mut interrupt, mut terminate] =
        [listen(SignalKind::hangup())?, listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?];
    Ok(async move {
        tokio::select! {
            _ = hangup.recv() => SignalKind::hangup().as_raw_value(),
            _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    })
}
