//! Start, the signals, and the two ways to stop: soft, then hard.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::brokers::Brokers;
use super::build::Appliance;
use super::environment::files_needed;
use super::hardening;
use super::listen::{self, Door, Gate};
use super::scheduler;
use super::settings::{Limits, Settings};
use super::telemetry::Log;
use super::tls::TlsDoor;
use crate::base::{Clock, Error, Result};
use crate::domain::alarms::WATCH_PERIOD;
use crate::ports::broker::Broker;
use crate::ports::keylender::WORK_TIMEOUT;
use crate::ports::systemd;
use crate::web::per_address::PerAddress;

/// For requests and loops in hand after the first signal. Init systems wait longer before they kill.
const SOFT_STOP: Duration = Duration::from_secs(20);
/// How often it is looked whether lines of the log were lost, and at least how often the service manager, if there is one,
/// hears that we are alive.
const LOSSES_PERIOD: Duration = Duration::from_secs(10);
/// Name of the control socket in the data directory.
pub const CONTROL_SOCKET: &str = "control.sock";

/// An appliance that listens and works.
pub struct Running {
    /// Where it listens; with the port that was really taken.
    pub address: SocketAddr,
    pub appliance: Appliance,
    tls: Option<Arc<TlsDoor>>,
    control: PathBuf,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    /// Reads the files of TLS again, for connections from now on. The log says how that went.
    pub fn reload(&self) {
        if let Some(tls) = &self.tls {
            tls.reload();
        }
    }

    /// Stops softly: no new connections, the requests and runs in hand end. False when time ran out.
    pub async fn stop(self) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let stopped = tokio::time::timeout(SOFT_STOP, self.tasks.wait()).await.is_ok();
        if let Err(error) = self.appliance.hosts.write_counts().await {
            tracing::warn!("the last counts of machines could not be written: {}", error.chain());
        }
        // It would be removed at the next start; this only spares a command the attempt.
        let _ = std::fs::remove_file(&self.control);
        stopped
    }
}

/// Starts an appliance on the broker of its settings, serves until a signal says stop, and stops.
pub async fn serve(settings: &Settings, log: &Log) -> Result<()> {
    // Before anything else: a signal that comes while it starts must not end it the hard way.
    let mut terminate = handler(SignalKind::terminate())?;
    let mut interrupt = handler(SignalKind::interrupt())?;
    let mut hangup = handler(SignalKind::hangup())?;
    let appliance = Appliance::with(settings, Clock::system(), Brokers::of(settings)?)?;
    let running = run(appliance, settings).await?;
    print_setup_link(&running, settings).await?;
    systemd::ready();
    let mut ticks = interval(systemd::alive_period().map_or(LOSSES_PERIOD, |period| period.min(LOSSES_PERIOD)));
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                systemd::reloading();
                log.reopen();
                running.reload();
                systemd::ready();
            }
            _ = ticks.tick() => {
                log.tell_losses();
                systemd::alive();
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    systemd::stopping();
    tracing::info!("stopping: letting the requests in hand end");
    tokio::select! {
        stopped = running.stop() => {
            if stopped {
                tracing::info!("stopped");
            } else {
                tracing::warn!("stopped hard: something was still in hand after {SOFT_STOP:?}");
            }
        }
        _ = terminate.recv() => tracing::warn!("stopped hard at the second signal"),
        _ = interrupt.recv() => tracing::warn!("stopped hard at the second signal"),
    }
    Ok(())
}

/// While there is no operator: where the first one is made. It goes to the terminal or the service manager's journal, and
/// not into the log, which is kept and sent on.
async fn print_setup_link(running: &Running, settings: &Settings) -> Result<()> {
    let Some(token) = running.appliance.operators.new_setup_link().await? else { return Ok(()) };
    let scheme = if running.tls.is_some() { "https" } else { "http" };
    let host = match running.address.ip() {
        ip if ip.is_unspecified() => format!("localhost:{}", running.address.port()),
        _ => running.address.to_string(),
    };
    let public = settings.listen.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
    let base = public.unwrap_or_else(|| format!("{scheme}://{host}"));
    eprintln!(
        "keylender: there is no operator yet. Make the first one here, once and within a day:\n  {base}/setup?token={}",
        token.expose()
    );
    Ok(())
}

/// Builds an appliance and starts it.
pub async fn start(settings: &Settings, clock: Clock, broker: Option<Arc<dyn Broker>>) -> Result<Running> {
    run(Appliance::build(settings, clock, broker)?, settings).await
}

/// Starts an appliance. The port is taken when this returns; the broker may still be away.
pub async fn run(appliance: Appliance, settings: &Settings) -> Result<Running> {
    // Nothing is lent before: what the store believes of the broker may be of another time.
    if appliance.backups.take_up_restored(&appliance.accounts).await? {
        appliance.monitor.forget_last_pass().await?;
        appliance.operators.end_sessions().await?;
    }
    let tls = settings.listen.tls.as_ref().map(|tls| TlsDoor::open(tls, appliance.app.clock.clone())).transpose()?;
    let tls = tls.map(Arc::new);
    allow_files(&settings.listen.limits);
    let listener = listen::bind(SocketAddr::new(settings.listen.bind, settings.listen.port)).await?;
    let address = listener.local_addr().map_err(|e| Error::internal("asking for our own address", e))?;
    let control = settings.data_dir.join(CONTROL_SOCKET);
    let control_listener = listen::bind_control(&control)?;
    let (tasks, stop) = (appliance.app.tasks.clone(), appliance.app.stop.clone());
    let door = |work_max, connections_max| Door {
        router: appliance.router.clone(),
        patience: settings.patience.head,
        work_max,
        connections_max,
    };
    let gate = gate(&appliance, settings, tls.clone());
    let limits = settings.listen.limits;
    tasks.spawn(listen::serve_network(listener, door(settings.patience.work, limits.connections), gate, stop.clone()));
    let control_door = door(WORK_TIMEOUT, listen::CONTROL_CONNECTIONS_MAX);
    tasks.spawn(listen::serve_control(control_listener, control_door, stop.clone()));
    appliance.health.listens_on(address);
    tasks.spawn(finish_what_was_left(appliance.clone()));
    tasks.spawn(keep_proxy(appliance.clone(), stop.clone()));
    scheduler::start(&appliance.loops, &tasks, &stop);
    let scheme = if tls.is_some() { "https" } else { "http" };
    tracing::info!("keylender {} listens on {scheme}://{address}", env!("CARGO_PKG_VERSION"));
    tasks.spawn(say_how_the_broker_is(appliance.clone(), stop.clone()));
    tasks.spawn(forget_ended_alarms(appliance.clone(), stop.clone()));
    tasks.spawn(tell_further_brokers(appliance.clone(), stop.clone()));
    // It makes a queue of ours at the broker.
    if !settings.monitor.mock {
        tasks.spawn(read_heartbeats(appliance.clone(), stop.clone()));
    }
    Ok(Running { address, appliance, tls, control, tasks, stop })
}

/// Records calls of the task proxy, and ends its sessions at the stop.
async fn keep_proxy(appliance: Appliance, stop: CancellationToken) {
    appliance.proxy.keep(stop).await;
}

fn gate(appliance: &Appliance, settings: &Settings, tls: Option<Arc<TlsDoor>>) -> Gate {
    let hops = appliance.app.trust_proxy.clone();
    Gate {
        patience: settings.patience.handshake,
        proxies: settings.listen.proxy_protocol.then(|| hops.clone()),
        hops,
        per_address: PerAddress::new(settings.listen.limits.connections_each),
        tls,
    }
}

/// Makes room for as many files as connections may need. Where the system does not give it, some of them will wait.
fn allow_files(limits: &Limits) {
    let needed = files_needed(limits);
    if let Some(count) = hardening::allow_files(needed).filter(|count| *count < needed) {
        tracing::warn!(
            "this process may open {count} files, and CONNECTIONS_MAX needs {needed}: raise its limit (`ulimit -n`, \
             LimitNOFILE)"
        );
    }
}

/// Takes up settings that changed, and does not let what was left unsettled wait for the loops' next turn.
async fn finish_what_was_left(appliance: Appliance) {
    match appliance.namespaces.apply_settings().await {
        Ok(0) => {}
        Ok(changed) => tracing::info!("{changed} broker users get what the settings say now"),
        Err(error) => tracing::error!("could not take up the settings: {}", error.chain()),
    }
    match appliance.keys.finish().await {
        Ok(false) => {}
        Ok(true) => tracing::warn!(
            "the change of the sealing key, which had been broken off, is done: a KEY_PASSPHRASE has to be the new one \
             before the next start"
        ),
        Err(error) => tracing::error!("the change of the sealing key waits: {}", error.chain()),
    }
    if let Err(error) = appliance.administrator.apply_settings().await {
        tracing::error!("could not take up the settings for the administrator: {}", error.chain());
    }
    if appliance.accounts.counts().await.is_ok_and(|counts| counts.unsettled > 0) {
        appliance.loops.nudge("reconcile");
    }
    if appliance.archives.has_unfinished().await.is_ok_and(|has| has) {
        appliance.loops.nudge("archives");
    }
    // Nobody can claim a namespace that is half removed.
    if appliance.namespaces.list_expired().await.is_ok_and(|over| !over.is_empty()) {
        appliance.loops.nudge("expire");
    }
}

/// How often somebody asks after the broker, so that the log says when it goes and when it comes back.
const BROKER_WATCH_PERIOD: Duration = Duration::from_secs(30);

/// Asks after the broker now and then, which says in the log whether it is well or what to do, when that changes.
async fn say_how_the_broker_is(appliance: Appliance, stop: CancellationToken) {
    let watch = async {
        loop {
            appliance.health.broker().await;
            sleep(BROKER_WATCH_PERIOD).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = watch => {}
    }
}

/// Looks now and then whether alarms that were acknowledged are over. No loop of the table: it changes nothing that
/// anybody waits for, and what it did is in the audit log.
async fn forget_ended_alarms(appliance: Appliance, stop: CancellationToken) {
    let watch = async {
        loop {
            sleep(WATCH_PERIOD).await;
            if let Err(error) = appliance.app.alarms.forget_ended().await {
                tracing::warn!("could not look after acknowledged alarms: {}", error.chain());
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = watch => {}
    }
}

/// Tells the further brokers what the main one was told. No loop of the table: what comes late, `reconcile` does.
async fn tell_further_brokers(appliance: Appliance, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = appliance.accounts.follow() => {}
    }
}

/// Reads the heartbeats of agents, if any are declared. No loop of the table: it waits for what comes.
async fn read_heartbeats(appliance: Appliance, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = appliance.agents.read_heartbeats() => {}
    }
}

fn handler(kind: SignalKind) -> Result<tokio::signal::unix::Signal> {
    signal(kind).map_err(|e| Error::internal("listening for signals", e))
}
