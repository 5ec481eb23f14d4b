//! The documents of the API of services.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::proxy_shapes::Granted;
use crate::base::{ImageId, ProxySessionId, RoleId, Scope, ServiceSetId, Timestamp, WorkerType};
use crate::domain::proxy::{Session, View};
use crate::domain::services::{Begun, Common, LABEL, Limits, Make, SetView};
use crate::web::proxy::BegunSet;

/// Services that were decided on, and what their worker starts: each `create` is the body of a call of the Docker Engine API.
#[derive(Serialize, JsonSchema)]
pub struct OpenedSet {
    set: ServiceSetId,
    ends: Option<Timestamp>,
    /// On everything that is started, so that it can be found.
    labels: BTreeMap<String, String>,
    services: Vec<OpenedService>,
    task: OpenedTask,
}

/// What was decided on a service, and what it is given.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Decided {
    name: String,
    image: String,
    /// What the engine of the worker calls the image, which is what runs.
    local_id: ImageId,
    /// By which it is delegated to, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_id: Option<ImageId>,
    /// How that was decided.
    decision: String,
    /// Whose scopes it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<RoleId>,
    scopes: Vec<Scope>,
    /// Scopes of the role that the worker does not hold itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_held: Vec<Scope>,
    upstreams: Vec<Granted>,
    session: ProxySessionId,
    address: String,
}

impl Decided {
    /// Nothing for a session that is no service's.
    fn of(id: &ProxySessionId, session: &Session) -> Option<Self> {
        let of = session.service.clone()?;
        Some(Self {
            name: of.name,
            image: of.image,
            local_id: of.local_id,
            image_id: of.image_id,
            decision: of.decision,
            role: of.role,
            scopes: of.held,
            not_held: of.not_held,
            upstreams: session.upstreams.iter().cloned().map(Granted::from).collect(),
            session: id.clone(),
            address: session.address.clone(),
        })
    }
}

/// A service that was decided on, and what is to be started for it.
#[derive(Serialize, JsonSchema)]
struct OpenedService {
    #[serde(flatten)]
    decided: Decided,
    /// Upstreams that it does not reach, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    withheld: Vec<String>,
    network: ToMake,
    container: ToStart,
}

/// What is to be made: the body of `POST /networks/create`.
#[derive(Serialize, JsonSchema)]
struct ToMake {
    name: String,
    create: Value,
}

/// What is to be started: the body of `POST /containers/create?name=<name>`.
#[derive(Serialize, JsonSchema)]
struct ToStart {
    name: String,
    address: Ipv4Addr,
    create: Value,
}

/// What the task gets of it.
#[derive(Serialize, JsonSchema)]
struct OpenedTask {
    /// For its environment.
    environment: BTreeMap<String, String>,
    /// Where each service is, by its alias.
    hosts: BTreeMap<String, Ipv4Addr>,
    /// Those of the services, in each of which it has an address.
    networks: Vec<Joined>,
    /// One of its own, which leads out.
    network: ToMake,
    /// Its container, where it is in one: `Image`, `Cmd` and `Env` are the worker's.
    container: ToStart,
}

#[derive(Serialize, JsonSchema)]
struct Joined {
    name: String,
    address: Ipv4Addr,
}

impl From<Make> for ToMake {
    fn from(Make { name, create }: Make) -> Self {
        Self { name, create }
    }
}

impl OpenedSet {
    /// What a worker is told of a set.
    pub fn new(begun: &BegunSet, labels: &BTreeMap<String, String>, limits: Limits) -> Self {
        let common = Common { set: &begun.set, labels, limits, is_task_on_host: begun.is_task_on_host };
        let host = |begun: &Begun| (begun.service.name.to_string(), begun.network.service());
        let hosts: BTreeMap<_, _> = begun.services.iter().map(host).collect();
        let of_host = |(name, address): (&String, &Ipv4Addr)| {
            (format!("{}_SERVICE_HOST", name.to_ascii_uppercase().replace('-', "_")), address.to_string())
        };
        let mut environment: BTreeMap<_, _> = hosts.iter().map(of_host).collect();
        if let Some(task) = &begun.task {
            environment.insert("TASK_ID".into(), task.task_id.clone());
            environment.insert("RUN_ID".into(), task.run_id.to_string());
        }
        let Make { name, create } = common.task(&hosts, begun.task_network);
        let joined =
            |begun: &Begun| Joined { name: common.name(begun.service.name.as_str()), address: begun.network.task() };
        let task = OpenedTask {
            environment,
            networks: begun.services.iter().map(joined).collect(),
            network: common.network("task", begun.task_network, false).into(),
            container: ToStart { name, address: begun.task_network.service(), create },
            hosts,
        };
        let mut labels = labels.clone();
        labels.insert(LABEL.into(), begun.set.to_string());
        Self {
            set: begun.set.clone(),
            ends: begun.services.iter().map(|begun| begun.live.session.ends).max(),
            labels,
            services: begun.services.iter().filter_map(|begun| OpenedService::of(begun, &common)).collect(),
            task,
        }
    }
}

impl OpenedService {
    fn of(begun: &Begun, common: &Common<'_>) -> Option<Self> {
        let Make { name, create } = common.service(begun);
        Some(Self {
            decided: Decided::of(&begun.live.id, &begun.live.session)?,
            withheld: begun.live.withheld.clone(),
            network: common.network(begun.service.name.as_str(), begun.network, true).into(),
            container: ToStart { name, address: begun.network.service(), create },
        })
    }
}

/// A set that lives.
#[derive(Serialize, JsonSchema)]
pub struct Heard {
    pub set: ServiceSetId,
}

#[derive(Serialize, JsonSchema)]
pub struct Sets {
    pub sets: Vec<Set>,
}

/// Services that run together, or ran in the last month.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Set {
    set: ServiceSetId,
    opener: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_type: Option<WorkerType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<u32>,
    opened: Option<Timestamp>,
    /// When it ends at the latest, or ended.
    ends: Option<Timestamp>,
    is_over: bool,
    /// Why it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    services: Vec<SetService>,
}

/// A service of a set.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SetService {
    #[serde(flatten)]
    decided: Decided,
    calls: u64,
    is_over: bool,
}

impl From<&SetView> for Set {
    fn from(view: &SetView) -> Self {
        let (task_id, run_id) = view.task().map(|task| (task.task_id.clone(), task.run_id)).unzip();
        Self {
            set: view.set.clone(),
            opener: view.opener().to_owned(),
            worker_type: view.worker_type().cloned(),
            task_id,
            run_id,
            opened: view.opened(),
            ends: view.ends(),
            is_over: view.is_over(),
            cause: view.cause().map(str::to_owned),
            services: view.services.iter().filter_map(SetService::of).collect(),
        }
    }
}

impl SetService {
    fn of(View { id, session, calls, .. }: &View) -> Option<Self> {
        Some(Self { decided: Decided::of(id, session)?, calls: *calls, is_over: session.ended.is_some() })
    }
}
