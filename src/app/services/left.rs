//! What runs left over that ended without cleaning up: found by its labels, and removed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::Voice;
use super::locks::{Directory, Holder};
use crate::base::{Error, Result};
use crate::ports::engine::{Container, Engine, Network};

/// The label with the set that something belongs to.
pub(super) const SET: &str = crate::domain::services::LABEL;
/// The label with the lock of the runner.
pub(super) const LOCK: &str = "org.keylender.lock";
/// The label with the identity of the directory of that lock.
pub(super) const LOCKS: &str = "org.keylender.locks";

/// Removing is tried so often, with a pause: an engine may hold on to a network for a moment.
const REMOVALS: u32 = 6;
const REMOVAL_PAUSE: Duration = Duration::from_millis(300);

/// What is of one set.
#[derive(Default)]
struct Set {
    lock: Option<String>,
    locks: Option<String>,
    /// Containers and networks.
    len: usize,
}

impl Set {
    fn add(&mut self, labels: &BTreeMap<String, String>) {
        let take = |known: &mut Option<String>, name: &str| {
            if let Some(value) = labels.get(name) {
                *known = Some(value.clone());
            }
        };
        take(&mut self.lock, LOCK);
        take(&mut self.locks, LOCKS);
        self.len += 1;
    }
}

/// Removes what runners left whose locks are in this directory and who are gone; with `all` also what others started,
/// whether they live or not. Whose runner lives here is left alone in any case.
pub async fn clean(engine: &Engine, directory: &Directory, all: bool, voice: &Voice) -> Result<()> {
    let mut left = Vec::new();
    let (mut failure, mut strange) = (None, Vec::new());
    for (name, set) in sets(engine).await? {
        let is_ours = set.locks.as_deref() == Some(&directory.identity);
        if !is_ours && !all {
            strange.push(name);
            continue;
        }
        let lock = set.lock.clone().unwrap_or_default();
        // It is held while its set is removed, so that two cleaners are not in each other's way.
        let _held = match directory.holder(&lock) {
            Holder::Lives if is_ours => {
                left.push(lock);
                continue;
            }
            Holder::Lives => None,
            Holder::Gone(held) => held,
        };
        match remove_set(engine, &name).await {
            Ok(()) => voice.say(format!("removed what a run left over: the set {name}, {} things", set.len)),
            Err(error) => {
                voice.say(format!("what a run left over stays, the set {name}: {}", error.chain()));
                left.push(lock);
                failure = Some(error);
            }
        }
    }
    if let [first, others @ ..] = &strange[..] {
        let others = if others.is_empty() { String::new() } else { format!(" and {} others", others.len()) };
        voice.say(format!(
            "the set {first}{others} was started by somebody who is not known here, or before this host was started: it is left \
             alone; `keylender services clean --all` removes it"
        ));
    }
    directory.tidy(&left);
    failure.map_or(Ok(()), Err)
}

async fn sets(engine: &Engine) -> Result<BTreeMap<String, Set>> {
    let mut sets: BTreeMap<String, Set> = BTreeMap::new();
    for container in engine.containers_with(SET).await? {
        let Some(name) = container.labels.get(SET) else { continue };
        sets.entry(name.clone()).or_default().add(&container.labels);
    }
    for network in engine.networks_with(SET).await? {
        let Some(name) = network.labels.get(SET) else { continue };
        sets.entry(name.clone()).or_default().add(&network.labels);
    }
    Ok(sets)
}

/// Removes all that is of one set, until nothing is there. What an engine is removing already, or holds on to for a moment,
/// is looked at again.
pub(super) async fn remove_set(engine: &Engine, set: &str) -> Result<()> {
    let label = format!("{SET}={set}");
    let mut failure = None;
    for _ in 0..REMOVALS {
        let containers = engine.containers_with(&label).await?;
        let networks = engine.networks_with(&label).await?;
        if containers.is_empty() && networks.is_empty() {
            return Ok(());
        }
        failure = remove(engine, &containers, &networks).await.err();
        if failure.is_some() {
            sleep(REMOVAL_PAUSE).await;
        }
    }
    Err(failure.unwrap_or_else(|| Error::unavailable("the container engine does not remove it")))
}

/// All containers at once, and then the networks that they were in.
async fn remove(engine: &Engine, containers: &[Container], networks: &[Network]) -> Result<()> {
    let removed = join_all(containers.iter().map(|container| engine.remove(&container.id))).await;
    let gone = join_all(networks.iter().map(|network| engine.remove_network(&network.name))).await;
    removed.into_iter().chain(gone).collect()
}
