//! Can the appliance do its work: figures for health checks, metrics and the console. Changes nothing.

mod diagnosis;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

pub use diagnosis::{CertificateFile, Finding, Grade, Premises};

use super::accounts::Accounts;
use super::hosts::Hosts;
use super::namespaces::Namespaces;
use crate::base::{Clock, Error, Kind, Result, Timestamp, VhostName};
use crate::store::Store;

/// How long an answer about the broker is believed, so that a load balancer's checks do not become its load.
const BROKER_FRESH: Duration = Duration::from_secs(2);
/// A health check answers within this time whatever the broker does.
const BROKER_TIMEOUT: Duration = Duration::from_secs(4);
/// The tag without which a broker user can do nothing for us (rabbitmq.md 2.1).
const ADMINISTRATOR: &str = "administrator";
/// The clock is wrong when it shows an earlier moment than this program's writing.
const CLOCK_MIN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// One thing that must be well, and what is wrong with it if it is not.
#[derive(Clone, Debug)]
pub struct Vital {
    /// `store`, `broker`, `clock`.
    pub name: &'static str,
    /// `Ok` with a remark, or what is wrong in a form that everybody may read.
    pub state: std::result::Result<String, String>,
}

/// Figures for metrics and the console.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Namespaces in the store.
    pub namespaces: u64,
    /// Broker users we answer for.
    pub accounts: u64,
    /// Of these, how many the broker is not known to have as wished.
    pub accounts_unsettled: u64,
    /// Addresses of machines that asked for credentials.
    pub hosts: u64,
    /// Seconds since the start.
    pub uptime_seconds: f64,
}

/// The state of the appliance. Cheap to clone.
#[derive(Clone)]
pub struct Vitals {
    store: Store,
    accounts: Accounts,
    namespaces: Namespaces,
    hosts: Hosts,
    vhost: VhostName,
    premises: Arc<Premises>,
    clock: Clock,
    started: tokio::time::Instant,
    broker: Arc<Mutex<Option<(tokio::time::Instant, Vital)>>>,
}

impl Vitals {
    /// Begins to count the uptime.
    pub fn new(
        store: Store,
        accounts: Accounts,
        namespaces: Namespaces,
        hosts: Hosts,
        vhost: VhostName,
        premises: Premises,
        clock: Clock,
    ) -> Self {
        let started = tokio::time::Instant::now();
        let premises = Arc::new(premises);
        Self { store, accounts, namespaces, hosts, vhost, premises, clock, started, broker: Arc::default() }
    }

    /// Takes down where it listens, for the doctor.
    pub fn listens_on(&self, address: SocketAddr) {
        // It listens once in its life.
        let _ = self.premises.listens.set(address);
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// All that must be well.
    pub async fn check(&self) -> Vec<Vital> {
        vec![self.store().await, self.broker().await, self.clock()]
    }

    /// The figures.
    pub fn figures(&self) -> Result<Figures> {
        let (accounts, accounts_unsettled) = self.accounts.counts()?;
        let uptime_seconds = self.uptime().as_secs_f64();
        let (namespaces, hosts) = (self.namespaces.count()?, self.hosts.count_known()?);
        Ok(Figures { namespaces, accounts, accounts_unsettled, hosts, uptime_seconds })
    }

    /// A disk that once refused a write is read on, so that only an attempt to write tells.
    async fn store(&self) -> Vital {
        let writable = self.store.write(|_| Ok(())).await;
        let counted = writable.and_then(|()| self.namespaces.count());
        Vital { name: "store", state: counted.map(|n| format!("{n} namespaces")).map_err(|e| e.message().to_owned()) }
    }

    fn clock(&self) -> Vital {
        let now = self.clock.now();
        let state = match now >= CLOCK_MIN {
            true => Ok(now.to_string()),
            false => Err(format!("it shows {now}, which is past: set the clock of this host")),
        };
        Vital { name: "clock", state }
    }

    /// The broker, asked at most every other second, by one asker at a time.
    pub async fn broker(&self) -> Vital {
        let mut last = self.broker.lock().await;
        if let Some((_, vital)) = last.as_ref().filter(|(at, _)| at.elapsed() < BROKER_FRESH) {
            return vital.clone();
        }
        let asked = tokio::time::timeout(BROKER_TIMEOUT, self.ask_broker()).await;
        let state = asked.unwrap_or_else(|_| Err(Error::unavailable("the broker does not answer in time")));
        let before = last.as_ref().map(|(_, vital)| &vital.state);
        let vital = Vital { name: "broker", state: told(state, before) };
        *last = Some((tokio::time::Instant::now(), vital.clone()));
        vital
    }

    async fn ask_broker(&self) -> Result<String> {
        let broker = self.accounts.broker()?;
        let overview = broker.overview().await?;
        let us = broker.whoami().await?;
        if !us.tags.iter().any(|tag| tag == ADMINISTRATOR) {
            return Err(Error::new(Kind::Unavailable, "our broker user is not an administrator"));
        }
        if !broker.vhost_exists(&self.vhost).await? {
            return Err(Error::new(Kind::Unavailable, "the broker has no such vhost: see TASKCLUSTER_AMQP_VHOST"));
        }
        Ok(format!("RabbitMQ {}", overview.version))
    }
}

/// What everybody may read of it. The cause, which may name hosts, goes to the log when the state changes.
fn told(
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
