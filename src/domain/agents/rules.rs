//! What operators decide beforehand about agents that knock: by the name of their queue, their network, their zone in DNS.

use std::fmt;
use std::net::IpAddr;
use std::ops::Bound;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Agents;
use super::pending::Looked;
use crate::base::audit::Action;
use crate::base::{Error, HostName, Queueloc, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::domain::hosts::Names;
use crate::proto::whitelist::Whitelist;
use crate::store::{Survey, Table};

/// Rules in the store: each is looked at for every agent that waits.
const RULES_MAX: usize = 200;
/// Longest line of a rule.
const LINE_LEN_MAX: usize = 1000;
/// By the text of the rule.
const RULES: Table<AgentRule, AgentRuled> = Table::audited("agents_rules");

/// A rule: `approve zone *.example.net network 10.1.0.0/16`, `refuse queueloc re:windows\..*`. All that it names has to fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentRule {
    /// Whether those that fit are let in, or stay out.
    pub approves: bool,
    /// A line as those of the whitelist.
    pub queueloc: Option<String>,
    /// The address that DNS confirms, or that it asked from, is in here.
    pub network: Option<IpNet>,
    /// The host that DNS confirms is one of these.
    pub zone: Option<Names>,
}

/// A rule in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRuled {
    pub since: Timestamp,
    /// By whom, as the audit log names them.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Until when it counts; without an end unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a rule is asked about.
pub(super) struct Knocker<'k> {
    pub queueloc: &'k Queueloc,
    /// Where it asked from, or that DNS confirms of it.
    pub address: Option<IpAddr>,
    /// The host that DNS confirms.
    pub host: Option<&'k HostName>,
}

impl<'k> Knocker<'k> {
    /// One of whom DNS said this. Without a host that is confirmed, nothing is known of where it is.
    pub fn of(queueloc: &'k Queueloc, looked: &'k Looked) -> Self {
        let host = looked.host.as_ref();
        Self { queueloc, address: looked.address.filter(|_| host.is_some()), host }
    }
}

/// A rule that is ready to be asked.
pub(super) struct Ready {
    pub rule: AgentRule,
    line: Option<Whitelist>,
}

impl Ready {
    pub fn fits(&self, knocker: &Knocker<'_>) -> bool {
        let AgentRule { network, zone, .. } = &self.rule;
        let has_queue = self.line.as_ref().is_none_or(|line| line.admits(knocker.queueloc.as_str()).is_some());
        let is_there = network.is_none_or(|network| knocker.address.is_some_and(|address| network.contains(&address)));
        let is_of_zone = zone.as_ref().is_none_or(|zone| knocker.host.is_some_and(|host| zone.include(host)));
        has_queue && is_there && is_of_zone
    }
}

impl Agents {
    /// The rules, those that refuse first, as they are asked.
    pub async fn rules(&self) -> Result<Vec<(AgentRule, AgentRuled)>> {
        self.store.survey(all).await
    }

    /// Those that count now, ready to be asked.
    pub(super) async fn rules_in_force(&self) -> Result<Vec<Ready>> {
        let survey = self.store.survey(|tx| {
            let now = tx.now();
            let in_force = all(tx)?.into_iter().filter(|(_, ruled)| ruled.until.is_none_or(|until| now < until));
            in_force.map(|(rule, _)| Ok(Ready { line: rule.line()?, rule })).collect()
        });
        survey.await
    }

    /// Sets a rule. It counts for who waits, and for who knocks from now on.
    ///
    /// # Errors
    /// `Invalid` for an end that has passed; `Conflict` when there are too many.
    pub async fn set_rule(&self, rule: AgentRule, until: Option<Timestamp>, caller: &Caller) -> Result<()> {
        let (reason, caller) = (caller.reason()?.to_string(), caller.clone());
        self.store
            .write(move |tx| {
                if until.is_some_and(|until| until <= tx.now()) {
                    return Err(Error::invalid("expected an end of the rule that has not passed"));
                }
                if tx.get(&RULES, &rule)?.is_none() && tx.count(&RULES)? >= RULES_MAX as u64 {
                    return Err(Error::conflict(format!("there are {RULES_MAX} rules already: remove one first")));
                }
                let note = caller.note(Action::AgentRule, &rule);
                tx.audit(until.iter().fold(note, |note, until| note.with("until", until.to_string())));
                tx.put(&RULES, &rule, &AgentRuled { since: tx.now(), by: caller.actor().to_string(), reason, until })
            })
            .await
    }

    /// Removes a rule. Who was let in by it stays in.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn remove_rule(&self, rule: AgentRule, caller: &Caller) -> Result<()> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                tx.get(&RULES, &rule)?.ok_or_else(|| Error::not_found(format!("there is no rule `{rule}`")))?;
                tx.delete(&RULES, &rule);
                tx.audit(caller.note(Action::AgentUnrule, &rule));
                Ok(())
            })
            .await
    }
}

fn all(tx: &Survey<'_>) -> Result<Vec<(AgentRule, AgentRuled)>> {
    let mut all = tx.scan(&RULES, Bound::Unbounded, RULES_MAX)?;
    all.sort_by_key(|(rule, _)| rule.approves);
    Ok(all)
}

impl AgentRule {
    /// What is right in its queue location and yet may not be meant, as of a line of the whitelist.
    pub fn oddities(&self) -> Result<Vec<String>> {
        let line = self.line()?;
        let warnings = line.iter().flat_map(Whitelist::warnings);
        let what = |text: String| text.split_once(": ").map_or(text.clone(), |(_, what)| what.to_owned());
        Ok(warnings.map(|warning| what(warning.to_string())).collect())
    }

    fn line(&self) -> Result<Option<Whitelist>> {
        let compiled = |line: &String| {
            Whitelist::parse(line.as_bytes()).map_err(|mistakes| {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                let what = first.split_once(": ").map_or(first.as_str(), |(_, what)| what);
                Error::invalid(format!("the queue location of this rule cannot be read: {what}"))
            })
        };
        self.queueloc.as_ref().map(compiled).transpose()
    }
}

impl fmt::Display for AgentRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.approves { "approve" } else { "refuse" })?;
        if let Some(line) = &self.queueloc {
            write!(f, " queueloc {line}")?;
        }
        if let Some(network) = &self.network {
            write!(f, " network {network}")?;
        }
        if let Some(zone) = &self.zone {
            write!(f, " zone {zone}")?;
        }
        Ok(())
    }
}

impl FromStr for AgentRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let expected = || {
            Error::invalid(
                "expected `approve` or `refuse`, and then one or more of `queueloc <line of the whitelist>`, \
                 `network <address or network>`, `zone <name, maybe with *. before it>`",
            )
        };
        let mut words = text.split_ascii_whitespace();
        let approves = match words.next() {
            Some("approve") => true,
            Some("refuse") => false,
            _ => return Err(expected()),
        };
        let mut rule = Self { approves, queueloc: None, network: None, zone: None };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(expected)?;
            match word {
                "queueloc" if rule.queueloc.is_none() && value.len() <= LINE_LEN_MAX => {
                    rule.queueloc = Some(value.to_owned());
                }
                "network" if rule.network.is_none() => rule.network = Some(network(value).ok_or_else(expected)?),
                "zone" if rule.zone.is_none() => rule.zone = Some(value.parse().map_err(|_| expected())?),
                _ => return Err(expected()),
            }
        }
        if rule.queueloc.is_none() && rule.network.is_none() && rule.zone.is_none() {
            return Err(expected());
        }
        rule.line()?;
        Ok(rule)
    }
}

/// A network, or a single address, with no bit behind its length.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().or_else(address).map(|network| network.trunc())
}
