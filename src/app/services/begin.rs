//! Images looked at and fetched; networks and containers made and started.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::answer::{Made, Served, TaskPlace};
use super::{Pull, Voice};
use crate::base::{Error, Result};
use crate::ports::engine::{Engine, Image};

/// How labels begin by which an image says something to us.
const LABELS: &str = "org.keylender.";
/// How ids of images begin. Nobody can fetch one by that.
const ID: &str = "sha256:";
/// Where short names are, in full.
const SHORT: &str = "docker.io/library/";

/// An image, fetched where that is wanted.
pub(super) async fn image(engine: &Engine, name: &str, pull: Pull, voice: &Voice) -> Result<Image> {
    let missing = || Error::not_found(format!("there is no image {name} here"));
    let known = engine.image(name).await?;
    match (known, pull) {
        (Some(image), Pull::Missing | Pull::Never) => return Ok(image),
        (Some(image), Pull::Always) if name.starts_with(ID) => return Ok(image),
        (None, _) if name.starts_with(ID) => return Err(missing()),
        (None, Pull::Never) => return Err(with_local(engine, name, missing()).await),
        _ => {}
    }
    voice.say(format!("fetching {name}"));
    if let Err(error) = engine.pull(name).await {
        return Err(with_local(engine, name, error).await);
    }
    engine.image(name).await?.ok_or_else(missing)
}

/// The same, for who built an image here and named it as short as it was then.
async fn with_local(engine: &Engine, name: &str, error: Error) -> Error {
    let Some(short) = name.strip_prefix(SHORT) else { return error };
    let local = format!("localhost/{short}");
    match engine.image(&local).await {
        Ok(Some(_)) => error.reworded(|words| format!("{words}; there is {local} here: if that is meant, name it so")),
        _ => error,
    }
}

/// What the appliance is told of an image.
pub(super) fn described(image: &Image) -> Value {
    let Image { id, repo_digests, entrypoint, labels, .. } = image;
    // Only ours: what else an image says of itself is no business of the appliance.
    let labels: BTreeMap<_, _> = labels.iter().filter(|(name, _)| name.starts_with(LABELS)).collect();
    json!({ "id": id, "repoDigests": repo_digests, "entrypoint": entrypoint, "labels": labels })
}

/// Makes what a set needs, one step after the other, until it is over.
#[derive(Clone)]
pub(super) struct Maker {
    pub engine: Engine,
    pub over: CancellationToken,
}

impl Maker {
    /// Nothing is made for a set that ends.
    fn check(&self) -> Result<()> {
        if self.over.is_cancelled() { Err(Error::unavailable("the services end")) } else { Ok(()) }
    }

    /// The network of the task.
    pub async fn task_network(self, network: Made) -> Result<()> {
        self.network(&network).await
    }

    async fn network(&self, network: &Made) -> Result<()> {
        self.check()?;
        self.engine.create_network(&network.create).await
    }

    /// A service that runs.
    pub async fn service(self, served: Served) -> Result<()> {
        let failed = |error: Error| {
            let code = error.code();
            let named = error.reworded(|words| format!("the service `{}`: {words}", served.name));
            code.into_iter().fold(named, Error::with_code)
        };
        let made = async {
            self.network(&served.network).await?;
            self.check()?;
            self.engine.create(&served.container.name, &served.container.create).await?;
            self.check()?;
            self.engine.start(&served.container.name).await
        };
        made.await.map_err(failed)
    }

    /// The task's container, in its networks, which are there.
    pub async fn task(self, place: TaskPlace, image: Image, command: Vec<String>) -> Result<()> {
        let mut body = place.container.create;
        let fields = body.as_object_mut().map(std::mem::take).unwrap_or_default();
        let environment: Vec<String> =
            place.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut own = Map::from_iter([
            ("Image".to_owned(), image.id.into()),
            ("Env".to_owned(), environment.into()),
            ("StopTimeout".to_owned(), 0.into()),
        ]);
        if !command.is_empty() {
            own.insert("Cmd".to_owned(), command.into());
        }
        own.extend(fields);
        self.check()?;
        let name = &place.container.name;
        self.engine.create(name, &own.into()).await?;
        for network in &place.networks {
            self.check()?;
            self.engine.join(&network.name, name, network.address).await?;
        }
        self.check()?;
        self.engine.start(name).await
    }
}
