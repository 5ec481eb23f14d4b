//! Can the appliance do its work: figures for health checks, metrics and the console. Changes nothing
//! but its own mark in the store.

mod doctor;
mod figures;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

pub use doctor::{CertificateFile, Environment, Finding, Grade, installed};
pub use figures::Figures;

use super::accounts::TAG;
use super::loops::Loops;
use super::parts::Parts;
use crate::base::{Error, Kind, Result, Timestamp, VhostName};
use crate::ports::broker::{Access, Cluster, Handle, Identity, Site};
use crate::ports::log::Tail;
use crate::store::Table;

/// How long an answer about the broker is believed, so that a load balancer's checks do not become its load.
const BROKER_FRESH: Duration = Duration::from_secs(2);
/// A health check answers within this time whatever the broker does.
const BROKER_TIMEOUT: Duration = Duration::from_secs(4);
/// The same of the store: what is written for it is written no more often.
const STORE_FRESH: Duration = Duration::from_secs(3);
/// A commit takes milliseconds; a disk that hangs must not hang the health check.
const STORE_TIMEOUT: Duration = Duration::from_secs(4);
/// What a health check writes: when it last could.
const HEALTH: Table<String, Timestamp> = Table::plain("health");
/// The one key of that table.
const WRITTEN: &str = "written";
/// The clock is wrong when it shows an earlier moment than this program's writing.
const CLOCK_MIN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// One thing that must be well, and what is wrong with it if it is not.
#[derive(Clone, Debug)]
pub struct Check {
    /// `store`, `broker`, `clock`.
    pub name: &'static str,
    /// `Ok` with a remark, or what is wrong in a form that everybody may read.
    pub state: std::result::Result<String, String>,
}

/// Where things lie, for the doctor.
#[derive(Clone, Debug)]
pub struct Places {
    /// The directory of the store.
    pub data_dir: PathBuf,
    /// The file of the key that seals secrets; `None` for a passphrase.
    pub key_file: Option<PathBuf>,
}

/// What stands around the parts, for the doctor.
pub struct Around {
    pub cluster: Handle<dyn Cluster>,
    /// How the further brokers are, and who we are to each.
    pub further: Vec<(Site<dyn Cluster>, Site<dyn Identity>)>,
    pub vhost: VhostName,
    pub places: Places,
    /// Where it is at work.
    pub environment: Environment,
    /// The last lines of the log.
    pub log: Tail,
}

/// A version of the broker, and the setting whose pattern it cannot read.
type Judged = (String, Option<&'static str>);

/// The state of the appliance. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    parts: Arc<Parts>,
    loops: Loops,
    around: Arc<Around>,
    started: Instant,
    started_at: Timestamp,
    begun: Duration,
    broker: Arc<Mutex<Option<(Instant, Check)>>>,
    store: Arc<Mutex<Option<(Instant, Check)>>>,
    /// How the broker reads our patterns, as far as it was asked.
    patterns: Arc<Mutex<Option<Judged>>>,
}

impl Health {
    /// Begins to count the uptime.
    pub fn new(parts: Arc<Parts>, loops: Loops, around: Around) -> Self {
        let (started_at, begun) = (parts.clock.now(), parts.clock.elapsed());
        Self {
            parts,
            loops,
            around: around.into(),
            started: Instant::now(),
            started_at,
            begun,
            broker: Arc::default(),
            store: Arc::default(),
            patterns: Arc::default(),
        }
    }

    /// The same by the clock that the loops run by.
    fn runs_for(&self) -> Duration {
        self.parts.clock.elapsed().saturating_sub(self.begun)
    }

    /// Takes down where it listens, for the doctor.
    pub fn listens_on(&self, address: SocketAddr) {
        // It listens once in its life.
        let _ = self.around.environment.listens.set(address);
    }

    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The last lines of the log, the oldest first.
    pub fn log_tail(&self) -> Vec<String> {
        self.around.log.lines()
    }

    /// All that must be well.
    pub async fn check(&self) -> Vec<Check> {
        vec![self.store().await, self.broker().await, self.clock()]
    }

    /// The same without asking a neighbour: of the broker, what was heard last.
    pub async fn glance(&self) -> Vec<Check> {
        // Somebody who is asking it right now will know soon.
        let broker = self.broker.try_lock().ok().and_then(|last| last.as_ref().map(|(_, check)| check.clone()));
        [Some(self.store().await), broker, Some(self.clock())].into_iter().flatten().collect()
    }

    /// Only an attempt to write tells whether claims could be audited, and only one that reaches the disk: so a small
    /// record is committed as they are, at most every few seconds, by one asker at a time.
    async fn store(&self) -> Check {
        let mut last = self.store.lock().await;
        if let Some((_, check)) = last.as_ref().filter(|(at, _)| at.elapsed() < STORE_FRESH) {
            return check.clone();
        }
        let written = self.parts.store.write(|tx| {
            let now = tx.now();
            tx.put(&HEALTH, &WRITTEN.to_owned(), &now)
        });
        let written = timeout(STORE_TIMEOUT, written).await;
        let written = written.unwrap_or_else(|_| Err(Error::unavailable("the store cannot be written in time")));
        let state = written.and_then(|()| self.parts.namespaces.count());
        let state = state.map(|n| format!("{n} namespaces")).map_err(|e| e.message().to_owned());
        let check = Check { name: "store", state };
        *last = Some((Instant::now(), check.clone()));
        check
    }

    fn clock(&self) -> Check {
        let now = self.parts.clock.now();
        let state = if now >= CLOCK_MIN {
            Ok(now.to_string())
        } else {
            Err(format!("it shows {now}, which is past: set the clock of this host"))
        };
        Check { name: "clock", state }
    }

    /// The broker, asked at most every other second, by one asker at a time.
    pub async fn broker(&self) -> Check {
        let mut last = self.broker.lock().await;
        if let Some((_, check)) = last.as_ref().filter(|(at, _)| at.elapsed() < BROKER_FRESH) {
            return check.clone();
        }
        let asked = timeout(BROKER_TIMEOUT, self.ask_broker()).await;
        let state = asked.unwrap_or_else(|_| Err(Error::unavailable("the broker does not answer in time")));
        let before = last.as_ref().map(|(_, check)| &check.state);
        let check = Check { name: "broker", state: report_change(state, before) };
        *last = Some((Instant::now(), check.clone()));
        check
    }

    async fn ask_broker(&self) -> Result<String> {
        let cluster = self.around.cluster.get()?;
        let overview = cluster.overview().await?;
        let us = self.parts.administrator.whoami().await?;
        if !us.tags.iter().any(|tag| tag == TAG) {
            return Err(Error::new(Kind::Unavailable, "our broker user is not an administrator"));
        }
        if !cluster.vhost_exists(&self.around.vhost).await? {
            return Err(Error::new(Kind::Unavailable, "the broker has no such vhost: see TASKCLUSTER_AMQP_VHOST"));
        }
        if let Some(setting) = self.unreadable_setting(&**cluster, &overview.version).await? {
            return Err(Error::new(
                Kind::Unavailable,
                format!("RabbitMQ {} cannot read the pattern of {setting}", overview.version),
            ));
        }
        Ok(format!("RabbitMQ {}", overview.version))
    }

    /// The setting whose pattern this broker cannot read, if there is one. It is asked once for each of its versions.
    async fn unreadable_setting(&self, cluster: &dyn Cluster, version: &str) -> Result<Option<&'static str>> {
        let mut judged = self.patterns.lock().await;
        if let Some((_, setting)) = judged.as_ref().filter(|(of, _)| of == version) {
            return Ok(*setting);
        }
        let mut unreadable = None;
        for (setting, pattern) in self.patterns_of_settings()? {
            if unreadable.is_none() && !cluster.reads_pattern(&pattern).await? {
                unreadable = Some(setting);
            }
        }
        *judged = Some((version.to_owned(), unreadable));
        Ok(unreadable)
    }

    /// The patterns of lent users, each with the setting that it comes from, as a namespace has them.
    fn patterns_of_settings(&self) -> Result<[(&'static str, String); 3]> {
        let namespaces = &self.parts.namespaces;
        let Access { configure, write, read } =
            namespaces.access(&namespaces.parse(&format!("{}x", namespaces.prefix()))?);
        Ok([("USER_CONFIG_PERMISSION", configure), ("USER_WRITE_PERMISSION", write), ("USER_READ_PERMISSION", read)])
    }
}

/// What everybody may read of it. The cause, which may name hosts, goes to the log when the state changes.
fn report_change(
    state: Result<String>,
    before: Option<&std::result::Result<String, String>>,
) -> std::result::Result<String, String> {
    match state {
        Ok(remark) => {
            if !matches!(before, Some(Ok(_))) {
                tracing::info!("the broker is well: {remark}");
            }
            Ok(remark)
        }
        Err(error) => {
            let problem = error.message().to_owned();
            if before != Some(&Err(problem.clone())) {
                tracing::warn!(
                    "the broker is not well, and claims that need it are answered with 503: {}",
                    error.chain()
                );
            }
            Err(problem)
        }
    }
}
