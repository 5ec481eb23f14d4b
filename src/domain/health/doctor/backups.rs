//! The doctor on backups: how old the newest backup is, and whether somebody tried it.

use std::time::Duration;

use super::{Finding, Grade};
use crate::base::Timestamp;
use crate::domain::backups::Fate;
use crate::domain::health::Health;
use crate::store::Listed;

/// Periods after which the newest backup is too old: one may be late.
const PERIODS_MAX: u32 = 2;
/// How old the last restore drill may be: it is a week's loop.
const DRILL_AGE_MAX: Duration = Duration::from_secs(2 * 7 * 24 * 60 * 60);

impl Health {
    pub(super) async fn backup_findings(&self) -> Vec<Finding> {
        let (backups, now) = (&self.parts.backups, self.parts.clock.now());
        let finding = match backups.list().await {
            Ok(listed) => judge(&listed, backups.period(), self.runs_for(), now),
            Err(error) => (Grade::Problem, error.message().to_owned()),
        };
        vec![Finding::new("backups", finding.0, finding.1)]
    }
}

fn judge(backups: &[(Listed, Fate)], period: Duration, runs_for: Duration, now: Timestamp) -> (Grade, String) {
    let patience = period.saturating_mul(PERIODS_MAX);
    let damaged = backups.iter().find(|(listed, fate)| listed.label.is_none() || fate.problem.is_some());
    if let Some((listed, fate)) = damaged {
        let why = fate.problem.as_deref().unwrap_or("its label cannot be read");
        return (
            Grade::Problem,
            format!("{}: {why}; remove it, and take another one by `keylender backup now`", listed.name),
        );
    }
    let Some((newest, made)) = backups.last().and_then(|(listed, _)| Some((listed, listed.label.as_ref()?.made)))
    else {
        let text = "there is none yet: `keylender backup now` takes one".to_owned();
        return (if runs_for > patience { Grade::Problem } else { Grade::Warning }, text);
    };
    if now.since(made) > patience {
        return (
            Grade::Problem,
            format!("the newest is of {made}: see `keylender loop list` for why `backup` does not run"),
        );
    }
    let drilled = backups.iter().filter_map(|(_, fate)| fate.drilled).max();
    if drilled.is_none_or(|drilled| now.since(drilled) > DRILL_AGE_MAX) {
        let text = format!("{} is whole, and none was tried lately: `keylender loop run drill` tries it", newest.name);
        return (Grade::Warning, text);
    }
    (Grade::Well, format!("there are {}; the newest is of {made}", backups.len()))
}
