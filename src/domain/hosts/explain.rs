//! Why an address gets what it gets, in full, for operators; and whether lending to hosts is set up well.

use std::net::{IpAddr, SocketAddr};

use super::{Cause, Hosts, Lending, Verdict};
use crate::base::{ClientId, HostName, Result, Scope};
use crate::domain::auth::scopes;
use crate::ports::dns::{Answer, Kind};
use crate::proto::scopes::covers;

/// What an address would get now, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub address: IpAddr,
    /// Why it would get nothing.
    pub cause: Option<Cause>,
    /// The name that DNS confirms, also of one that gets nothing by another rule.
    pub name: Option<HostName>,
    /// What it would be lent.
    pub identity: Option<(ClientId, Scope)>,
    /// Settings that are missing: without them nobody gets anything.
    pub missing: Vec<&'static str>,
    /// The checks that lead to it, in their order: the first one that does not hold is the cause.
    pub checks: Vec<Check>,
    /// All that was asked and answered just now.
    pub answers: Vec<Answer>,
}

/// One of the checks that an address goes through.
#[derive(Clone, Debug)]
pub struct Check {
    pub about: &'static str,
    /// What was found, or why the address gets nothing. `None`: what it would be about is not known.
    pub outcome: Option<std::result::Result<String, Cause>>,
}

impl Hosts {
    /// Judges an address afresh and lends nothing. DNS is asked also when the address would be refused before. `is_sure`
    /// as in [`super::Asker`].
    pub async fn explain(&self, address: IpAddr, is_sure: bool) -> Result<Explanation> {
        let checked = self.lookups.check_now(address).await;
        let name = checked.name().cloned();
        let (lending, missing) = match &self.config.lending {
            Ok(lending) => (Some(lending), Vec::new()),
            Err(missing) => (None, missing.clone()),
        };
        let identity = lending.zip(name.as_ref()).and_then(|(lending, name)| lending.identity(name).ok());
        let mut checks = Vec::new();
        if !is_sure {
            checks.push(Check { about: "which address", outcome: Some(Err(Cause::UnknownAddress)) });
        }
        checks.push(self.check_allowed(lending, address));
        checks.push(self.check_blocked(address).await?);
        checks.extend(check_dns(address, &checked.verdict, &checked.answers));
        checks.push(self.check_rules(address, name.as_ref()).await?);
        checks.push(check_identity(lending, name.as_ref(), identity.as_ref()));
        let cause = checks.iter().find_map(|check| check.outcome.as_ref()?.as_ref().err()).cloned();
        let identity = identity.filter(|_| cause.is_none());
        Ok(Explanation { address, cause, name, identity, missing, checks, answers: checked.answers.to_vec() })
    }

    fn check_allowed(&self, lending: Option<&Lending>, address: IpAddr) -> Check {
        let outcome = lending.map(|lending| {
            if lending.allowed.includes(address) {
                Ok("it is in the networks of TASKCLUSTER_ALLOWED_IPS".to_owned())
            } else {
                Err(Cause::NotAllowed)
            }
        });
        Check { about: "allowed networks", outcome }
    }

    async fn check_blocked(&self, address: IpAddr) -> Result<Check> {
        let refused = self.refuse_address(address).await?;
        let outcome = refused.map_or_else(|| Ok("no rule blocks the address".to_owned()), Err);
        Ok(Check { about: "rules about the address", outcome: Some(outcome) })
    }

    async fn check_rules(&self, address: IpAddr, name: Option<&HostName>) -> Result<Check> {
        let outcome = match name {
            Some(name) => Some(self.refuse_host(address, name).await?),
            None => None,
        };
        let outcome = outcome.map(|cause| cause.map_or_else(|| Ok("no rule is against it".to_owned()), Err));
        Ok(Check { about: "rules about the name", outcome })
    }

    /// Settings without which no host gets anything.
    pub fn missing(&self) -> &[&'static str] {
        self.config.lending.as_ref().err().map_or(&[], Vec::as_slice)
    }

    /// The DNS servers that verify hosts.
    pub fn servers(&self) -> Vec<IpAddr> {
        self.lookups.dns().servers().map(|server| server.ip()).collect()
    }

    /// How many servers must agree, and whether each answers at all.
    pub async fn answering(&self) -> (usize, Vec<(SocketAddr, std::result::Result<(), String>)>) {
        (self.config.agree, self.lookups.dns().answering().await)
    }

    /// Scopes that the issuer needs and does not hold: without them, what it signs is refused (taskcluster.md 2.3).
    /// `None` where there is nobody to ask. `Unauthenticated` when the auth service does not know the issuer so.
    pub async fn lacking(&self) -> Result<Option<Vec<String>>> {
        let (Some(authority), Ok(lending)) = (&self.authority, &self.config.lending) else { return Ok(None) };
        let held = authority.scopes_of(&lending.issuer, &lending.access_token, self.clock.now()).await?;
        let client_ids = format!("{}*", scopes::AUTH_CREATE_CLIENT.on(&lending.client_id_base));
        let needed = [format!("{}*", lending.scope_base), client_ids];
        Ok(Some(needed.into_iter().filter(|scope| !covers(&held, scope)).collect()))
    }
}

/// The address must lead to one name, and the name back to it.
fn check_dns(address: IpAddr, verdict: &Verdict, answers: &[Answer]) -> [Check; 2] {
    let is_forward = answers.last().is_some_and(|answer| answer.question.kind != Kind::Ptr);
    let (name, back) = match verdict {
        Verdict::Verified(name) => (Some(Ok(format!("it is called {name}"))), Some(Ok(format!("{name} is {address}")))),
        Verdict::Refused(cause) if is_forward => (Some(Ok("it has one name".to_owned())), Some(Err(cause.clone()))),
        Verdict::Refused(cause) => (Some(Err(cause.clone())), None),
    };
    [Check { about: "name of the address (PTR)", outcome: name }, Check { about: "address of the name", outcome: back }]
}

fn check_identity(lending: Option<&Lending>, name: Option<&HostName>, identity: Option<&(ClientId, Scope)>) -> Check {
    let outcome = lending.zip(name).map(|(_, name)| match identity {
        Some((client_id, _)) => Ok(format!("it is the client {client_id}")),
        None => Err(Cause::TooLong(name.clone())),
    });
    Check { about: "client id", outcome }
}
