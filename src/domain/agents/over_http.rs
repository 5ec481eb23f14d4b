//! Heartbeats that come over HTTP, as agents send them from November 2018 on (mig.md 1.3). MIG's API takes them from
//! everybody; here the whitelist and the host's name in DNS decide.

use super::Agents;
use super::heard::{self, Since, Welcome};
use super::heartbeats::{AGENTS_MAX, is_name_of};
use super::locations;
use super::meters::Fate;
use super::pending::{self, Knock, Looked};
use super::record::{HEARD, timings};
use crate::base::{HostName, Queueloc, Result};
use crate::domain::hosts::Asker;
use crate::proto::heartbeat::{Answer, Generation, Heartbeat, Verdict, judge};

/// What an agent hears that is not proven to be on the host it names. The cause is for operators.
const UNPROVEN: &str = "the address of this agent is not known by the name of its host";
/// What one hears that is not in the whitelist.
const NOT_LISTED: &str = "it is not in the whitelist";

impl Agents {
    /// Takes a heartbeat, and says what its agent expects to hear.
    ///
    /// # Errors
    /// `NotFound` while no agents are declared. Those of the store are answers.
    pub async fn receive(&self, asker: Asker<'_>, body: &[u8]) -> Result<Answer> {
        let declared = self.agents()?;
        let heartbeat = match Heartbeat::read(body, Generation::Third) {
            Ok(heartbeat) => heartbeat,
            Err(refusal) => return Ok(self.answer(Fate::Unreadable, Answer::unreadable(&refusal))),
        };
        let timings = timings(&declared);
        let verdict = judge(&heartbeat, self.clock.now(), &timings);
        if verdict != Verdict::Welcome {
            return Ok(self.answer(Fate::from(&verdict), verdict.answer()));
        }
        let Ok(queueloc) = Queueloc::parse(&heartbeat.queueloc) else {
            return Ok(self.answer(Fate::Malformed, Verdict::NoQueue.answer()));
        };
        let (host, why) = self.prove(&asker, &heartbeat).await?;
        let admissions = self.relay.admissions().await?;
        let is_listed = self.store.read(|tx| admissions.admits(tx, &queueloc))?;
        let (fate, answer) = match &host {
            _ if !is_listed => (Fate::NotListed, Answer::unauthorized(NOT_LISTED)),
            None => (Fate::Unproven, Answer::unauthorized(UNPROVEN)),
            Some(host) if !self.is_home(&queueloc, host)? => {
                (Fate::OtherHost, Answer::unauthorized("its queue location is another host's"))
            }
            Some(_) => {
                let since = Since { timings, listening: None };
                return Ok(self.keep_one(Welcome::new(queueloc, heartbeat, host), since).await);
            }
        };
        // Who is not proven waits for nobody: anybody could fill the list.
        if fate == Fate::NotListed && host.is_some() {
            let looked = Looked { at: self.clock.now(), address: Some(asker.address), host, verdict: why };
            self.knock(queueloc, &heartbeat, &asker, looked).await?;
        }
        Ok(self.answer(fate, answer))
    }

    /// The host that asks, if that is the one it names, and what was found out in words.
    async fn prove(&self, asker: &Asker<'_>, heartbeat: &Heartbeat) -> Result<(Option<HostName>, String)> {
        let address = asker.address;
        Ok(match self.hosts.identify(asker).await? {
            Ok(host) if is_name_of(&heartbeat.name, host.as_str()) => {
                let why = format!("{address} is {host}, both ways");
                (Some(host), why)
            }
            Ok(host) => (None, super::look::other_host(address, &host)),
            Err(cause) => (None, format!("{address}: {cause}")),
        })
    }

    /// Whether a location is this host's: nobody else was proven to be there before, and no other host was enrolled for it.
    fn is_home(&self, queueloc: &Queueloc, host: &HostName) -> Result<bool> {
        self.store.read(|tx| {
            if let Some(location) = locations::of(tx, queueloc)? {
                return Ok(location.host == *host);
            }
            let heard = tx.get(&HEARD, queueloc)?;
            Ok(heard.and_then(|heard| heard.host).is_none_or(|known| known == *host))
        })
    }

    async fn keep_one(&self, welcome: Welcome, since: Since) -> Answer {
        let kept = self.store.write(move |tx| {
            let is_full = tx.get(&HEARD, &welcome.queueloc)?.is_none() && tx.count(&HEARD)? >= AGENTS_MAX;
            if is_full { Ok(false) } else { heard::note(tx, welcome, since).map(|()| true) }
        });
        match kept.await {
            Ok(true) => self.answer(Fate::Taken, Verdict::Welcome.answer()),
            Ok(false) => self.answer(Fate::Full, Answer::not_saved("there are too many agents")),
            Err(error) => {
                tracing::warn!("a heartbeat could not be kept: {}", error.chain());
                Answer::not_saved("the appliance cannot write now")
            }
        }
    }

    async fn knock(&self, queueloc: Queueloc, heartbeat: &Heartbeat, asker: &Asker<'_>, looked: Looked) -> Result<()> {
        let knock = Knock { count: 1, from: Some(asker.address), looked: Some(looked), ..Knock::of(heartbeat) };
        self.store.write(move |tx| pending::note(tx, &queueloc, knock)).await
    }

    fn answer(&self, fate: Fate, answer: Answer) -> Answer {
        self.meters.count(fate, 1);
        answer
    }
}
