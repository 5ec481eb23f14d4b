//! Agents that knock and are in no list: who they say they are, who DNS says they are, and what an operator decides.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Agents;
use super::locations;
use crate::base::audit::Action;
use crate::base::text::pluralize;
use crate::base::{Error, HostName, Queueloc, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::domain::relay::Change;
use crate::proto::heartbeat::Heartbeat;
use crate::store::{Table, WriteTx};

/// What an operator decides is audited; how often somebody knocks is not.
pub(super) const PENDING: Table<Queueloc, Pending> = Table::audited("agents_pending");
pub(super) const NOTED: Table<Queueloc, Pending> = Table::plain("agents_pending");

/// Agents that wait at once. Further ones are counted only: whoever may publish can make up any number of them.
pub(super) const PENDING_MAX: u64 = 10_000;
/// How long one that knocks no more is remembered.
pub(super) const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Addresses that are remembered of one.
const ADDRESSES_MAX: usize = 8;

/// An agent that waits, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub first: Timestamp,
    pub last: Timestamp,
    pub count: u64,
    pub name: String,
    pub version: String,
    pub os: String,
    /// Those that it says it has, without the lengths of their networks.
    pub addresses: Vec<IpAddr>,
    /// Where it really asked from: by HTTP only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// What DNS says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Looked>,
    /// That it stays out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Decision>,
}

/// What DNS says of an agent's addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    pub at: Timestamp,
    /// The address that was looked up.
    pub address: Option<IpAddr>,
    /// The host that DNS confirms, both ways.
    pub host: Option<HostName>,
    /// What follows from that, in a sentence.
    pub verdict: String,
}

/// Who decided, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub at: Timestamp,
    /// As the audit log names them.
    pub by: String,
    pub reason: String,
}

/// An agent that waits, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingAgent {
    pub queueloc: Queueloc,
    /// What it calls its host.
    pub name: String,
    pub version: String,
    pub os: String,
    /// Addresses that it says it has.
    pub addresses: Vec<IpAddr>,
    /// Where it asked from, where that is known.
    pub from: Option<IpAddr>,
    pub first: Timestamp,
    pub last: Timestamp,
    /// How often it knocked.
    pub count: u64,
    pub looked: Option<Looked>,
    /// That somebody decided to leave it out.
    pub refused: Option<Decision>,
}

/// That an agent knocked, so many times in a batch.
pub(super) struct Knock {
    pub count: u64,
    pub from: Option<IpAddr>,
    /// What DNS says, where that was asked already.
    pub looked: Option<Looked>,
    pub name: String,
    pub version: String,
    pub os: String,
    pub addresses: Vec<IpAddr>,
}

impl Knock {
    /// None yet.
    pub fn of(heartbeat: &Heartbeat) -> Self {
        let environment = &heartbeat.environment;
        let address = |text: &String| text.split('/').next()?.parse::<IpAddr>().ok();
        let addresses = environment.addresses.items.iter().chain([&environment.public_ip]).filter_map(address);
        let mut addresses: Vec<IpAddr> = addresses.filter(is_worth_a_look).take(ADDRESSES_MAX).collect();
        addresses.dedup();
        let (name, version) = (heartbeat.name.clone(), heartbeat.version.clone());
        Self { count: 0, from: None, looked: None, name, version, os: environment.os.clone(), addresses }
    }
}

/// Whether an address can have a name that other hosts may ask for.
fn is_worth_a_look(address: &IpAddr) -> bool {
    let is_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(is_local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

/// Notes that somebody knocked.
pub(super) fn note(tx: &mut WriteTx<'_, '_>, queueloc: &Queueloc, knock: Knock) -> Result<()> {
    let now = tx.now();
    let Knock { count, from, looked, name, version, os, addresses } = knock;
    let known = tx.get(&NOTED, queueloc)?;
    if known.is_none() && tx.count(&NOTED)? >= PENDING_MAX {
        return Ok(());
    }
    let pending = match known {
        Some(known) => {
            let is_same = known.addresses == addresses && known.from == from && known.name == name;
            Pending {
                last: now,
                count: known.count.saturating_add(count),
                looked: looked.or(known.looked.filter(|_| is_same)),
                name,
                version,
                os,
                addresses,
                from,
                ..known
            }
        }
        None => Pending { first: now, last: now, count, name, version, os, addresses, from, looked, refused: None },
    };
    tx.put(&NOTED, queueloc, &pending)
}

impl Agents {
    /// All that wait, those that were refused among them, the one that knocked last first.
    pub async fn pending(&self) -> Result<Vec<PendingAgent>> {
        let survey = self.store.survey(|tx| {
            let mut all = Vec::new();
            tx.each(&NOTED, |queueloc, pending: Pending| {
                let Pending { first, last, count, name, version, os, addresses, from, looked, refused } = pending;
                all.push(PendingAgent {
                    queueloc,
                    name,
                    version,
                    os,
                    addresses,
                    from,
                    first,
                    last,
                    count,
                    looked,
                    refused,
                });
            })?;
            all.sort_by(|one, other| other.last.cmp(&one.last).then_with(|| one.queueloc.cmp(&other.queueloc)));
            Ok(all)
        });
        survey.await
    }

    /// What letting an agent in, or keeping it out, would do. It fails as that would.
    pub fn plan_decision(&self, queueloc: &Queueloc, lets_in: bool) -> Result<Vec<String>> {
        let pending = self.store.read(|tx| tx.get(&NOTED, queueloc))?.ok_or_else(|| not_waiting(queueloc))?;
        let name = &pending.name;
        let mut effects = vec![if lets_in {
            format!("The line `{queueloc}` is added to the whitelist, and the agent of {name} waits no more.")
        } else {
            format!("The agent of {name} stays out, and is listed as refused. It goes on to knock.")
        }];
        match &pending.looked {
            Some(looked) => effects.push(format!("Of what it says, DNS says: {}.", looked.verdict)),
            None => effects.push("DNS was not asked about it yet.".to_owned()),
        }
        if pending.from.is_none() {
            effects.push("Name and addresses are what it says of itself: over AMQP nobody proves them.".to_owned());
        }
        Ok(effects)
    }

    /// A change of the whitelist that a file wishes, without what it says of enrolled agents: a file that was edited before hosts
    /// enrolled does not know them, and one from before a revocation knows too many. With what was left out, in words.
    pub async fn taken_over(&self, change: Change) -> Result<(Change, Vec<String>)> {
        let survey = self.store.survey(move |tx| {
            let (mut taken, mut kept) = (Change::default(), Vec::new());
            for (lines, is_new) in [(change.add, true), (change.remove, false)] {
                for line in lines {
                    let location = match Queueloc::parse(&line) {
                        Ok(queueloc) => locations::of(tx, &queueloc)?,
                        Err(_) => None,
                    };
                    match location {
                        Some(location) if location.is_revoked == is_new => kept.push(line),
                        _ if is_new => taken.add.push(line),
                        _ => taken.remove.push(line),
                    }
                }
            }
            Ok((taken, kept))
        });
        let (taken, kept) = survey.await?;
        let says = (!kept.is_empty()).then(|| {
            format!(
                "{} of enrolled agents, or of those that were cut off, stay as they are.",
                pluralize(kept.len(), "line", "lines")
            )
        });
        Ok((taken, says.into_iter().collect()))
    }

    /// Lets an agent in that waits: its name is a line of the whitelist from now on.
    ///
    /// # Errors
    /// `NotFound` when it does not wait.
    pub async fn approve(&self, queueloc: &Queueloc, caller: &Caller) -> Result<()> {
        let (this, queueloc, caller) = (self.clone(), queueloc.clone(), caller.clone());
        self.store.write(move |tx| this.let_in(tx, &queueloc, &caller, None)).await
    }

    /// The same in a transaction, maybe by a rule.
    pub(super) fn let_in(
        &self,
        tx: &mut WriteTx<'_, '_>,
        queueloc: &Queueloc,
        caller: &Caller,
        rule: Option<&str>,
    ) -> Result<()> {
        tx.get(&PENDING, queueloc)?.ok_or_else(|| not_waiting(queueloc))?;
        let by = rule.map_or_else(|| caller.actor().to_string(), |rule| format!("rule {rule}"));
        self.relay.admit(tx, queueloc, by)?;
        tx.delete(&PENDING, queueloc);
        let note = caller.note(Action::AgentApprove, queueloc);
        tx.audit(rule.into_iter().fold(note, |note, rule| note.with("rule", rule)));
        Ok(())
    }

    /// Notes that an agent stays out.
    ///
    /// # Errors
    /// `NotFound` when it does not wait.
    pub async fn refuse(&self, queueloc: &Queueloc, caller: &Caller) -> Result<()> {
        let (queueloc, reason, caller) = (queueloc.clone(), caller.reason()?.to_string(), caller.clone());
        self.store.write(move |tx| keep_out(tx, &queueloc, &caller, reason, None)).await
    }
}

/// Notes it in a transaction, maybe by a rule.
pub(super) fn keep_out(
    tx: &mut WriteTx<'_, '_>,
    queueloc: &Queueloc,
    caller: &Caller,
    reason: String,
    rule: Option<&str>,
) -> Result<()> {
    let mut pending = tx.get(&PENDING, queueloc)?.ok_or_else(|| not_waiting(queueloc))?;
    let by = rule.map_or_else(|| caller.actor().to_string(), |rule| format!("rule {rule}"));
    pending.refused = Some(Decision { at: tx.now(), by, reason });
    tx.put(&PENDING, queueloc, &pending)?;
    let note = caller.note(Action::AgentRefuse, queueloc);
    tx.audit(rule.into_iter().fold(note, |note, rule| note.with("rule", rule)));
    Ok(())
}

fn not_waiting(queueloc: &Queueloc) -> Error {
    Error::not_found(format!("no agent `{queueloc}` waits to be let in"))
}
