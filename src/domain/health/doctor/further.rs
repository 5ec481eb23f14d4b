//! The further brokers: whether each can have the users of namespaces.

use std::sync::Arc;

use futures_util::future::join_all;

use super::broker::{rights, version};
use super::{Finding, Grade};
use crate::base::{Error, Result, SiteName};
use crate::domain::accounts::TAG;
use crate::domain::health::{BROKER_TIMEOUT, Health};
use crate::ports::broker::{Cluster, Identity, Site};

const ABOUT: &str = "further broker";

impl Health {
    /// How each further broker is, asked now.
    pub async fn further_brokers(&self) -> Vec<(SiteName, Finding)> {
        let looks = self.around.further.iter().map(async |(cluster, identity)| {
            let late = || Err(Error::unavailable("it does not answer in time"));
            let asked = tokio::time::timeout(BROKER_TIMEOUT, ask(cluster, identity)).await;
            let finding = asked.unwrap_or_else(|_| late()).unwrap_or_else(|error| {
                let text = format!("{}: new namespaces are lent without it, and none ends", error.message());
                Finding::new(ABOUT, Grade::Problem, text)
            });
            (cluster.name.clone(), finding)
        });
        join_all(looks).await
    }

    /// The same for the doctor, and brokers that were taken out of the settings.
    pub(super) async fn further_findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self
            .further_brokers()
            .await
            .into_iter()
            .map(|(site, found)| Finding { text: format!("`{site}`: {}", found.text), ..found })
            .collect();
        let counts = self.parts.accounts.counts().await.unwrap_or_else(|_| Arc::default());
        findings.extend(counts.left_at.iter().map(|(site, count)| {
            let text = format!(
                "`{site}` is not in RABBIT_SITES_FILE any more: up to {count} users there are left as they are; delete them"
            );
            Finding::new(ABOUT, Grade::Warning, text)
        }));
        findings
    }
}

async fn ask(cluster: &Site<dyn Cluster>, identity: &Site<dyn Identity>) -> Result<Finding> {
    let vhost = &cluster.vhost;
    let overview = cluster.get()?.overview().await?;
    if !cluster.get()?.vhost_exists(vhost).await? {
        return Err(Error::unavailable(format!("it has no vhost {vhost}")));
    }
    let us = identity.get()?.rights(vhost).await?;
    if us.user.tags.iter().all(|tag| tag != TAG) {
        return Err(Error::unavailable(format!("`{}` is not an administrator there", us.user.name)));
    }
    let (version, rights) = (version(&overview), rights(&us.user.name, vhost.as_str(), us.access.as_ref()));
    let worse = if rights.grade == Grade::Well { version } else { rights };
    Ok(Finding { about: ABOUT, ..worse })
}
