//! What is done for agents again and again: those that wait are looked at, revocations finished, the whitelist written, and
//! those that are gone found.

use std::fmt;
use std::time::Duration;

use super::Agents;
use super::look::Looks;
use super::record::{ABOUT, ENROLLED, Enrolled, HEARD, Heard};
use crate::base::{Queueloc, Result};
use crate::domain::auth::Caller;
use crate::store::WriteTx;

/// How long an agent that was not enrolled and is not heard any more is remembered.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Agents that one pass forgets.
const FORGOTTEN_MAX: usize = 500;

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub looks: Looks,
    /// Revocations that were finished, and those that could not be yet.
    pub cut_off: usize,
    pub failed: usize,
    /// Whether the whitelist was written, and why it could not be.
    pub list_written: bool,
    pub list_trouble: Option<String>,
    pub forgotten: usize,
}

impl Kept {
    /// Whether something is left to do.
    pub fn has_failed(&self) -> bool {
        self.failed > 0 || self.list_trouble.is_some()
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
            (self.forgotten, "were forgotten"),
        ];
        let counted =
            counted.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let written = self.list_written.then(|| "the whitelist was written".to_owned());
        let parts: Vec<String> = counted.chain(written).chain(self.list_trouble.clone()).collect();
        f.write_str(&parts.join("; "))
    }
}

impl Agents {
    /// What a pass would do, a line each.
    pub async fn plan_keeping(&self) -> Result<Vec<String>> {
        let unfinished = self.unfinished_revocations().await?.0.into_iter();
        Ok(unfinished.map(|host| format!("cut off the agent of {host}, as it was wished")).collect())
    }

    /// One pass. What fails hinders nothing else.
    pub async fn keep(&self) -> Result<Kept> {
        let caller = Caller::of_loop(super::LOOP);
        let mut kept = Kept::default();
        // Also where no agents are declared any more.
        (kept.cut_off, kept.failed) = self.finish_revocations(&caller).await?;
        let Ok(declared) = self.agents() else { return Ok(kept) };
        kept.looks = self.look_at_pending(&caller).await?;
        match self.write_list_file().await {
            Ok(written) => kept.list_written = written,
            Err(error) => kept.list_trouble = Some(error.message().to_owned()),
        }
        self.look_for_strange(&declared).await;
        self.look_for_gone(declared.gone_after.size()).await?;
        kept.forgotten = self.forget_silent().await?;
        Ok(kept)
    }

    async fn forget_silent(&self) -> Result<usize> {
        let (now, enrolments) = (self.clock.now(), self.enrolments().await?);
        let survey = self.store.survey(move |tx| {
            let mut old: Vec<Queueloc> = Vec::new();
            tx.each(&HEARD, |queueloc: Queueloc, heard: Heard| {
                let is_known = enrolments.by_queueloc.contains_key(&queueloc);
                if !is_known && !heard.last.is_within(KEPT, now) && old.len() < FORGOTTEN_MAX {
                    old.push(queueloc);
                }
            })?;
            Ok(old)
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

    /// How many hosts are enrolled, and have not been cut off.
    pub async fn enrolled_count(&self) -> Result<usize> {
        let survey = self.store.survey(|tx| {
            let mut count = 0;
            tx.each(&ENROLLED, |_, enrolled: Enrolled| count += usize::from(enrolled.revoked.is_none()))?;
            Ok(count)
        });
        survey.await
    }
}
