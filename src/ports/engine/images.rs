//! Images: what one is, and fetching one.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{CALL_TIMEOUT, Engine, PULL_TIMEOUT, segment, words};
use crate::base::{Error, Kind, Result};

/// A message of a pull that may be the last one. Progress is far shorter.
const MESSAGE_LEN_MAX: usize = 64 << 10;

/// What an engine knows of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// By which the engine knows it: the digest of its configuration or of its manifest, as the engine stores images.
    pub id: String,
    /// Repositories that it came from, each with the digest of the manifest there. That digest is the same on every engine.
    pub repo_digests: Vec<String>,
    /// What is run, before a command.
    pub entrypoint: Vec<String>,
    /// What it says of itself.
    pub labels: BTreeMap<String, String>,
    /// How its health is tried: `CMD` and arguments, or `CMD-SHELL` and a line. `None` where it says nothing of it; podman
    /// 4.3 leaves it out here, and tells it of a container only.
    pub healthcheck: Option<Vec<String>>,
    /// Ports of TCP that it says are listened on, in their order.
    pub exposed_ports: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    config: Option<Config>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    entrypoint: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    healthcheck: Option<Healthcheck>,
    exposed_ports: Option<BTreeMap<String, Box<RawValue>>>,
}

/// How the health of a container is tried.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Healthcheck {
    test: Option<Vec<String>>,
}

impl Healthcheck {
    /// The words of it, if there is one.
    pub fn words(self) -> Option<Vec<String>> {
        // `NONE` undoes the one of an image that this one was made from.
        self.test.filter(|test| test.first().is_some_and(|kind| kind != "NONE" && !kind.is_empty()))
    }
}

impl From<Inspected> for Image {
    fn from(inspected: Inspected) -> Self {
        let Inspected { id, repo_digests, config } = inspected;
        let Config { entrypoint, labels, healthcheck, exposed_ports } = config.unwrap_or_default();
        let ports = exposed_ports.unwrap_or_default();
        let mut ports: Vec<u16> =
            ports.keys().filter_map(|port| port.strip_suffix("/tcp").unwrap_or(port).parse().ok()).collect();
        ports.sort_unstable();
        Self {
            // podman 4 leaves the kind of digest out of some answers.
            id: if id.contains(':') { id } else { format!("sha256:{id}") },
            repo_digests: repo_digests.unwrap_or_default(),
            entrypoint: entrypoint.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
            healthcheck: healthcheck.and_then(Healthcheck::words),
            exposed_ports: ports,
        }
    }
}

/// A name as an engine is to read it. Docker takes one without a tag for every tag of it.
fn whole(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if name.contains('@') || last.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

/// A name in a path, where both engines want slashes as they are.
fn in_path(name: &str) -> String {
    name.split('/').map(segment).collect::<Vec<_>>().join("/")
}

impl Engine {
    /// What is known of an image by its name or id; `None` when it is not here.
    pub async fn image(&self, name: &str) -> Result<Option<Image>> {
        match self.get::<Inspected>(&format!("/images/{}/json", in_path(name)), CALL_TIMEOUT).await {
            Ok(inspected) => Ok(Some(inspected.into())),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fetches an image from where its name says. An engine begins to answer before it knows how that ends.
    pub async fn pull(&self, name: &str) -> Result<()> {
        let path = format!("/images/create?fromImage={}", segment(&whole(name)));
        let failed =
            |words: String| Error::unavailable(format!("the container engine could not fetch {name}: {words}"));
        let opened = self.open(Method::POST, &path, None, PULL_TIMEOUT).await;
        let mut response =
            opened.map_err(|error| error.reworded(|words| format!("{name} could not be fetched: {words}")))?;
        // Lines of JSON; one that is too long to be the bad news is left out.
        let (mut line, mut is_cut) = (Vec::new(), false);
        let mut failure = None;
        while let Some(part) = response.chunk().await.map_err(|e| self.away(e))? {
            for bytes in part.split_inclusive(|byte| *byte == b'\n') {
                is_cut |= line.len() + bytes.len() > MESSAGE_LEN_MAX;
                if !is_cut {
                    line.extend_from_slice(bytes);
                }
                if bytes.ends_with(b"\n") {
                    failure = words::failure(&line).or(failure);
                    (line, is_cut) = (Vec::new(), false);
                }
            }
        }
        match words::failure(&line).or(failure) {
            Some(words) => Err(failed(words)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_is_one_image_and_not_all_of_that_name() {
        assert_eq!(whole("debian"), "debian:latest");
        assert_eq!(whole("registry.example:5000/debian"), "registry.example:5000/debian:latest");
        assert_eq!(whole("registry.example:5000/debian:12"), "registry.example:5000/debian:12");
        assert_eq!(whole("debian@sha256:00"), "debian@sha256:00");
    }

    #[test]
    fn a_name_stays_in_its_place_of_the_path() {
        assert_eq!(in_path("a/b:1"), format!("a/{}", segment("b:1")));
        assert!(!in_path("a?x=y#z").contains(['?', '#']));
    }

    #[test]
    fn what_an_image_does_not_say_is_nothing() {
        let image = |json: &str| Image::from(serde_json::from_str::<Inspected>(json).unwrap());
        let bare = image(r#"{"Id": "0a", "RepoDigests": null, "Config": null}"#);
        assert_eq!((bare.id.as_str(), bare.healthcheck, bare.exposed_ports), ("sha256:0a", None, vec![]));
        let image = image(
            r#"{"Id": "sha256:0a", "RepoDigests": ["a@sha256:1"], "Config": {"Entrypoint": ["/e"], "Cmd": null,
                "Healthcheck": {"Test": ["CMD", "/h"], "Interval": 1},
                "ExposedPorts": {"5672/tcp": {}, "53/udp": {}, "80/tcp": {}, "x": {}}}}"#,
        );
        assert_eq!(image.exposed_ports, [80, 5672]);
        assert_eq!(image.healthcheck.unwrap(), ["CMD", "/h"]);
        assert_eq!(image.entrypoint, ["/e"]);
    }
}
