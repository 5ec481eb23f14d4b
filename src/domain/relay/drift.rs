//! What differs from what was applied: said, and put right where it is declared so. It is a part of `reconcile`.

use super::Relay;
use super::apply::End;
use super::step::{Step, What};
use crate::base::{Error, Result};
use crate::domain::accounts::Batch;
use crate::domain::auth::Caller;
use crate::proto::relay_profile::OnDrift;

/// The name of the loop, in the audit log and on the console.
const LOOP: &str = "reconcile";
/// Things that a report names which are left as they are.
const NAMED_MAX: usize = 5;

impl Relay {
    /// What the broker has otherwise than it was applied, accounts included. What was never applied is no drift: that is for
    /// [`Self::apply`]. Empty while nothing is declared.
    pub async fn drifts(&self) -> Result<Vec<Step>> {
        if self.declared().is_err() {
            return Ok(Vec::new());
        }
        let steps = self.plan().await?.steps;
        Ok(steps.into_iter().filter(|step| step.drift.is_some()).collect())
    }

    /// The same in a sentence each, without accounts: of these `reconcile` says all alike.
    pub async fn would_repair(&self) -> Result<Vec<String>> {
        let drifts = self.drifts().await?.into_iter().filter(|step| step.work.user().is_none());
        let line = |step: Step| {
            let Step { object, why, .. } = &step;
            if is_to_repair(&step) {
                format!("put {object} right: {why}")
            } else {
                format!("leave {object} as it is: {why}")
            }
        };
        Ok(drifts.map(line).collect())
    }

    /// Puts right what is declared to be repaired, and says what it did and what it left; empty for nothing.
    ///
    /// # Errors
    /// `Unavailable` when something could not be put right: the next pass tries again.
    pub async fn repair(&self) -> Result<String> {
        let _applying = self.declaration.storing.lock().await;
        let drifts = self.drifts().await?;
        let (steps, left): (Vec<_>, Vec<_>) =
            drifts.into_iter().filter(|step| step.work.user().is_none()).partition(is_to_repair);
        let outcomes = self.carry_out(&Caller::of_loop(LOOP), steps, &Batch::default()).await;
        let failed = outcomes.iter().filter(|outcome| matches!(outcome.end, End::Failed(_))).count();
        let done = outcomes.len() - failed;
        let mut says = Vec::new();
        if done + failed > 0 {
            says.push(format!("of what the relay declares {done} were put right, {failed} could not be"));
        }
        says.extend(
            left.iter().take(NAMED_MAX).map(|Step { object, why, .. }| format!("{object} is left as it is: {why}")),
        );
        says.extend(left.len().checked_sub(NAMED_MAX + 1).map(|more| format!("and {} more", more + 1)));
        let says = says.join("; ");
        if failed > 0 { Err(Error::unavailable(says)) } else { Ok(says) }
    }
}

fn is_to_repair(step: &Step) -> bool {
    step.drift == Some(OnDrift::Repair) && step.what != What::Leave
}
