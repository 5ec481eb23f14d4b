//! Our own API: services beside a task, for workers that start their containers.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::routing::MethodFilter;
use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::proxy::GivenCredentials;
use super::services_shapes::{Heard, OpenedSet, Set, Sets};
use super::{Call, Endpoint, Params, Reply, Routes, detached, endpoint, nothing, read_input};
use crate::base::{Error, ImageId, Result, Scope, ServiceSetId, Timestamp, WorkerType};
use crate::domain::actions::services::STOP;
use crate::domain::auth::scopes;
use crate::domain::proxy::{Credentials, TaskRun};
use crate::domain::services::{Ask, ImageFacts};
use crate::proto::services;
use crate::web::proxy::begin_set;
use crate::web::state::App;

static OPEN: Endpoint = Endpoint {
    hides_input: true,
    ..endpoint(
        "openServices",
        "/services",
        scopes::SERVICES_OPEN,
        "Decides on the services of a task's payload, opens a session of the task proxy for each, and says what to start. Its caller \
         must hold `assume:docker-service-image:<provisionerId>/<workerType>/*`.",
    )
    .posted()
    .takes::<Opening>()
    .answers::<OpenedSet>()
};
static LIST: Endpoint = endpoint(
    "services",
    "/services",
    scopes::SERVICES_READ,
    "Lists the services beside tasks, the youngest sets first.",
)
.command("services list")
.answers::<Sets>();
static SHOW: Endpoint = endpoint(
    "servicesOfSet",
    "/services/<set>",
    scopes::SERVICES_READ,
    "Shows a set of services: what was decided on each image, and what that was given.",
)
.command("services show <set>")
.answers::<Set>();
static HEAR: Endpoint = endpoint(
    "hearServices",
    "/services/<set>/alive",
    scopes::SERVICES_OPEN,
    "Says that the worker of a set of services lives, which lasts by that. Only who opened it may.",
)
.posted()
.answers::<Heard>();
static CLOSE: Endpoint = Endpoint {
    method: MethodFilter::DELETE,
    ..endpoint(
        "closeServices",
        "/services/<set>",
        scopes::SERVICES_OPEN,
        "Ends a set of services whose containers are gone. Only who opened it may; others end it by `stopServices`.",
    )
    .answers::<Set>()
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&OPEN, nothing, open)
        .serve(&LIST, nothing, list)
        .serve(&SHOW, set, show)
        .serve(&HEAR, set, hear)
        .serve(&CLOSE, set, close)
        .act(&STOP)
}

fn set(_: &App, params: &Params) -> Result<ServiceSetId> {
    ServiceSetId::parse(params.get("set").map_or("", String::as_str))
}

/// What a worker asks for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Opening {
    /// The payload of the task, or of it what names the services: `/schemas/keylender/v1/services.json`.
    payload: Value,
    provisioner_id: String,
    worker_type: String,
    /// The task, whose scopes the queue of the deployment tells.
    #[serde(default)]
    task_id: Option<String>,
    #[serde(default)]
    run_id: Option<u32>,
    /// What the task may do, where no queue tells that. Its services can read it.
    #[serde(default)]
    task_scopes: Option<Vec<Scope>>,
    /// Credentials of the worker, for upstreams that are signed for. Those calls are limited to the one scope of the image's role.
    #[serde(default)]
    credentials: Option<GivenCredentials>,
    /// What the engine says of the image of each service, by the name of the service.
    images: BTreeMap<String, Image>,
    /// Networks of the host that are in use, IPv4 and IPv6: none of them is given again.
    #[serde(default)]
    taken: Vec<String>,
    /// Whether the task is a process of the host, where services then find it as `task`; otherwise it is in a container.
    #[serde(default)]
    task_on_host: bool,
    /// Further labels for everything that is started.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// When it ends at the latest; otherwise at the deadline of the task, or after a day.
    #[serde(default)]
    ends: Option<Timestamp>,
    /// How long it lasts at the most, instead.
    #[serde(default)]
    lasts_seconds: Option<u32>,
    /// It ends when its worker did not say for so long that it lives (`hearServices`): 10 to 3600; 600 unless said.
    #[serde(default)]
    heard_within_seconds: Option<u32>,
}

/// An image, as `GET /images/<name>/json` of the Docker Engine API tells it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Image {
    /// `Id`: what is started.
    id: ImageId,
    /// `RepoDigests`.
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
    /// `Config.Entrypoint`.
    #[serde(default)]
    entrypoint: Option<Vec<String>>,
    /// `Config.Labels`, of which `org.keylender.command` is looked at.
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// By which an image says that it takes a command for the words of a stranger.
const COMMAND_LABEL: (&str, &str) = ("org.keylender.command", "untrusted");

impl From<Image> for ImageFacts {
    fn from(Image { id, repo_digests, entrypoint, labels }: Image) -> Self {
        let (name, value) = COMMAND_LABEL;
        let takes_commands = labels.unwrap_or_default().get(name).is_some_and(|given| given == value);
        let (repo_digests, entrypoint) = (repo_digests.unwrap_or_default(), entrypoint.unwrap_or_default());
        Self { id, repo_digests, entrypoint, takes_commands }
    }
}

async fn open(app: App, call: Call, (): ()) -> Result<Reply> {
    let asked: Opening = read_input(&call.payload)?;
    let labels = asked.labels.clone();
    let ask = asked.ask(&app)?;
    let (of, caller) = (app.clone(), call.caller.clone());
    let begun = detached(&app.tasks, async move { begin_set(&of, &caller, ask).await }).await?;
    Reply::json(&OpenedSet::new(&begun, &labels, app.services.config().limits))
}

impl Opening {
    fn ask(self, app: &App) -> Result<Ask> {
        let payload = services::parse(&self.payload.to_string()).map_err(|mistakes| {
            let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            Error::invalid(format!("the payload has mistakes:\n{}", lines.join("\n")))
        })?;
        let task = match (self.task_id, self.run_id) {
            (Some(task_id), Some(run_id)) => Some(TaskRun { task_id, run_id }),
            (None, None) => None,
            _ => return Err(Error::invalid("a task has a taskId and a runId")),
        };
        let lasts = self.lasts_seconds.map(|seconds| app.clock.now().plus(Duration::from_secs(seconds.into())));
        Ok(Ask {
            payload,
            worker_type: WorkerType::parse(&format!("{}/{}", self.provisioner_id, self.worker_type))?,
            task,
            task_scopes: self.task_scopes,
            credentials: self.credentials.map(Credentials::from),
            images: self.images.into_iter().map(|(name, image)| (name, image.into())).collect(),
            taken: self.taken.iter().filter_map(|text| taken(text).transpose()).collect::<Result<_>>()?,
            is_task_on_host: self.task_on_host,
            labels: self.labels,
            ends: self.ends.or(lasts),
            heard_within: self.heard_within_seconds.map(|seconds| Duration::from_secs(seconds.into())),
        })
    }
}

/// A network that is in use; one of IPv6 is in nobody's way.
fn taken(text: &str) -> Result<Option<Ipv4Net>> {
    let network: ipnet::IpNet =
        text.parse().map_err(|_| Error::invalid(format!("{text:?} is no network; one is like 172.17.0.0/16")))?;
    Ok(match network {
        ipnet::IpNet::V4(network) => Some(network),
        ipnet::IpNet::V6(_) => None,
    })
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&Sets { sets: app.services.sets().await?.iter().map(Set::from).collect() })
}

async fn show(app: App, _: Call, set: ServiceSetId) -> Result<Reply> {
    Reply::json(&Set::from(&app.services.set(&set).await?))
}

async fn hear(app: App, call: Call, set: ServiceSetId) -> Result<Reply> {
    app.services.hear(&call.caller, &set)?;
    Reply::json(&Heard { set })
}

async fn close(app: App, call: Call, set: ServiceSetId) -> Result<Reply> {
    let (services, caller, of) = (app.services.clone(), call.caller.clone(), set.clone());
    detached(&app.tasks, async move { services.close(&caller, &of).await }).await?;
    Reply::json(&Set::from(&app.services.set(&set).await?))
}
