//! Agents that are gone: silent for long, and not in DNS any more. Their accounts are proposed for removal; nothing is removed
//! by itself, and not even proposed when too many seem to be gone at once.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::Agents;
use super::record::{ENROLLED, Enrolled, HEARD, Heard, QueueFate};
use crate::base::{Error, HostName, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::store::{Survey, Table, WriteTx};

/// Hosts that are gone, as of the last look.
const GONE: Table<HostName, Gone> = Table::plain("agents_gone");
/// Hosts that a pass asks DNS about.
const LOOKS_MAX: usize = 128;
const LOOKS_AT_ONCE: usize = 16;
/// For all of them: servers that never answer hold up nothing else.
const LOOKS_DEADLINE: Duration = Duration::from_secs(10);
/// How often DNS is asked about one again.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// The brake: so many may be proposed at once, or this part of all that are enrolled, whichever is more. Beyond, it is rather
/// DNS that is wrong, or the heartbeats that are not read.
const AT_ONCE_MIN: usize = 10;
const AT_ONCE_PART: usize = 10;

/// That a host is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Gone {
    looked: Timestamp,
    /// Why it counts as gone; `None`: DNS knows it.
    why: Option<String>,
}

/// An agent whose account could go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoneAgent {
    pub host: HostName,
    /// When it was heard last, if ever.
    pub last: Option<Timestamp>,
    /// What DNS says.
    pub why: String,
}

/// What is proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    pub agents: Vec<GoneAgent>,
    /// Why none of them may be removed in one go.
    pub brake: Option<String>,
}

/// A host that was silent for long.
struct Silent {
    host: HostName,
    last: Option<Timestamp>,
}

impl Agents {
    /// The agents whose accounts could go.
    pub async fn gone(&self) -> Result<Proposal> {
        let Ok(declared) = self.agents() else { return Ok(Proposal::default()) };
        let after = declared.gone_after.size();
        let survey = self.store.survey(move |tx| {
            let (silent, enrolled) = silent(tx, after)?;
            let mut agents = Vec::new();
            for Silent { host, last, .. } in silent {
                let why = tx.get(&GONE, &host)?.and_then(|gone| gone.why);
                agents.extend(why.map(|why| GoneAgent { host, last, why }));
            }
            let at_once = AT_ONCE_MIN.max(enrolled / AT_ONCE_PART);
            let brake = (agents.len() > at_once).then(|| {
                format!(
                    "{} of {enrolled} agents seem to be gone, and {at_once} may be removed at once: look at DNS and at the \
                     heartbeats first; single ones may be revoked",
                    agents.len()
                )
            });
            Ok(Proposal { agents, brake })
        });
        survey.await
    }

    /// What removing all that are proposed would do.
    ///
    /// # Errors
    /// `Conflict` while the brake is on.
    pub async fn plan_removal(&self) -> Result<Vec<String>> {
        let agents = self.proposed().await?;
        if agents.is_empty() {
            return Ok(vec!["No agent is gone.".to_owned()]);
        }
        Ok(agents
            .into_iter()
            .map(|GoneAgent { host, why, .. }| format!("The agent of {host} is cut off, and its queue deleted: {why}."))
            .collect())
    }

    /// Cuts off all that are proposed, and deletes their queues. How many, and how many could not be yet.
    ///
    /// # Errors
    /// `Conflict` while the brake is on.
    pub async fn remove_gone(&self, caller: &Caller) -> Result<(usize, usize)> {
        let (mut done, mut failed) = (0, 0);
        for GoneAgent { host, .. } in self.proposed().await? {
            match self.revoke(&host, QueueFate::Delete, caller).await {
                Ok(()) => done += 1,
                Err(error) => {
                    tracing::warn!("the agent of {host} could not be cut off yet: {}", error.chain());
                    failed += 1;
                }
            }
        }
        Ok((done, failed))
    }

    async fn proposed(&self) -> Result<Vec<GoneAgent>> {
        let Proposal { agents, brake } = self.gone().await?;
        brake.map_or(Ok(agents), |brake| Err(Error::conflict(brake)))
    }

    /// Asks DNS about those that were silent for long.
    pub(super) async fn look_for_gone(&self, after: Duration) -> Result<()> {
        let now = self.clock.now();
        let survey = self.store.survey(move |tx| {
            let mut due = Vec::new();
            for silent in silent(tx, after)?.0 {
                let looked = tx.get(&GONE, &silent.host)?.map(|gone| gone.looked);
                if due.len() < LOOKS_MAX && looked.is_none_or(|looked| !looked.is_within(FRESH, now)) {
                    due.push(silent);
                }
            }
            Ok(due)
        });
        let looks = stream::iter(survey.await?.into_iter().map(|Silent { host, .. }| async move {
            let why = self.why_gone(&host).await;
            (host, why)
        }));
        let looked: Vec<(HostName, Option<String>)> =
            looks.buffer_unordered(LOOKS_AT_ONCE).take_until(sleep(LOOKS_DEADLINE)).collect().await;
        if looked.is_empty() {
            return Ok(());
        }
        let note = move |tx: &mut WriteTx<'_, '_>| {
            let looked_at = tx.now();
            looked.iter().try_for_each(|(host, why)| tx.put(&GONE, host, &Gone { looked: looked_at, why: why.clone() }))
        };
        self.store.write(note).await
    }

    /// Why one counts as gone: DNS has no address for its name. While DNS gives no answer, nobody is.
    async fn why_gone(&self, host: &HostName) -> Option<String> {
        (self.hosts.has_address(host).await == Some(false)).then(|| format!("DNS has no address for {host}"))
    }
}

/// Those that were enrolled and not heard for so long, and how many are enrolled in all.
fn silent(tx: &Survey<'_>, after: Duration) -> Result<(Vec<Silent>, usize)> {
    let (mut silent, mut count) = (Vec::new(), 0);
    let now = tx.now();
    let mut all = Vec::new();
    tx.each(&ENROLLED, |host, enrolled: Enrolled| all.push((host, enrolled)))?;
    for (host, enrolled) in all.into_iter().filter(|(_, enrolled)| enrolled.revoked.is_none()) {
        count += 1;
        let heard: Option<Heard> = tx.get(&HEARD, &enrolled.queueloc)?;
        let last = heard.map(|heard| heard.last);
        if last.unwrap_or(enrolled.rotated).max(enrolled.rotated).plus(after) < now {
            silent.push(Silent { host, last });
        }
    }
    Ok((silent, count))
}
