//! Taking back: a plan of what would be done, and doing it one by one, each with its entry in the audit log.

use std::collections::BTreeMap;

use super::{Filter, Lease, Leases, Target};
use crate::base::audit::{Action, Outcome};
use crate::base::{Error, Result};
use crate::domain::agents::QueueFate;
use crate::domain::auth::Caller;
use crate::domain::hosts::{HostRule, Names};
use crate::domain::namespaces::Which;

#[derive(Clone, Debug, Default)]
pub struct Revocation {
    pub filter: Filter,
    /// Whether a filter that lets everything through is meant.
    pub all: bool,
    /// Whether to remove namespaces with their queues, instead of replacing their passwords.
    pub release: bool,
    /// Whether hosts get no new credentials either.
    pub block: bool,
}

#[derive(Clone, Debug)]
pub struct Planned {
    pub target: Target,
    pub what: String,
}

#[derive(Debug)]
pub struct Revoked {
    pub target: Target,
    /// What else there is to know and to do, or why it failed.
    pub outcome: Result<String>,
}

impl Leases {
    /// What a revocation would do. `Invalid` for one without a filter that does not say that everything is meant.
    pub async fn plan(&self, revocation: &Revocation) -> Result<Vec<Planned>> {
        if revocation.filter.is_empty() && !revocation.all {
            return Err(Error::invalid(
                "no filter was given: that would revoke everything. Say so if it is meant (`all`)",
            ));
        }
        let counted = |leases: Vec<Lease>| {
            let mut holders: BTreeMap<Target, usize> = BTreeMap::new();
            leases.into_iter().for_each(|lease| *holders.entry(lease.target).or_default() += 1);
            holders
        };
        let holders = self.look(&revocation.filter, counted).await?;
        let planned =
            holders.into_iter().map(|(target, leases)| Planned { what: words(&target, leases, revocation), target });
        Ok(planned.collect())
    }

    /// Takes back what the plan says, one after the other. One that fails does not stop the others. It may be repeated:
    /// what was taken back is not lent any more, and what failed still is. `Invalid` without a reason.
    pub async fn revoke(&self, caller: &Caller, revocation: &Revocation) -> Result<Vec<Revoked>> {
        caller.reason()?;
        let mut revoked = Vec::new();
        for Planned { target, .. } in self.plan(revocation).await? {
            let outcome = self.revoke_one(caller, &target, revocation).await;
            let note = caller.note(Action::LeaseRevoke, target.name()).with("kind", target.kind().as_str());
            let note = match &outcome {
                Ok(_) => note,
                Err(error) => {
                    tracing::warn!("could not revoke {}: {}", target.name(), error.chain());
                    note.outcome(Outcome::Failed).with("cause", error.message().to_owned())
                }
            };
            let noted = self.store.note(note);
            let outcome = match (outcome, noted.await) {
                (Ok(_), Err(error)) => Err(error),
                (outcome, _) => outcome,
            };
            revoked.push(Revoked { target, outcome });
        }
        Ok(revoked)
    }

    async fn revoke_one(&self, caller: &Caller, target: &Target, revocation: &Revocation) -> Result<String> {
        match target {
            Target::Namespace(name) if revocation.release => {
                let removed = self.namespaces.expire(name, caller, Which::Any).await?;
                Ok(if removed { "removed" } else { "it was claimed anew meanwhile: look again" }.to_owned())
            }
            Target::Namespace(name) => {
                self.namespaces.revoke(name, caller).await?;
                Ok("both passwords are replaced and their connections closed; all its holders must claim again".into())
            }
            Target::Host(name) => {
                if revocation.block {
                    let rule = HostRule::BlockNames(Names::only(name.clone()));
                    self.hosts.set_rule(caller, rule, caller.reason()?.to_string()).await?;
                }
                self.hosts.revoke(name, &self.auth, caller).await
            }
            Target::Client(id) => {
                self.auth.disable_client(caller, id.clone(), true).await?;
                Ok("disabled, and with it what it issued; reset and enable it to use it again".into())
            }
            Target::Relay(name) => {
                self.relay.revoke(name, caller).await?;
                Ok("its password is replaced and its connections closed; its programs must get the new one".into())
            }
            Target::Agent(host) => {
                self.agents.revoke(host, QueueFate::Keep, caller).await?;
                Ok("its account is gone, and its connections are closed; it enrols again by a token only".into())
            }
            Target::Proxy(id) => {
                self.proxy.end(caller, id, caller.reason()?.as_str()).await?;
                Ok("its listener is closed; what a task does there fails".into())
            }
            Target::Wrap(id) => {
                self.wraps.revoke(caller, id).await?;
                Ok("the link cannot be opened any more".into())
            }
        }
    }
}

fn words(target: &Target, leases: usize, revocation: &Revocation) -> String {
    match target {
        Target::Namespace(name) if revocation.release => {
            format!("remove {name} with its users, queues, exchanges and the messages in them")
        }
        Target::Namespace(name) => format!(
            "replace both passwords of {name} and close their connections ({leases} of its leases fit); everybody who \
             uses it must claim again"
        ),
        Target::Host(name) => {
            let block = if revocation.block { ", and lend it nothing any more" } else { "" };
            format!("refuse the temporary credentials of {name}, as far as they can be revoked{block}")
        }
        Target::Client(id) => format!("disable client {id}"),
        Target::Wrap(id) => format!("end link {id}"),
        Target::Proxy(id) => format!("end the session {id} of the task proxy"),
        Target::Agent(host) => format!("cut the agent of {host} off from the relay, and keep its queue"),
        Target::Relay(name) => format!(
            "replace the password of the account {name} and close its connections ({leases} of its leases fit); every \
             program that uses it must get the new one"
        ),
    }
}
