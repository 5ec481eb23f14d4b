//! What the broker has of a relay. All of it or an error: what was not told is never taken for what is not there.

use std::collections::{BTreeMap, BTreeSet};

use super::Relay;
use super::memory::Memory;
use crate::base::{Kind, Result, VhostName};
use crate::domain::accounts::Census;
use crate::ports::broker::{Resource, Version};
use crate::proto::relay_profile::Profile;

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The broker's version, if it is one that can be read.
    pub version: Option<Version>,
    /// What is in each vhost that matters; those that are not here are not there.
    pub vhosts: BTreeMap<VhostName, BTreeSet<Resource>>,
    /// All users.
    pub census: Census,
}

impl Relay {
    /// Asks the broker.
    pub(super) async fn look(&self, profile: &Profile, memory: &Memory) -> Result<Found> {
        let version = Version::parse(&self.cluster.get()?.overview().await?.version);
        let mut vhosts = BTreeMap::new();
        for vhost in list_vhosts(profile, memory) {
            match self.resources.get()?.resources(&vhost).await {
                Ok(resources) => _ = vhosts.insert(vhost, resources),
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let census = self.accounts.census(&super::owner(profile)).await?;
        Ok(Found { version, vhosts, census })
    }
}

/// The vhosts that are declared, those that were, and those that accounts may enter.
fn list_vhosts(profile: &Profile, memory: &Memory) -> BTreeSet<VhostName> {
    let declared = profile.vhosts().iter().map(|vhost| vhost.name.clone());
    let before = memory.keys().map(|id| id.vhost.clone());
    declared.chain(before).chain(profile.foreign_vhosts().iter().cloned()).collect()
}
