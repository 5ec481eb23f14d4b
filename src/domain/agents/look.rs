//! Asks DNS about agents that wait, and lets the rules decide about them.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::sleep;

use super::Agents;
use super::heartbeats::is_name_of;
use super::locations;
use super::pending::{KEPT, Looked, NOTED, PENDING, Pending, keep_out};
use super::rules::Knocker;
use crate::base::{Error, HostName, Queueloc, Result};
use crate::domain::auth::Caller;
use crate::domain::hosts::Verdict;
use crate::store::WriteTx;

/// Agents that a pass asks DNS about; the next pass goes on.
const LOOKS_MAX: usize = 256;
/// Of these at once.
const LOOKS_AT_ONCE: usize = 16;
/// Addresses of one that are asked about: of those that it says it has, one has its name.
const ADDRESSES_MAX: usize = 4;
/// For all of them: servers that never answer hold up nothing else.
const LOOKS_DEADLINE: Duration = Duration::from_secs(10);
/// How long what DNS said counts.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// Agents about which the rules decide in a pass; the next pass goes on.
const DECIDED_MAX: usize = 1000;
/// Agents that one transaction changes.
const CHUNK: usize = 250;

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    pub approved: usize,
    pub refused: usize,
}

impl Agents {
    /// Asks about those who wait, decides by the rules, and forgets who knocks no more.
    pub(super) async fn look_at_pending(&self, caller: &Caller) -> Result<Looks> {
        self.forget_pending().await?;
        let mut done = Looks::default();
        let now = self.clock.now();
        let waiting = self.store.survey(move |tx| {
            let mut due = Vec::new();
            tx.each(&NOTED, |queueloc, pending: Pending| {
                let is_fresh = pending.looked.as_ref().is_some_and(|looked| looked.at.is_within(FRESH, now));
                if pending.refused.is_none() {
                    due.push((is_fresh, queueloc, pending));
                }
            })?;
            Ok(due)
        });
        let (fresh, mut stale): (Vec<_>, Vec<_>) = waiting.await?.into_iter().partition(|(is_fresh, ..)| *is_fresh);
        stale.sort_by_key(|(_, _, pending)| pending.looked.as_ref().map(|looked| looked.at));
        stale.truncate(LOOKS_MAX);
        let looks = stream::iter(stale.into_iter().map(|(_, queueloc, pending)| async move {
            let looked = self.look(&pending.name, pending.from, &pending.addresses).await;
            (queueloc, looked)
        }));
        // What DNS does not say by then, the next pass asks again.
        let looks = looks.buffer_unordered(LOOKS_AT_ONCE).take_until(sleep(LOOKS_DEADLINE));
        let looked: Vec<(Queueloc, Looked)> = looks.collect().await;
        for chunk in looked.chunks(CHUNK) {
            let chunk = chunk.to_vec();
            self.store
                .write(move |tx| chunk.into_iter().try_for_each(|(queueloc, looked)| note(tx, &queueloc, looked)))
                .await?;
        }
        let known = fresh.into_iter().filter_map(|(_, queueloc, pending)| Some((queueloc, pending.looked?)));
        self.decide(known.chain(looked).collect(), caller, &mut done).await?;
        Ok(done)
    }

    /// What DNS says of what an agent says: whether one of its addresses is, both ways, that of the host it names.
    pub(super) async fn look(&self, name: &str, from: Option<IpAddr>, addresses: &[IpAddr]) -> Looked {
        let at = self.clock.now();
        // Where it asked from is more than what it says.
        let asked: Vec<IpAddr> =
            from.map_or_else(|| addresses.iter().take(ADDRESSES_MAX).copied().collect(), |from| vec![from]);
        let (mut first, mut other, mut why) = (None, None, None);
        for address in asked {
            first = first.or(Some(address));
            match self.hosts.who_is(address).await {
                Verdict::Verified(host) if is_name_of(name, host.as_str()) => {
                    let verdict = format!("{address} is {host}, both ways");
                    return Looked { at, address: Some(address), host: Some(host), verdict };
                }
                Verdict::Verified(host) => other = other.or(Some(other_host(address, &host))),
                Verdict::Refused(cause) => why = why.or(Some(format!("{address}: {cause}"))),
            }
        }
        // That an address is somebody else's says more than that one has no name.
        let none = || "it names no address that DNS could know".to_owned();
        Looked { at, address: first, host: None, verdict: other.or(why).unwrap_or_else(none) }
    }

    async fn decide(&self, known: Vec<(Queueloc, Looked)>, caller: &Caller, done: &mut Looks) -> Result<()> {
        let rules = self.rules_in_force().await?;
        if rules.is_empty() {
            return Ok(());
        }
        // Where nobody waits for this worker: each of them may be asked each rule.
        let survey = self.store.survey(move |tx| {
            let mut decided = Vec::new();
            for (queueloc, looked) in &known {
                let rule = rules.iter().find(|rule| rule.fits(&Knocker::of(queueloc, looked)));
                let Some(rule) = rule else { continue };
                // One that was cut off is let in by a token only.
                if locations::of(tx, queueloc)?.is_none_or(|location| !location.is_revoked) {
                    decided.push((queueloc.clone(), rule.rule.to_string(), rule.rule.approves));
                }
            }
            Ok(decided)
        });
        let mut decided: Vec<(Queueloc, String, bool)> = survey.await?;
        // By rules, so many at once: whoever makes up names does not fill the list between two looks of a person.
        decided.truncate(DECIDED_MAX);
        for chunk in decided.chunks(CHUNK) {
            let (this, chunk, caller) = (self.clone(), chunk.to_vec(), caller.clone());
            let change = move |tx: &mut WriteTx<'_, '_>| {
                let (mut approved, mut refused) = (0, 0);
                for (queueloc, rule, approves) in chunk {
                    // Somebody decided meanwhile.
                    if tx.get(&PENDING, &queueloc)?.is_none_or(|pending| pending.refused.is_some()) {
                        continue;
                    }
                    if approves {
                        this.let_in(tx, &queueloc, &caller, Some(&rule))?;
                        approved += 1;
                    } else {
                        keep_out(tx, &queueloc, &caller, "a rule says so".to_owned(), Some(&rule))?;
                        refused += 1;
                    }
                }
                Ok((approved, refused))
            };
            let (approved, refused) = self.store.write(change).await?;
            (done.approved, done.refused) = (done.approved + approved, done.refused + refused);
        }
        Ok(())
    }

    /// Forgets who knocks no more, and who was let in another way.
    async fn forget_pending(&self) -> Result<()> {
        let (now, admissions) = (self.clock.now(), self.relay.admissions().await?);
        let old = self.store.survey(move |tx| {
            let (mut old, mut all) = (Vec::new(), Vec::new());
            tx.each(&NOTED, |queueloc: Queueloc, pending: Pending| all.push((queueloc, pending.last)))?;
            for (queueloc, last) in all {
                if !last.is_within(KEPT, now) || admissions.admits(tx, &queueloc)? {
                    old.push(queueloc);
                }
            }
            Ok(old)
        });
        let old = old.await?;
        for chunk in old.chunks(CHUNK) {
            let chunk = chunk.to_vec();
            let forget = move |tx: &mut WriteTx<'_, '_>| {
                chunk.iter().for_each(|queueloc| tx.delete(&NOTED, queueloc));
                Ok::<_, Error>(())
            };
            self.store.write(forget).await?;
        }
        Ok(())
    }
}

fn note(tx: &mut WriteTx<'_, '_>, queueloc: &Queueloc, looked: Looked) -> Result<()> {
    let Some(pending) = tx.get(&NOTED, queueloc)? else { return Ok(()) };
    tx.put(&NOTED, queueloc, &Pending { looked: Some(looked), ..pending })
}

/// What is said of an address that is somebody else's.
pub(super) fn other_host(address: IpAddr, host: &HostName) -> String {
    format!("{address} is {host}, which is not what it calls its host")
}
