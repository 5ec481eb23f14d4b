//! The doctor on loops: whether each runs when it is due.

use std::time::Duration;

use super::{Finding, Grade};
use crate::base::Timestamp;
use crate::domain::health::Health;
use crate::domain::loops::Status;

/// Periods without a success after which a loop does not work: one may fail, and one may be late.
const PERIODS_MAX: u32 = 3;

impl Health {
    pub(super) fn loop_findings(&self) -> Vec<Finding> {
        let loops = match self.loops.list() {
            Ok(loops) => loops,
            Err(error) => return vec![Finding::new("loops", Grade::Problem, error.message())],
        };
        let (now, runs_for) = (self.parts.clock.now(), self.runs_for());
        let findings: Vec<Finding> = loops.iter().filter_map(|each| judge(each, now, runs_for)).collect();
        if findings.is_empty() {
            vec![Finding::new("loops", Grade::Well, format!("all {} run in time", loops.len()))]
        } else {
            findings
        }
    }
}

/// What is wrong with a loop. One that had no time to run since the start, as at rest, is not late.
fn judge(each: &Status, now: Timestamp, runs_for: Duration) -> Option<Finding> {
    let name = each.name;
    let patience = Duration::from_secs(each.period_seconds).saturating_mul(PERIODS_MAX);
    let is_old = each.last_success.is_none_or(|success| now.since(success) > patience) && runs_for > patience;
    let (grade, text) = if let Some(why) = &each.brake {
        let text = format!(
            "the brake holds {name}: {why}; see `keylender loop plan {name}`, then `keylender loop release {name}`"
        );
        (Grade::Problem, text)
    } else if each.paused {
        (Grade::Warning, format!("{name} is paused: `keylender loop resume {name}`"))
    } else if is_old {
        let last = each.last_success.map_or_else(|| "never".to_owned(), |success| success.to_string());
        let why = if each.last_error.is_empty() { "see the log" } else { &each.last_error };
        (
            Grade::Problem,
            format!("{name} should run every {} s and last did without an error: {last}; {why}", each.period_seconds),
        )
    } else if each.failures > 0 {
        (Grade::Warning, format!("{name} failed {} times in a row: {}", each.failures, each.last_error))
    } else {
        return None;
    };
    Some(Finding::new("loops", grade, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(now: Timestamp, age: Duration) -> Status {
        Status {
            name: "rotate",
            period_seconds: 300,
            why: "",
            paused: false,
            brake: None,
            due: now,
            last_run: Some(now),
            last_success: Some(now.minus(age)),
            last_took_ms: 0,
            failures: 0,
            last_report: String::new(),
            last_error: String::new(),
        }
    }

    #[test]
    fn a_loop_is_late_after_three_periods_in_which_it_could_have_run() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let (late, long) = (Duration::from_secs(901), Duration::from_secs(5000));
        let grade = |status: &Status, runs_for| judge(status, now, runs_for).map(|finding| finding.grade);
        assert_eq!(grade(&status(now, late), long), Some(Grade::Problem));
        assert_eq!(grade(&status(now, late), Duration::from_secs(10)), None, "it has just started, or is at rest");
        assert_eq!(grade(&status(now, Duration::from_secs(900)), long), None);
        let never = Status { last_success: None, ..status(now, late) };
        assert_eq!(grade(&never, long), Some(Grade::Problem));
        let failing = Status { failures: 2, last_error: "away".into(), ..status(now, Duration::ZERO) };
        assert_eq!(judge(&failing, now, long).unwrap().text, "rotate failed 2 times in a row: away");
        let paused = Status { paused: true, ..status(now, late) };
        assert_eq!(grade(&paused, long), Some(Grade::Warning));
        let braked = Status { brake: Some("too many".into()), ..status(now, Duration::ZERO) };
        assert!(judge(&braked, now, long).unwrap().text.contains("too many; see `keylender loop plan rotate`"));
    }
}
