//! Services beside a task: containers that its payload names, each with a session of the task proxy that holds what its image was
//! given, and nothing else.
//!
//! What a payload says was read by `proto::services`. `identity` decides by which name an image is delegated to, `delegation` what
//! that is worth, `networks` and `bodies` what the worker's engine is told to make. All of it is decided, and in the audit log,
//! before anything runs. A set has no record of its own: it is the sessions that carry its id (`sets`), and lives and ends with them.

mod bodies;
mod delegation;
mod identity;
mod networks;
mod sets;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipnet::Ipv4Net;
use tokio::sync::OwnedMutexGuard;

pub use bodies::{Common, LABEL, Make};
use delegation::{For, Judged};
pub use identity::ImageFacts;
pub use networks::Network;
pub use sets::SetView;

use crate::base::audit::{Action, Note, Outcome};
use crate::base::{Error, Kind, LocalImage, Result, Scope, ServiceSetId, Timestamp, WorkerType};
use crate::domain::auth::{Auth, Caller};
use crate::domain::proxy::{self, Credentials, Live, Proxy, TaskRun};
use crate::ports::sockets;
use crate::proto::services::{Payload, Service};
use crate::store::Store;

/// Networks that a worker says are taken: a host has some dozens.
const TAKEN_MAX: usize = 4096;
/// Labels of a worker's own.
const LABELS_MAX: usize = 32;
/// Bytes of a label of a worker's own, name and text each.
const LABEL_LEN_MAX: usize = 1024;
/// Scopes of a service, and of the task that it can read: as many as those of a session.
const SCOPES_MAX: usize = 500;
/// It is over when its worker was not heard of for so long, unless the worker says another time.
const HEARD_WITHIN: Duration = Duration::from_secs(10 * 60);
/// Bytes of the reason for a refusal in the audit log.
const CAUSE_LEN_MAX: usize = 2048;

/// How much a service may take of its worker's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory_len: u64,
    /// Processes and threads.
    pub processes: u32,
    /// Bytes of its log that the engine keeps.
    pub log_len: u64,
}

/// How services are set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where their networks are taken from.
    pub pool: Ipv4Net,
    /// Images without an identity that are delegated to nevertheless.
    pub local_images: Vec<LocalImage>,
    /// How much each may take.
    pub limits: Limits,
}

/// What a worker asks for.
#[derive(Debug)]
pub struct Ask {
    /// What the task's payload names.
    pub payload: Payload,
    /// Whose worker it is.
    pub worker_type: WorkerType,
    /// The task.
    pub task: Option<TaskRun>,
    /// What it may do, where no queue tells that.
    pub task_scopes: Option<Vec<Scope>>,
    /// Credentials of the worker, for upstreams that are signed for.
    pub credentials: Option<Credentials>,
    /// What its engine says of the image of each service.
    pub images: BTreeMap<String, ImageFacts>,
    /// Networks of its host that are in use.
    pub taken: Vec<Ipv4Net>,
    /// Whether the task is a process of the host: services then find it there.
    pub is_task_on_host: bool,
    /// Labels that it wants on everything.
    pub labels: BTreeMap<String, String>,
    /// When it is over at the latest.
    pub ends: Option<Timestamp>,
    /// It is over when the worker was not heard of for so long.
    pub heard_within: Option<Duration>,
}

/// A set that is decided on, and whose sessions are to be opened. While it is held, no other gets its networks.
pub struct Decided {
    /// The set.
    pub set: ServiceSetId,
    /// Each service.
    pub members: Vec<Member>,
    /// Where the task is.
    pub task_network: Network,
    /// The task.
    pub task: Option<TaskRun>,
    /// Whether that is a process of the host.
    pub is_task_on_host: bool,
    /// Held until their sessions are known.
    pub turn: OwnedMutexGuard<()>,
}

/// A service that is decided on.
#[derive(Debug)]
pub struct Member {
    /// As the payload names it.
    pub service: Service,
    /// What the worker's engine says of its image.
    pub facts: ImageFacts,
    /// Its network.
    pub network: Network,
    /// What its session is opened with.
    pub ask: proxy::Ask,
}

/// A service whose session is open.
pub struct Begun {
    /// As the payload names it.
    pub service: Service,
    /// What the worker's engine says of its image.
    pub facts: ImageFacts,
    /// Its network.
    pub network: Network,
    /// Its session.
    pub live: Arc<Live>,
    /// By which it finds its session.
    pub environment: BTreeMap<String, String>,
}

/// Decides on services, and knows them. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    store: Store,
    auth: Auth,
    proxy: Proxy,
    config: Arc<Config>,
    /// Held by the one whose networks are being given.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The sessions of the sets that this process opened last.
    known: Arc<Mutex<sets::Known>>,
}

impl Services {
    /// Has none.
    pub fn new(store: Store, auth: Auth, proxy: Proxy, config: Config) -> Self {
        Self { store, auth, proxy, config: Arc::new(config), turn: Arc::default(), known: Arc::default() }
    }

    /// How they are set up.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Decides on a set, and writes down what was decided, before anything of it runs.
    ///
    /// # Errors
    /// `Forbidden` for a worker that may not delegate, and for a command that would be the program that holds an image's scopes;
    /// `Conflict` for an image that is not the one that is named; `Busy` when no network is free.
    pub async fn decide(&self, caller: &Caller, ask: Ask) -> Result<Decided> {
        let set = ServiceSetId::generate();
        let noted = about(caller.note(Action::ServicesOpen, &set), &ask);
        let outcome = self.decided(caller, set.clone(), ask).await;
        match &outcome {
            Ok(decided) => {
                let decisions: Vec<_> = decided.members.iter().map(Member::decision).collect();
                self.store.note(noted.with("services", decisions)).await?;
            }
            Err(error) if matches!(error.kind(), Kind::Forbidden | Kind::Conflict) => {
                let cause = &error.message()[..error.message().floor_char_boundary(CAUSE_LEN_MAX)];
                self.store.note(noted.outcome(Outcome::Refused).with("cause", cause)).await?;
            }
            Err(_) => {}
        }
        outcome
    }

    /// Notes that a set that was decided on could not be opened.
    pub async fn note_failure(&self, caller: &Caller, set: &ServiceSetId, error: &Error) -> Result<()> {
        let cause = &error.message()[..error.message().floor_char_boundary(CAUSE_LEN_MAX)];
        let note = caller.note(Action::ServicesOpen, set).outcome(Outcome::Failed).with("cause", cause);
        self.store.note(note).await
    }

    async fn decided(&self, caller: &Caller, set: ServiceSetId, ask: Ask) -> Result<Decided> {
        require_bounds(&ask)?;
        delegation::require(caller, &ask.worker_type)?;
        let (task_scopes, deadline) = self.of_task(&ask).await?;
        let ends = [ask.ends, deadline].into_iter().flatten().min();
        let whom = For { caller, worker_type: &ask.worker_type, has_credentials: ask.credentials.is_some() };
        let judged = ask.payload.services.into_iter().map(|service| {
            let facts = ask.images.get(service.name.as_str()).cloned();
            self.judge(whom, service, facts)
        });
        let judged: Vec<_> = futures_util::future::try_join_all(judged).await?;
        self.proxy.require_room(judged.len())?;
        let turn = self.turn.clone().lock_owned().await;
        let mut networks = self.free_networks(judged.len() + 1, ask.taken)?;
        let task_network = networks.pop().ok_or_else(|| Error::busy("no network is free for the task"))?;
        let member = |(judged, network): (Judged, Network)| {
            let Judged { service, facts, delegated } = judged;
            let record = proxy::Service {
                set: set.clone(),
                name: service.name.to_string(),
                image: service.image.to_string(),
                local_id: facts.id.clone(),
                image_id: delegated.id,
                decision: delegated.how,
                worker_type: ask.worker_type.clone(),
                role: delegated.role,
                held: delegated.held,
                not_held: delegated.not_held,
                network: network.subnet(),
                task_network: task_network.subnet(),
                task_scopes: task_scopes.clone(),
            };
            let ask = proxy::Ask {
                task: ask.task.clone(),
                service: Some(record),
                credentials: ask.credentials.clone(),
                ends,
                heard_within: Some(ask.heard_within.unwrap_or(HEARD_WITHIN)),
                ..proxy::Ask::default()
            };
            Member { service, facts, network, ask }
        };
        let members = judged.into_iter().zip(networks).map(member).collect();
        Ok(Decided { set, members, task_network, task: ask.task, is_task_on_host: ask.is_task_on_host, turn })
    }

    /// What the task may do, and when it is over.
    async fn of_task(&self, ask: &Ask) -> Result<(Option<Vec<Scope>>, Option<Timestamp>)> {
        let Some(task) = ask.task.as_ref().filter(|_| self.proxy.has_queue()) else {
            require_bounded(ask.task_scopes.as_deref())?;
            return Ok((ask.task_scopes.clone(), None));
        };
        if ask.task_scopes.is_some() {
            return Err(Error::invalid(
                "the queue of the deployment tells the scopes of the task: leave taskScopes out",
            ));
        }
        let told = self.proxy.running_task(task).await?;
        if let (Some(provisioner), Some(worker)) = (&told.provisioner_id, &told.worker_type)
            && ask.worker_type.as_str() != format!("{provisioner}/{worker}")
        {
            return Err(Error::conflict(format!(
                "the task {} is for workers of {provisioner}/{worker}, not of {}",
                task.task_id, ask.worker_type
            )));
        }
        require_bounded(Some(&told.scopes))?;
        Ok((Some(told.scopes), told.deadline))
    }

    fn free_networks(&self, count: usize, mut taken: Vec<Ipv4Net>) -> Result<Vec<Network>> {
        for live in self.proxy.services() {
            if let Some(service) = &live.session.service {
                taken.extend([service.network, service.task_network]);
            }
        }
        // What this host has an address in is somebody's, be it of containers whose sessions are over. It has all of loopback.
        let is_free = |network: Network| {
            let gateway = IpAddr::V4(network.gateway());
            gateway.is_loopback() || !sockets::is_own(SocketAddr::new(gateway, 0))
        };
        networks::choose(self.config.pool, count, &taken, is_free)
    }
}

impl Member {
    /// What was decided, for the audit log.
    fn decision(&self) -> String {
        let Some(service) = &self.ask.service else { return String::new() };
        let as_whom = service.role.as_ref().map_or("nothing is delegated".to_owned(), |role| format!("assume:{role}"));
        format!("{}: {} is {}: {as_whom} ({})", service.name, service.image, service.local_id, service.decision)
    }
}

/// Says for what a set is.
fn about(note: Note, ask: &Ask) -> Note {
    let note = note.with("worker_type", ask.worker_type.as_str());
    match &ask.task {
        Some(TaskRun { task_id, run_id }) => note.with("task", task_id.clone()).with("run", *run_id),
        None => note,
    }
}

fn require_bounded(scopes: Option<&[Scope]>) -> Result<()> {
    if scopes.is_some_and(|scopes| scopes.len() > SCOPES_MAX) {
        return Err(Error::conflict(format!("a task with services has at most {SCOPES_MAX} scopes")));
    }
    Ok(())
}

fn require_bounds(ask: &Ask) -> Result<()> {
    if ask.payload.services.is_empty() {
        return Err(Error::invalid("the payload names no service: there is nothing to open"));
    }
    if ask.taken.len() > TAKEN_MAX {
        return Err(Error::invalid(format!("at most {TAKEN_MAX} networks can be taken")));
    }
    let is_long = |(name, value): (&String, &String)| name.len() > LABEL_LEN_MAX || value.len() > LABEL_LEN_MAX;
    if ask.labels.len() > LABELS_MAX || ask.labels.iter().any(is_long) {
        return Err(Error::invalid(format!("at most {LABELS_MAX} labels, each of at most {LABEL_LEN_MAX} bytes")));
    }
    let unknown = ask.images.keys().find(|name| ask.payload.services.iter().all(|own| own.name.as_str() != **name));
    match unknown {
        Some(name) => Err(Error::invalid(format!("images has {name:?}, which is no service of the payload"))),
        None => Ok(()),
    }
}
