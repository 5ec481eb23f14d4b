//! Machines known by their DNS names: who an address is, what it gets, and what is remembered of it
//! (taskcluster.md 6.3; vector groups `host_secrets_*`).
//!
//! A machine shows no secret. That its address leads to a name and the name back to the address is all the proof there
//! is, so whoever can answer for DNS or take an address can be a host: `docs/hosts.md` says what that means.

mod cause;
mod counts;
mod explain;
mod leases;
mod lookup;
mod record;
mod rules;
mod verify;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use cause::Cause;
pub use explain::{Check, Explanation};
pub use leases::HostLease;
pub use lookup::Checked;
pub use record::{Known, PAGE_LEN_MAX};
pub use rules::{HostRule, Names, Ruled};
pub use verify::{Step, Verdict, judge};

use counts::Counts;
use lookup::Lookups;
use record::{NAMES, Visit};

use crate::base::audit::{Action, Actor, Note};
use crate::base::meter::Counter;
use crate::base::rate::RateLimit;
use crate::base::{ClientId, Clock, Error, HostName, MailAddress, Result, Scope, Secret, Timestamp};
use crate::domain::lend_counts::{self, LendKind};
use crate::domain::notices::Notices;
use crate::ports::authority::Authority;
use crate::ports::dns::{Answer, Dns};
use crate::proto::addresses::{AddressList, network};
use crate::proto::tempcred::{self, Credentials, Grant};
use crate::store::{Cached, Lent, Store};

/// What a machine hears, whatever the cause.
const REFUSAL: &str = "Remote IP not allowed";
/// Its code on the wire.
pub const REFUSAL_CODE: &str = "IPNotAllowed";

#[derive(Clone, Debug)]
pub struct Lending {
    pub issuer: ClientId,
    /// The permanent access token to sign with.
    pub access_token: Secret,
    /// Stands before the reversed name in the one scope.
    pub scope_base: String,
    /// Stands before the reversed name in the client id.
    pub client_id_base: String,
    /// How long credentials are valid; at most 31 days.
    pub duration: Duration,
    pub allowed: AddressList,
}

/// What the settings say of machines.
#[derive(Clone, Debug)]
pub struct Config {
    /// What hosts get, or the names of the settings that are missing.
    pub lending: std::result::Result<Lending, Vec<&'static str>>,
    /// DNS servers that must give the same verdict.
    pub agree: usize,
    /// How long a verified name is believed at most.
    pub fresh_max: Duration,
    /// Requests of one address in a minute; 0 is no limit.
    pub per_minute: u32,
    /// Who hears of hosts that changed.
    pub contacts: Vec<MailAddress>,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The address; an IPv4-mapped one is an IPv4 address here.
    pub address: IpAddr,
    /// Whether the way to it could be read.
    pub is_sure: bool,
    /// The id of the request, for the audit log.
    pub request_id: &'a str,
}

/// Lends to machines. Cheap to clone.
#[derive(Clone)]
pub struct Hosts {
    store: Store,
    notices: Notices,
    clock: Clock,
    config: Arc<Config>,
    limit: Arc<RateLimit<IpAddr>>,
    counts: Arc<Counts>,
    refusals: Arc<[Counter; Cause::CODES.len()]>,
    lookups: Arc<Lookups>,
    authority: Option<Authority>,
    decided: Cached<Vec<HostRule>>,
}

impl Hosts {
    /// Lends by these settings to whom this DNS confirms. The authority, if there is one, knows what the issuer may do.
    pub fn new(
        store: Store,
        notices: Notices,
        clock: Clock,
        dns: Dns,
        authority: Option<Authority>,
        config: Config,
    ) -> Self {
        let limit = RateLimit::new(config.per_minute).into();
        let lookups = Lookups::new(dns, config.agree, config.fresh_max, clock.clone()).into();
        let (counts, refusals, decided) = Default::default();
        Self { store, notices, clock, config: config.into(), limit, counts, refusals, lookups, authority, decided }
    }

    /// Temporary credentials for the host that asks: its own client id, and the one scope that is its name.
    ///
    /// Whoever is refused hears the same for every cause, `Forbidden`; the cause is remembered for operators.
    /// `Limited` for one that asks too often, `Unavailable` while settings are missing.
    pub async fn credentials(&self, asker: Asker<'_>) -> Result<Lent<Credentials>> {
        let address = asker.address;
        self.admit(address)?;
        // After the limit: it is logged, and anybody can ask.
        let lending = self.config.lending.as_ref().map_err(|missing| not_configured(missing))?;
        if let Some(cause) = self.refuse_early(lending, &asker).await? {
            return Err(self.refuse(asker, cause, &[]).await);
        }
        let checked = self.lookups.check(address).await;
        match self.decide(lending, address, &checked.verdict).await? {
            Ok((name, credentials)) => self.lend(asker, name, credentials, checked).await,
            Err(cause) => Err(self.refuse(asker, cause, &checked.answers).await),
        }
    }

    /// Whether DNS has an address for a name; `None` while it gives no answer.
    pub async fn has_address(&self, name: &HostName) -> Option<bool> {
        self.lookups.has_address(name).await
    }

    /// Who an address is by DNS alone, for who only wants to know.
    pub async fn who_is(&self, address: IpAddr) -> Verdict {
        self.lookups.check(address).await.verdict.clone()
    }

    /// Which host asks, by DNS and the rules, for other parts that serve machines; for operators why it is none. Which networks
    /// get credentials is no matter of theirs.
    pub async fn identify(&self, asker: &Asker<'_>) -> Result<std::result::Result<HostName, Cause>> {
        Ok(self.identified(asker).await?.map_err(|(cause, _)| cause))
    }

    /// The same for one that asks for a login, if it is one of those that may have one. It may not ask too often, and why it is
    /// refused is remembered.
    ///
    /// # Errors
    /// `Forbidden`, in the same words for every cause. `Limited`.
    pub async fn identify_for_login(
        &self,
        asker: Asker<'_>,
        may_have_one: impl Fn(IpAddr, &HostName) -> bool,
    ) -> Result<HostName> {
        self.admit(asker.address)?;
        match self.identified(&asker).await? {
            Ok(name) if may_have_one(asker.address, &name) => Ok(name),
            Ok(name) => Err(self.refuse(asker, Cause::EnrolsByToken(name), &[]).await),
            Err((cause, checked)) => {
                let answers = checked.as_ref().map_or(&[][..], |checked| &checked.answers);
                Err(self.refuse(asker, cause, answers).await)
            }
        }
    }

    /// Counts a request of an address against its limit.
    ///
    /// # Errors
    /// `Limited` for one that asks too often.
    pub fn admit(&self, address: IpAddr) -> Result<()> {
        self.limit.admit(network(address), self.clock.elapsed()).map_err(|after| {
            Error::limited("this address asks for credentials too often: wait, and keep those that you have", after)
        })
    }

    async fn identified(
        &self,
        asker: &Asker<'_>,
    ) -> Result<std::result::Result<HostName, (Cause, Option<Arc<Checked>>)>> {
        if !asker.is_sure {
            return Ok(Err((Cause::UnknownAddress, None)));
        }
        if let Some(cause) = self.refuse_address(asker.address).await? {
            return Ok(Err((cause, None)));
        }
        let checked = self.lookups.check(asker.address).await;
        let name = match &checked.verdict {
            Verdict::Verified(name) => name.clone(),
            Verdict::Refused(cause) => return Ok(Err((cause.clone(), Some(checked)))),
        };
        let refused = self.refuse_host(asker.address, &name).await?;
        Ok(refused.map_or(Ok(name), |cause| Err((cause, Some(checked)))))
    }

    /// Why an address gets nothing before DNS is asked.
    async fn refuse_early(&self, lending: &Lending, asker: &Asker<'_>) -> Result<Option<Cause>> {
        if !asker.is_sure {
            return Ok(Some(Cause::UnknownAddress));
        }
        if !lending.allowed.includes(asker.address) {
            return Ok(Some(Cause::NotAllowed));
        }
        self.refuse_address(asker.address).await
    }

    /// What a verdict comes to under the rules: credentials that are not lent yet, or why there are none.
    async fn decide(
        &self,
        lending: &Lending,
        address: IpAddr,
        verdict: &Verdict,
    ) -> Result<std::result::Result<(HostName, Issued), Cause>> {
        let name = match verdict {
            Verdict::Verified(name) => name,
            Verdict::Refused(cause) => return Ok(Err(cause.clone())),
        };
        if let Some(cause) = self.refuse_host(address, name).await? {
            return Ok(Err(cause));
        }
        match lending.issue(name, &self.clock) {
            Ok(issued) => Ok(Ok((name.clone(), issued))),
            Err(_) => Ok(Err(Cause::TooLong(name.clone()))),
        }
    }

    /// Lends in the transaction of the audit entry.
    async fn lend(
        &self,
        asker: Asker<'_>,
        name: HostName,
        issued: Issued,
        checked: Arc<Checked>,
    ) -> Result<Lent<Credentials>> {
        let (this, address, request_id) = (self.clone(), asker.address, asker.request_id.to_owned());
        let (host, expiry) = (name.clone(), issued.expiry);
        let lent = self
            .store
            .write(move |tx| {
                let (verdict, answers) = (Ok(&name), &*checked.answers);
                this.remember(tx, &Visit { address, verdict, answers, request_id: &request_id })?;
                lend_counts::count(tx, LendKind::Host)?;
                let Issued { credentials, scope, expiry } = issued;
                leases::note_lease(tx, &name, address, &credentials.client_id, expiry)?;
                let note = Note::done(Actor::Host(name.clone()), Action::HostLend, &name)
                    .request(request_id)
                    .about(&credentials.access_token)
                    .with("address", address.to_string())
                    .with("client_id", credentials.client_id.as_str())
                    .with("scope", scope.as_str())
                    .with("expiry", expiry.to_string());
                Ok(tx.lend(note, credentials))
            })
            .await;
        let request_id = asker.request_id;
        match &lent {
            Ok(_) => {
                tracing::info!(request_id, host.name = %host, %address, "lent credentials to host `{host}` until {expiry}");
            }
            // What was noted in memory did not become true.
            Err(_) => self.counts.recorded(address, None),
        }
        lent
    }

    /// How many requests were refused since the start, by the code of the cause.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Cause::CODES.into_iter().zip(self.refusals.iter().map(Counter::count))
    }

    /// Remembers a refusal and makes the error that its machine hears.
    async fn refuse(&self, asker: Asker<'_>, cause: Cause, answers: &[Answer]) -> Error {
        if let Some(index) = Cause::CODES.iter().position(|code| *code == cause.code()) {
            self.refusals[index].one();
        }
        let refusal = Error::forbidden(REFUSAL).with_code(REFUSAL_CODE);
        let (this, address) = (self.clone(), asker.address);
        let (answers, request_id) = (answers.to_vec(), asker.request_id.to_owned());
        tracing::debug!(request_id, %address, "refused credentials: {cause}");
        let remembered = self.store.write(move |tx| {
            this.remember(tx, &Visit { address, verdict: Err(&cause), answers: &answers, request_id: &request_id })
        });
        // A store that cannot be written lends nothing either; then that is what there is to say.
        remembered.await.err().unwrap_or(refusal)
    }
}

/// Credentials that are not lent yet.
struct Issued {
    credentials: Credentials,
    scope: Scope,
    expiry: Timestamp,
}

impl Lending {
    /// The client id and the scope of a host. `Invalid` for a name that makes one of them too long.
    fn identity(&self, name: &HostName) -> Result<(ClientId, Scope)> {
        let reversed = name.reversed();
        let client_id = ClientId::parse(&format!("{}{reversed}", self.client_id_base))?;
        Ok((client_id, Scope::parse(&format!("{}{reversed}", self.scope_base))?))
    }

    fn issue(&self, name: &HostName, clock: &Clock) -> Result<Issued> {
        let (client_id, scope) = self.identity(name)?;
        let start = clock.now();
        let expiry = start.plus(self.duration);
        let grant = Grant { name: Some(&client_id), start, expiry, scopes: std::slice::from_ref(&scope) };
        let seed = Secret::generate_long();
        let credentials = tempcred::issue(&self.issuer, &self.access_token, &grant, seed.expose())?;
        Ok(Issued { credentials, scope, expiry })
    }
}

fn not_configured(missing: &[&str]) -> Error {
    Error::unavailable("this server lends no host credentials: it is not set up for it")
        .because(format!("not set: {}", missing.join(", ")))
}
