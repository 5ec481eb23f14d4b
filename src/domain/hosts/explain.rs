//! Why an address gets what it gets, in full, for operators; and whether lending to hosts is set up well.

use std::net::{IpAddr, SocketAddr};

use super::{Cause, Hosts, Lending, Verdict};
use crate::base::{ClientId, HostName, Result, Scope};
use crate::ports::dns::Answer;
use crate::proto::scopes::covers;

/// What an address would get now, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The address.
    pub address: IpAddr,
    /// Why it would get nothing.
    pub cause: Option<Cause>,
    /// The name that DNS confirms, also of one that gets nothing by another rule.
    pub name: Option<HostName>,
    /// What it would be lent.
    pub identity: Option<(ClientId, Scope)>,
    /// Settings that are missing: without them nobody gets anything.
    pub missing: Vec<&'static str>,
    /// All that was asked and answered just now.
    pub answers: Vec<Answer>,
}

impl Hosts {
    /// Judges an address afresh and lends nothing. DNS is asked also when the address would be refused before. `is_sure`
    /// as in [`super::Asker`].
    pub async fn explain(&self, address: IpAddr, is_sure: bool) -> Result<Explanation> {
        let checked = self.lookups.check_now(address).await;
        let name = checked.name().cloned();
        let (lending, missing) = match &self.rules.lending {
            Ok(lending) => (Some(lending), Vec::new()),
            Err(missing) => (None, missing.clone()),
        };
        let identity = lending.zip(name.as_ref()).and_then(|(lending, name)| lending.identity(name).ok());
        let cause = match is_sure {
            true => self.refusal(lending, address, &checked.verdict, identity.is_some())?,
            false => Some(Cause::UnknownAddress),
        };
        let identity = identity.filter(|_| cause.is_none());
        Ok(Explanation { address, cause, name, identity, missing, answers: checked.answers.to_vec() })
    }

    fn refusal(
        &self,
        lending: Option<&Lending>,
        address: IpAddr,
        verdict: &Verdict,
        fits: bool,
    ) -> Result<Option<Cause>> {
        if lending.is_some_and(|lending| !lending.allowed.includes(address)) {
            return Ok(Some(Cause::NotAllowed));
        }
        if let Some(cause) = self.decided.refuse_address(&self.store, address)? {
            return Ok(Some(cause));
        }
        let name = match verdict {
            Verdict::Verified(name) => name,
            Verdict::Refused(cause) => return Ok(Some(cause.clone())),
        };
        let refused = self.decided.refuse_host(&self.store, address, name)?;
        Ok(refused.or_else(|| (lending.is_some() && !fits).then(|| Cause::TooLong(name.clone()))))
    }

    /// Settings without which no host gets anything.
    pub fn missing(&self) -> &[&'static str] {
        self.rules.lending.as_ref().err().map_or(&[], Vec::as_slice)
    }

    /// The DNS servers that verify hosts.
    pub fn servers(&self) -> Vec<IpAddr> {
        self.lookups.dns().servers().map(|server| server.ip()).collect()
    }

    /// How many servers must agree, and whether each answers at all.
    pub async fn answering(&self) -> (usize, Vec<(SocketAddr, std::result::Result<(), String>)>) {
        (self.rules.agree, self.lookups.dns().answering().await)
    }

    /// Scopes that the issuer needs and does not hold: without them, what it signs is refused (taskcluster.md 2.3).
    /// `None` where there is nobody to ask. `Unauthenticated` when the auth service does not know the issuer so.
    pub async fn lacking(&self) -> Result<Option<Vec<String>>> {
        let (Some(authority), Ok(lending)) = (&self.authority, &self.rules.lending) else { return Ok(None) };
        let held = authority.scopes_of(&lending.issuer, &lending.access_token, self.clock.now()).await?;
        let client_ids = format!("auth:create-client:{}*", lending.client_id_base);
        let needed = [format!("{}*", lending.scope_base), client_ids];
        Ok(Some(needed.into_iter().filter(|scope| !covers(&held, scope)).collect()))
    }
}
