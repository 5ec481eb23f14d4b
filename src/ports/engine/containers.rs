//! Containers: made, started, looked at, tried from inside, and ended without delay.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::images::Healthcheck;
use super::{CALL_TIMEOUT, Engine, LIFE_TIMEOUT, REMOVE_TIMEOUT, filter, segment};
use crate::base::{Error, Kind, Result};

/// Also one that runs, and what it wrote outside of its image.
const REMOVE_ALL: &str = "force=true&v=true";
/// After the output of a program in a container ended: until the engine knows with what it ended. podman says so at once.
const EXEC_ENDS: Duration = Duration::from_secs(5);
const EXEC_PAUSE: Duration = Duration::from_millis(50);

/// A container in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// By which the engine knows it.
    pub id: String,
    /// What it was called.
    pub name: String,
    /// What was written on it.
    pub labels: BTreeMap<String, String>,
}

/// How a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether its program runs.
    pub is_running: bool,
    /// With what it ended, if it did.
    pub exit_code: i64,
    /// Where it is in each network.
    pub addresses: BTreeMap<String, IpAddr>,
    /// How its health is tried, as an image says it.
    pub healthcheck: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    state: RunState,
    #[serde(default)]
    config: Option<Config>,
    #[serde(default)]
    network_settings: Option<NetworkSettings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    healthcheck: Option<Healthcheck>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RunState {
    running: bool,
    #[serde(default)]
    exit_code: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(default)]
    networks: Option<BTreeMap<String, Endpoint>>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "IPAddress", default)]
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Waited {
    status_code: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exec {
    #[serde(default)]
    running: bool,
    #[serde(default)]
    exit_code: Option<i64>,
}

impl From<Inspected> for State {
    fn from(inspected: Inspected) -> Self {
        let networks = inspected.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let address = |(name, endpoint): (String, Endpoint)| Some((name, endpoint.address.parse().ok()?));
        let RunState { running, exit_code } = inspected.state;
        let healthcheck = inspected.config.and_then(|config| config.healthcheck).and_then(Healthcheck::words);
        let addresses = networks.into_iter().filter_map(address).collect();
        Self { is_running: running, exit_code, addresses, healthcheck }
    }
}

fn path(container: &str, rest: &str) -> String {
    format!("/containers/{}{rest}", segment(container))
}

impl Engine {
    /// Makes a container by a body of the API and tells its id. `Conflict` when the name is taken, `NotFound` when there is
    /// no such image.
    pub async fn create(&self, name: &str, body: &Value) -> Result<String> {
        let path = format!("/containers/create?name={}", segment(name));
        self.post::<Created>(&path, Some(body), CALL_TIMEOUT).await.map(|created| created.id)
    }

    /// Starts a container; one that runs is fine.
    pub async fn start(&self, container: &str) -> Result<()> {
        self.call(Method::POST, &path(container, "/start"), None, CALL_TIMEOUT).await.map(|_| ())
    }

    /// How a container is; `None` when it is gone.
    pub async fn state(&self, container: &str) -> Result<Option<State>> {
        match self.get::<Inspected>(&path(container, "/json"), CALL_TIMEOUT).await {
            Ok(inspected) => Ok(Some(inspected.into())),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the end of a container's program, and tells its exit code. `NotFound` when the container is gone.
    pub async fn ended(&self, container: &str) -> Result<i64> {
        let waited: Waited = self.post(&path(container, "/wait"), None, LIFE_TIMEOUT).await?;
        Ok(waited.status_code)
    }

    /// Kills a container's program. One that ended or is gone is fine.
    pub async fn kill(&self, container: &str) -> Result<()> {
        match self.call(Method::POST, &path(container, "/kill"), None, REMOVE_TIMEOUT).await {
            Err(error) if !matches!(error.kind(), Kind::NotFound | Kind::Conflict) => Err(error),
            _ => Ok(()),
        }
    }

    /// Kills a container and removes it with what it wrote, without delay: podman 5 would give a program that runs ten
    /// seconds, which is what the kill before spares. One that is gone is fine.
    pub async fn remove(&self, container: &str) -> Result<()> {
        // Whatever keeps it from being killed keeps it from being removed, or does not matter.
        let _ = self.kill(container).await;
        let path = path(container, &format!("?{REMOVE_ALL}"));
        match self.call(Method::DELETE, &path, None, REMOVE_TIMEOUT).await {
            // Conflict: somebody is removing it already.
            Err(error) if !matches!(error.kind(), Kind::NotFound | Kind::Conflict) => Err(error),
            _ => Ok(()),
        }
    }

    /// Containers with a label, `name` or `name=value`, also those that do not run.
    pub async fn containers_with(&self, label: &str) -> Result<Vec<Container>> {
        let path = format!("/containers/json?all=true&filters={}", filter(label));
        let listed: Vec<Listed> = self.get(&path, CALL_TIMEOUT).await?;
        let container = |Listed { id, names, labels }: Listed| Container {
            name: names.first().map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default(),
            id,
            labels: labels.unwrap_or_default(),
        };
        Ok(listed.into_iter().map(container).collect())
    }

    /// Runs a command in a container that runs and tells with what it ended; what it says is nobody's. `timeout` is for all
    /// of it; the command itself goes on where it takes longer.
    pub async fn exec(&self, container: &str, command: &[String], timeout: Duration) -> Result<i64> {
        let slow = || Error::unavailable("a command in a container did not end in time");
        tokio::time::timeout(timeout, self.exec_to_its_end(container, command)).await.map_err(|_| slow())?
    }

    async fn exec_to_its_end(&self, container: &str, command: &[String]) -> Result<i64> {
        let body = json!({ "Cmd": command, "AttachStdout": true, "AttachStderr": true });
        let Created { id } = self.post(&path(container, "/exec"), Some(&body), CALL_TIMEOUT).await?;
        let exec = format!("/exec/{}", segment(&id));
        let body = json!({ "Detach": false, "Tty": false });
        let mut said = self.open(Method::POST, &format!("{exec}/start"), Some(&body), CALL_TIMEOUT).await?;
        // Its output ends with it.
        while said.chunk().await.map_err(|e| self.away(e))?.is_some() {}
        let mut waited = Duration::ZERO;
        loop {
            let state: Exec = self.get(&format!("{exec}/json"), CALL_TIMEOUT).await?;
            match state {
                Exec { running: false, exit_code: Some(code) } => return Ok(code),
                _ if waited >= EXEC_ENDS => return Err(Error::unavailable("a command in a container has no end")),
                _ => {}
            }
            waited += EXEC_PAUSE;
            tokio::time::sleep(EXEC_PAUSE).await;
        }
    }
}
