//! Enrolment: a host asks, and gets in one answer what its agent needs to work, with an account of its own.
//!
//! The new password is in the store first, then at the broker, and only then in the answer. A host that asks again gets
//! another password, and the same location; one whose answer was lost asks again.

use std::net::IpAddr;
use std::time::Duration;

use super::Agents;
use super::account;
use super::locations::{self, Location};
use super::record::{ABOUT, About, ENROLLED, Enrolled, EventKind};
use super::tokens;
use crate::base::audit::{Action, Actor};
use crate::base::{AccountName, Error, HostName, Kind, Queueloc, Result, Secret, Timestamp, VhostName};
use crate::domain::accounts::{LoginWish, Wish, held};
use crate::domain::auth::Caller;
use crate::domain::hosts::Asker;
use crate::domain::relay::AgentTemplate;
use crate::proto::enrolment::{self, File};
use crate::proto::mig::gcfg::Age;
use crate::proto::relay_profile;
use crate::store::{Lent, WriteTx};

/// Hosts that are enrolled at once.
const ENROLLED_MAX: u64 = super::heartbeats::AGENTS_MAX;
/// What an agent hears whose host was cut off.
const CUT_OFF: &str = "this host was cut off from the relay: an operator lets it in again by a token";

/// What a host asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The system, as Go calls it.
    pub os: String,
    /// What it shows instead of its name in DNS.
    pub token: Option<Secret>,
}

/// What a host gets. It leaves only as [`Lent`].
#[derive(Debug)]
pub struct Enrolment {
    pub host: HostName,
    pub queueloc: Queueloc,
    pub vhost: VhostName,
    /// The broker user, and its password.
    pub username: AccountName,
    pub password: Secret,
    /// When to enrol again.
    pub until: Timestamp,
    /// What belongs on the host, the id and the settings with the login first.
    pub files: Vec<File>,
}

/// A host that asks, after it was found out which one it is.
#[derive(Clone)]
struct Applicant {
    host: HostName,
    address: IpAddr,
    wanted: Wanted,
}

impl Agents {
    /// Enrols the agent of the host that asks, or gives it another password.
    ///
    /// # Errors
    /// `Forbidden` for a host that is none, whose token does not count, or that was cut off. `Limited`. `Conflict` when the
    /// profile does not say what agents get. `Unavailable` while the broker is away: nothing is handed out, and asking again
    /// is safe.
    pub async fn enrol(&self, asker: Asker<'_>, wanted: Wanted) -> Result<Lent<Enrolment>> {
        let declared = self.agents()?;
        let (address, request_id) = (asker.address, asker.request_id);
        let host = match &wanted.token {
            Some(token) => {
                self.hosts.admit(address)?;
                self.host_of(token)?
            }
            None => {
                let enrols = |address, host: &HostName| declared.enrols_from.includes(address, host);
                self.hosts.identify_for_login(asker, enrols).await?
            }
        };
        let applicant_os = wanted.os.clone();
        let template = self.relay.agent_template(&declared, &applicant_os).await?;
        let caller = Caller::in_the_name_of(Actor::Host(host.clone()), request_id, address);
        let applicant = Applicant { host, address, wanted };
        if let Some(account) = declared.shared_account.clone() {
            return self.enrol_sharing(&declared, template, account, applicant, &caller).await;
        }
        let (host, token) = (applicant.host.clone(), applicant.wanted.token.clone());
        self.make_way(&host, &account::name(&declared, &host)?, token.is_some()).await?;
        let (this, of, age, by) = (self.clone(), declared.clone(), template.age(), caller.clone());
        let account = self
            .store
            .write(move |tx| this.wish(tx, &of, age, &applicant, &by).map(|enrolled| enrolled.account))
            .await?;
        let (this, of, by) = (self.clone(), host.clone(), caller.clone());
        let settled = self.accounts.settle(std::slice::from_ref(&account), &caller, move |tx| {
            this.hand_out(tx, &of, &by, &template, token.as_ref())
        });
        match settled.await {
            Ok(Some(lent)) => {
                tracing::info!(request_id, host.name = %host, "enrolled the agent of `{host}`");
                Ok(lent)
            }
            Ok(None) => Err(Error::busy("this host asks several times at once: ask again in a moment")),
            Err(error) if error.kind() == Kind::Conflict => {
                self.forget_untold(host, account, &caller).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Before a password that works is replaced, or a token is used: while the broker is away both are left as they are. What is
    /// left of a revocation is done first, so that nothing of the one that was cut off lives on in the one that comes back.
    async fn make_way(&self, host: &HostName, account: &AccountName, has_token: bool) -> Result<()> {
        let known = self.store.read(|tx| tx.get(&ENROLLED, host))?;
        match known {
            Some(Enrolled { account, revoked: Some(revoked), is_shared, .. }) if has_token => {
                if !revoked.is_done {
                    self.finish_revocation(host, &Caller::of_loop(super::LOOP)).await?;
                }
                if is_shared { Ok(()) } else { self.cut_connections(&account).await }
            }
            Some(Enrolled { account, revoked: None, .. }) => self.bus.get()?.connection_count(&account).await.map(drop),
            None if has_token => self.bus.get()?.connection_count(account).await.map(drop),
            Some(_) | None => Ok(()),
        }
    }

    /// Writes down that the agent has an account with a new password.
    fn wish(
        &self,
        tx: &mut WriteTx<'_, '_>,
        declared: &relay_profile::Agents,
        age: Age,
        applicant: &Applicant,
        caller: &Caller,
    ) -> Result<Enrolled> {
        let (host, owner) = (&applicant.host, account::owner(&applicant.host));
        let mut enrolled = Self::admit(tx, declared, age, applicant)?;
        let (account, password) = (account::name(declared, host)?, Secret::generate());
        if enrolled.account != account && !enrolled.is_shared {
            // The profile calls them otherwise now.
            self.accounts.remove(tx, &enrolled.account, &owner)?;
        }
        (enrolled.account, enrolled.is_shared) = (account, false);
        let login = LoginWish::Password(password.clone());
        let terms = account::terms(declared, &enrolled.queueloc);
        self.accounts.wish(tx, &enrolled.account, Wish { owner, login, terms })?;
        held::forget_holders(tx, &enrolled.account)?;
        self.write_down(tx, applicant, &enrolled, caller, Some(&password))?;
        Ok(enrolled)
    }

    /// The record of a host that asks: the one that it has, or a new one.
    fn admit(
        tx: &mut WriteTx<'_, '_>,
        declared: &relay_profile::Agents,
        age: Age,
        applicant: &Applicant,
    ) -> Result<Enrolled> {
        let Applicant { host, address, wanted } = applicant;
        let known = tx.get(&ENROLLED, host)?;
        match &wanted.token {
            Some(token) => tokens::require(tx, token, host)?,
            None if known.as_ref().is_some_and(|known| known.revoked.is_some()) => {
                return Err(Error::forbidden(CUT_OFF));
            }
            None => {}
        }
        if known.is_none() && tx.count(&ENROLLED)? >= ENROLLED_MAX {
            return Err(Error::conflict(format!("there are {ENROLLED_MAX} agents already")));
        }
        let now = tx.now();
        // One that comes back after it was cut off is another one.
        let id = known.as_ref().filter(|known| known.revoked.is_none()).map(|known| known.id.clone());
        let id = id.unwrap_or_else(|| enrolment::agent_id(age, &Secret::generate_long()));
        let queueloc = enrolment::queueloc(age, &wanted.os, host.as_str(), &id).map_err(Error::invalid)?;
        Ok(Enrolled {
            queueloc: Queueloc::parse(&queueloc)?,
            id,
            account: known.as_ref().map_or_else(|| account::name(declared, host), |known| Ok(known.account.clone()))?,
            is_shared: known.as_ref().is_some_and(|known| known.is_shared),
            vhost: declared.vhost.clone(),
            since: known.as_ref().map_or(now, |known| known.since),
            rotated: now,
            until: now.plus(declared.enrol_every.size()),
            address: *address,
            by_token: wanted.token.is_some(),
            revoked: None,
        })
    }

    /// Writes the record, its line of the whitelist, and what happened.
    fn write_down(
        &self,
        tx: &mut WriteTx<'_, '_>,
        applicant: &Applicant,
        enrolled: &Enrolled,
        caller: &Caller,
        password: Option<&Secret>,
    ) -> Result<()> {
        let (host, queueloc) = (&applicant.host, &enrolled.queueloc);
        let known = tx.get(&ENROLLED, host)?;
        let is_again = known.as_ref().is_some_and(|known| known.queueloc == *queueloc);
        // What happened to the host's agent goes along.
        let former = known.as_ref().map_or(queueloc, |known| &known.queueloc);
        let mut about: About = tx.get(&ABOUT, former)?.unwrap_or_default();
        if let Some(known) = known.filter(|_| !is_again) {
            self.relay.strike(tx, &known.queueloc);
            locations::forget(tx, &known.queueloc);
        }
        locations::note(tx, queueloc, &Location { host: host.clone(), is_revoked: false })?;
        self.relay.admit(tx, queueloc, format!("the enrolment of {host}"))?;
        tx.delete(&super::pending::PENDING, queueloc);
        tx.put(&ENROLLED, host, enrolled)?;
        let kind = if is_again { EventKind::Rotated } else { EventKind::Enrolled };
        about.happened(tx.now(), kind, format!("by {}", if enrolled.by_token { "a token" } else { "its name in DNS" }));
        tx.put(&ABOUT, queueloc, &about)?;
        let note = caller.lend_note(Action::AgentEnrol, host).with("queueloc", queueloc.as_str());
        let note = note.with("by_token", enrolled.by_token);
        // An account that is shared gets no other password by that.
        tx.audit(match password {
            Some(password) => note.about(password).with("account", enrolled.account.as_str()),
            None => note,
        });
        Ok(())
    }

    /// `None` while the broker is not known to have the present password.
    fn hand_out(
        &self,
        tx: &mut WriteTx<'_, '_>,
        host: &HostName,
        caller: &Caller,
        template: &AgentTemplate,
        token: Option<&Secret>,
    ) -> Result<Option<Lent<Enrolment>>> {
        let Some(enrolled) = tx.get(&ENROLLED, host)?.filter(|enrolled| enrolled.revoked.is_none()) else {
            return Err(Error::forbidden(CUT_OFF));
        };
        let Enrolled { queueloc, id, account, vhost, until, .. } = enrolled;
        let Some(password) = self.accounts.settled_password(tx, &account, &account::owner(host))? else {
            return Ok(None);
        };
        if let Some(token) = token {
            tokens::use_up(tx, token, host)?;
        }
        held::note_holder(tx, &account, caller)?;
        let files = template.files(account.as_str(), &password, vhost.as_str(), &id)?;
        let note = caller.lend_note(Action::AgentLend, host).about(&password);
        let note = note.with("account", account.as_str()).with("expires", until.to_string());
        let enrolment = Enrolment { host: host.clone(), queueloc, vhost, username: account, password, until, files };
        Ok(Some(tx.lend(note, enrolment)))
    }

    /// The guide's way: all have the login of one account, and nothing keeps one of them from what is another's.
    async fn enrol_sharing(
        &self,
        declared: &relay_profile::Agents,
        template: AgentTemplate,
        account: AccountName,
        applicant: Applicant,
        caller: &Caller,
    ) -> Result<Lent<Enrolment>> {
        self.relay.require_lendable(&account)?;
        let (this, of, age, by) = (self.clone(), declared.clone(), template.age(), caller.clone());
        let (host, shared) = (applicant.host.clone(), account.clone());
        let enrolled = self.store.write(move |tx| {
            let mut enrolled = Self::admit(tx, &of, age, &applicant)?;
            if let Some(token) = &applicant.wanted.token {
                tokens::use_up(tx, token, &applicant.host)?;
            }
            if !enrolled.is_shared {
                this.accounts.remove(tx, &enrolled.account, &account::owner(&applicant.host))?;
            }
            (enrolled.account, enrolled.is_shared) = (shared, true);
            this.write_down(tx, &applicant, &enrolled, &by, None)?;
            Ok(enrolled)
        });
        let Enrolled { queueloc, id, vhost, until, .. } = enrolled.await?;
        let lent = self.relay.lend(caller, &account).await?;
        lent.try_map(|login| {
            let files = template.files(login.username.as_str(), &login.password, vhost.as_str(), &id)?;
            let (username, password, until) = (login.username, login.password, until.min(login.expires));
            Ok(Enrolment { host, queueloc, vhost, username, password, until, files })
        })
    }

    /// Somebody made a user of this name: nothing of ours is there, so nothing stays.
    async fn forget_untold(&self, host: HostName, account: AccountName, caller: &Caller) -> Result<()> {
        let (this, note) = (self.clone(), caller.note(Action::AgentForget, &host).with("account", account.as_str()));
        let forget = move |tx: &mut WriteTx<'_, '_>| {
            let owner = account::owner(&host);
            if this.accounts.forget_untold(tx, std::slice::from_ref(&account), &owner)? {
                if let Some(enrolled) = tx.get(&ENROLLED, &host)? {
                    this.relay.strike(tx, &enrolled.queueloc);
                    locations::forget(tx, &enrolled.queueloc);
                }
                tx.delete(&ENROLLED, &host);
                tx.audit(note);
            }
            Ok(())
        };
        self.store.write(forget).await
    }

    /// What showing a token will do for a host, in words behind "its agent".
    pub fn enrolment_effect(&self, host: &HostName) -> Result<&'static str> {
        let known = self.store.read(|tx| tx.get(&ENROLLED, host))?;
        Ok(match known {
            None => "gets an account of its own",
            Some(enrolled) if enrolled.revoked.is_some() => {
                "is let in again, as another one: with another queue location"
            }
            Some(_) => "gets another password",
        })
    }

    /// Whether somebody should hear that a host is late to enrol again.
    pub(super) fn is_overdue(until: Timestamp, now: Timestamp) -> bool {
        until.plus(OVERDUE_AFTER) < now
    }
}

/// How late a host may be: the pass of its timer that comes next.
const OVERDUE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
