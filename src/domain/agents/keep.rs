//! What is done for agents again and again: those that wait are looked at, revocations finished, the whitelist written, and
//! those that are gone found.

use std::fmt;
use std::time::Duration;

use super::Agents;
use super::locations;
use super::look::Looks;
use super::record::{ABOUT, ENROLLED, Enrolled, HEARD, Heard};
use crate::base::audit::Action;
use crate::base::{Queueloc, Result};
use crate::domain::auth::Caller;
use crate::proto::relay_profile;
use crate::store::WriteTx;

/// How long an agent that was not enrolled and is not heard any more is remembered.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Accounts that one transaction changes.
const CHUNK: usize = 250;
/// Agents that one pass forgets.
const FORGOTTEN_MAX: usize = 500;

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub looks: Looks,
    /// Revocations that were finished, and those that could not be yet.
    pub cut_off: usize,
    pub failed: usize,
    /// Accounts that got what the profile says by now.
    pub adjusted: usize,
    /// Whether the whitelist was written.
    pub list_written: bool,
    pub forgotten: usize,
    /// What could not be done, in words.
    pub troubles: Vec<String>,
}

impl Kept {
    /// Whether something is left to do.
    pub fn has_failed(&self) -> bool {
        self.failed > 0 || !self.troubles.is_empty()
    }

    /// What a step came to. One that fails is noted, and hinders no other.
    fn note<T: Default>(&mut self, done: Result<T>) -> T {
        done.unwrap_or_else(|error| {
            self.troubles.push(error.message().to_owned());
            T::default()
        })
    }
}

/// What it did in words; nothing when it was nothing.
impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Looks { approved, refused, .. } = self.looks;
        let counted = [
            (approved, "agents were let in by rules"),
            (refused, "were refused by rules"),
            (self.cut_off, "were cut off"),
            (self.failed, "could not be cut off yet"),
            (self.adjusted, "accounts got what the profile says by now"),
            (self.forgotten, "were forgotten"),
        ];
        let counted =
            counted.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let written = self.list_written.then(|| "the whitelist was written".to_owned());
        let parts: Vec<String> = counted.chain(written).chain(self.troubles.iter().cloned()).collect();
        f.write_str(&parts.join("; "))
    }
}

impl Agents {
    /// What a pass would do, a line each.
    pub async fn plan_keeping(&self) -> Result<Vec<String>> {
        let unfinished = self.unfinished_revocations().await?.0.into_iter();
        let unfinished = unfinished.map(|host| format!("cut off the agent of {host}, as it was wished"));
        let file = match self.list_file().await? {
            (Some(path), ListFile::Behind) => Some(format!("write the whitelist {path}")),
            _ => None,
        };
        let waiting = self.pending().await?.into_iter().filter(|pending| pending.refused.is_none()).count();
        let waiting =
            (waiting > 0).then(|| format!("ask DNS about {waiting} agents that wait, and let the rules decide"));
        Ok(unfinished.chain(file).chain(waiting).collect())
    }

    /// One pass. What fails hinders nothing else.
    pub async fn keep(&self) -> Result<Kept> {
        let caller = Caller::of_loop(super::LOOP);
        let mut kept = Kept::default();
        // Also where no agents are declared any more.
        (kept.cut_off, kept.failed) = self.finish_revocations(&caller).await?;
        let Ok(declared) = self.agents() else { return Ok(kept) };
        kept.adjusted = kept.note(self.adjust_accounts(&declared, &caller).await);
        kept.list_written = kept.note(self.write_list_file().await);
        kept.looks = kept.note(self.look_at_pending(&caller).await);
        if kept.looks.approved > 0 {
            kept.list_written |= kept.note(self.write_list_file().await);
        }
        self.look_for_strange(&declared).await;
        kept.note(self.look_for_gone(declared.gone_after.size()).await);
        kept.forgotten = kept.note(self.forget_silent().await);
        Ok(kept)
    }

    /// Gives accounts of agents what the profile says of them by now. How many that changed; the broker is told by `reconcile`.
    async fn adjust_accounts(&self, declared: &relay_profile::Agents, caller: &Caller) -> Result<usize> {
        if self.meters.is_adjusted_to(declared) {
            return Ok(0);
        }
        let survey = self.store.survey(|tx| {
            let mut hosts = Vec::new();
            tx.each(&ENROLLED, |host, enrolled: Enrolled| {
                if enrolled.revoked.is_none() && !enrolled.is_shared {
                    hosts.push(host);
                }
            })?;
            Ok(hosts)
        });
        let mut adjusted = 0;
        for chunk in survey.await?.chunks(CHUNK) {
            let (this, chunk, declared, caller) = (self.clone(), chunk.to_vec(), declared.clone(), caller.clone());
            let adjust = move |tx: &mut WriteTx<'_, '_>| {
                let mut adjusted = 0;
                for host in chunk {
                    let Some(mut enrolled) = tx.get(&ENROLLED, &host)? else { continue };
                    let terms = account::terms(&declared, &enrolled.queueloc);
                    if this.accounts.adjust(tx, &enrolled.account, &account::owner(&host), &terms)? {
                        tx.audit(caller.note(Action::AccountAdjust, &enrolled.account));
                        enrolled.vhost = declared.vhost.clone();
                        tx.put(&ENROLLED, &host, &enrolled)?;
                        adjusted += 1;
                    }
                }
                Ok(adjusted)
            };
            adjusted += self.store.write(adjust).await?;
        }
        self.meters.note_adjusted_to(declared);
        Ok(adjusted)
    }

    async fn forget_silent(&self) -> Result<usize> {
        let now = self.clock.now();
        let survey = self.store.survey(move |tx| {
            let mut old: Vec<Queueloc> = Vec::new();
            tx.each(&HEARD, |queueloc: Queueloc, heard: Heard| {
                if !heard.last.is_within(KEPT, now) && old.len() < FORGOTTEN_MAX {
                    old.push(queueloc);
                }
            })?;
            let mut forgotten = Vec::new();
            for queueloc in old {
                if locations::of(tx, &queueloc)?.is_none() {
                    forgotten.push(queueloc);
                }
            }
            Ok(forgotten)
        });
        let old = survey.await?;
        let count = old.len();
        if count > 0 {
            let forget = move |tx: &mut WriteTx<'_, '_>| {
                for queueloc in &old {
                    tx.delete(&HEARD, queueloc);
                    tx.delete(&ABOUT, queueloc);
                }
                Ok(())
            };
            self.store.write(forget).await?;
        }
        Ok(count)
    }
}
