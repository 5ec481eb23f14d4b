//! Everything that runs by itself, on one page.

mod upkeep;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::settings::Settings;
use crate::base::{Clock, Error, Result};
use crate::domain::accounts::{Accounts, Administrator, Reconciled};
use crate::domain::audit::Audit;
use crate::domain::auth::Caller;
use crate::domain::backups::Backups;
use crate::domain::guard::{Guard, Report};
use crate::domain::hosts::Hosts;
use crate::domain::loops::{Brake, ClockWatch, Loop, Work};
use crate::domain::namespaces::{Expired, Namespaces, Rotated};
use crate::domain::notices::{Delivered, Notices};
use crate::domain::vitals::Tallies;
use crate::domain::wraps::Wraps;

/// How often the outbox is looked into. Ten seconds: soon enough for a person, long enough that what one cause posts is
/// seen together and can become a digest. No setting: nothing an operator wants depends on it.
const DELIVER_PERIOD: Duration = Duration::from_secs(10);
/// How often machines that asked for nothing in a long time are forgotten. No setting: nobody waits for it.
const FORGET_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

/// What the loops work on.
#[derive(Clone)]
pub struct Parts {
    /// The broker users.
    pub accounts: Accounts,
    /// Who we are to the broker.
    pub administrator: Administrator,
    /// What is lent on the message bus.
    pub namespaces: Namespaces,
    /// What is lent to machines.
    pub hosts: Hosts,
    /// What keeps the broker from overflowing.
    pub guard: Guard,
    /// What people should hear.
    pub notices: Notices,
    /// The keeper of the audit log.
    pub audit: Audit,
    /// The keeper of the backups.
    pub backups: Backups,
    /// What became of it.
    pub tallies: Arc<Tallies>,
    /// Hand-over links.
    pub wraps: Wraps,
}

/// The loops of an appliance.
pub fn all(settings: &Settings, clock: &Clock, work: &Parts) -> Vec<Loop> {
    let mut all = list(settings, clock, work);
    all.extend(administrator(settings, work));
    if settings.monitor.mock {
        all = all.into_iter().map(only_planned).collect();
    }
    // What changes nothing outside runs in any case.
    all.extend(upkeep::list(settings, clock, work));
    all
}

/// The same loop under `MOCK_MAINTENANCE`: it says what it would do, and does nothing.
fn only_planned(each: Loop) -> Loop {
    let plan: Arc<dyn Fn() -> Work + Send + Sync> = each.plan.into();
    let planned = plan.clone();
    let run = move || {
        let plan = planned();
        Box::pin(async move { plan.await.map(only_planned_text) }) as _
    };
    Loop { plan: Box::new(move || plan()), run: Box::new(run), ..each }
}

fn only_planned_text(plan: String) -> String {
    if plan.is_empty() { plan } else { format!("only planned, because of MOCK_MAINTENANCE: {plan}") }
}

fn list(settings: &Settings, clock: &Clock, work: &Parts) -> Vec<Loop> {
    let (expiring, braking, releasing) = (work.namespaces.clone(), work.guard.clone(), work.guard.clone());
    vec![
        Loop {
            brake: Brake::before(ClockWatch::new(clock.clone()), || Ok(None)),
            ..each(
                "rotate",
                settings.rotate_period,
                "a password is promised for half an interval beyond its rotation, so minutes late is early enough",
                work,
                plan_rotation,
                rotate,
            )
        },
        Loop {
            brake: Brake::before(ClockWatch::new(clock.clone()), move || expiring.expiry_brake()),
            ..each(
                "expire",
                settings.expire_period,
                "what nobody claims any more may lie a little longer",
                work,
                plan_expiry,
                expire,
            )
        },
        Loop {
            brake: Brake::Within(
                Box::new(move || braking.stopped_by()),
                Box::new(move |caller| Box::pin(release(releasing.clone(), caller))),
            ),
            ..each(
                "monitor",
                settings.monitor.period,
                "a queue at full speed fills in minutes, and one look costs the broker half a second",
                work,
                plan_monitor,
                monitor,
            )
        },
        each(
            "reconcile",
            settings.reconcile_period,
            "what was changed by hand on the broker, or lost with its disk, is back before people notice",
            work,
            plan_reconcile,
            reconcile,
        ),
        each(
            "deliver",
            DELIVER_PERIOD,
            "soon enough for a person, and what one cause posts is seen together",
            work,
            plan_delivery,
            deliver,
        ),
        each(
            "hosts",
            FORGET_PERIOD,
            "what is remembered of machines is kept for months",
            work,
            plan_forgetting,
            forget,
        ),
    ]
}

/// The loop that only runs when the settings say how often.
fn administrator(settings: &Settings, work: &Parts) -> Option<Loop> {
    let period = settings.broker.as_ref()?.rotation_period?;
    let why = "the operator said how long a password of the administrator may be in use";
    Some(each("administrator", period, why, work, plan_replacement, replace))
}

fn each<P, R>(
    name: &'static str,
    period: Duration,
    why: &'static str,
    work: &Parts,
    plan: fn(Parts) -> P,
    run: fn(Parts) -> R,
) -> Loop
where
    P: Future<Output = Result<String>> + Send + 'static,
    R: Future<Output = Result<String>> + Send + 'static,
{
    let (planned, running) = (work.clone(), work.clone());
    let plan = Box::new(move || Box::pin(plan(planned.clone())) as _);
    let run = Box::new(move || Box::pin(run(running.clone())) as _);
    Loop { name, period, why, first: None, plan, run, brake: Brake::None }
}

/// One line for each step of a plan.
fn lines<T>(steps: impl IntoIterator<Item = T>, line: impl Fn(T) -> String) -> String {
    steps.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

async fn plan_rotation(work: Parts) -> Result<String> {
    Ok(lines(work.namespaces.due()?, |name| format!("rotate {name}: its interval is over")))
}

async fn rotate(work: Parts) -> Result<String> {
    let Rotated { rotated, waiting, failed } = work.namespaces.rotate_due().await?;
    let report =
        format!("{rotated} namespaces were rotated, {waiting} wait for a promise to end, {failed} could not be");
    told(report, rotated, failed)
}

async fn plan_expiry(work: Parts) -> Result<String> {
    Ok(lines(work.namespaces.over()?, |name| format!("remove {name}: its time is over")))
}

async fn expire(work: Parts) -> Result<String> {
    let Expired { removed, failed } = work.namespaces.expire_over().await?;
    work.wraps.forget_over().await?;
    told(format!("{removed} namespaces were removed, {failed} could not be"), removed, failed)
}

async fn plan_monitor(work: Parts) -> Result<String> {
    if !work.guard.has_broker() {
        return Ok(String::new());
    }
    Ok(work.guard.plan().await?.to_string())
}

async fn monitor(work: Parts) -> Result<String> {
    // Without a broker there is nothing to look at; that none is configured was said at the start.
    if work.guard.has_broker() { guarded(&work.guard.run().await?) } else { Ok(String::new()) }
}

/// What a pass of the guard says. What the brake held back did not fail: it waits.
fn guarded(report: &Report) -> Result<String> {
    match report.failed {
        0 => Ok(report.to_string()),
        _ => Err(Error::unavailable(report.to_string())),
    }
}

async fn release(guard: Guard, caller: Caller) -> Result<String> {
    guard.release(&caller).await.map(|brake| brake.to_string())
}

async fn plan_reconcile(work: Parts) -> Result<String> {
    if work.accounts.broker().is_err() {
        return Ok(String::new());
    }
    Ok(lines(work.accounts.drifts().await?, |(name, what)| format!("put {name} right: {what}")))
}

async fn reconcile(work: Parts) -> Result<String> {
    if work.accounts.broker().is_err() {
        // Without a broker there is nothing to compare; that none is configured was said at the start.
        return Ok(String::new());
    }
    // Whether it could be done or not: what comes then may work with the login that is left.
    let administrator = work.administrator.make_sure().await;
    let Reconciled { seen, drifted, settled, failed } = work.accounts.reconcile().await?;
    let report = format!("of {seen} accounts {drifted} had drifted; {settled} were put right, {failed} could not be");
    let report = told(report, settled, failed)?;
    let reports = [administrator?.unwrap_or_default(), report];
    Ok(reports.into_iter().filter(|report| !report.is_empty()).collect::<Vec<_>>().join("; "))
}

async fn plan_replacement(_: Parts) -> Result<String> {
    Ok("replace the administrator at the broker by the one whose turn it is, with a new password".into())
}

async fn replace(work: Parts) -> Result<String> {
    let rotated = work.administrator.rotate(&Caller::of_loop("administrator")).await?;
    Ok(format!("the administrator at the broker is `{}` now", rotated.administrator))
}

/// What a run says: nothing when there was nothing to do, and an error when something is left, so that the next run
/// comes soon.
fn told(report: String, done: usize, failed: usize) -> Result<String> {
    match (done, failed) {
        (0, 0) => Ok(String::new()),
        (_, 0) => Ok(report),
        _ => Err(Error::unavailable(report)),
    }
}

async fn plan_delivery(work: Parts) -> Result<String> {
    Ok(match work.notices.waiting()? {
        0 => String::new(),
        waiting => format!("deliver {waiting} notices that wait"),
    })
}

async fn deliver(work: Parts) -> Result<String> {
    let done = work.notices.deliver().await?;
    if done == Delivered::default() {
        return Ok(String::new());
    }
    let Delivered { sent, failed, dead, gathered, pruned } = done;
    for (tally, count) in [(&work.tallies.sent, sent), (&work.tallies.retried, failed), (&work.tallies.dead, dead)] {
        tally.add(count as u64);
    }
    Ok(format!(
        "{sent} deliveries were taken, {failed} failed and will be tried again, {dead} were given up; {gathered} notices \
         went into digests, {pruned} old ones were forgotten"
    ))
}

async fn plan_forgetting(work: Parts) -> Result<String> {
    Ok(lines(work.hosts.stale()?, |address| format!("forget {address}: it asked for nothing in months")))
}

async fn forget(work: Parts) -> Result<String> {
    let forgotten = work.hosts.forget_stale().await?;
    told(format!("{forgotten} machines were forgotten"), forgotten, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Appliance;
    use crate::base::{NamespaceName, Timestamp};
    use crate::domain::namespaces::Claim;
    use crate::ports::broker::MemoryBroker;
    use crate::store::Store;

    #[test]
    fn a_pass_of_the_monitor_that_left_something_undone_has_failed() {
        let report = Report { told: 1, failed: 2, ..Report::default() };
        let error = guarded(&report).unwrap_err();
        assert_eq!(error.message(), "1 notices were posted, 2 steps failed");
        assert_eq!(guarded(&Report { held: 3, ..Report::default() }).unwrap(), "3 steps were held back");
    }

    #[tokio::test]
    async fn mock_maintenance_says_what_it_would_do_and_does_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::for_tests(dir.path());
        settings.monitor.mock = true;
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        let (store, broker) = (Store::memory(clock.clone()).unwrap(), MemoryBroker::default());
        let appliance = Appliance::on(store, &settings, clock.clone(), Some(Arc::new(broker.clone()))).unwrap();
        let name = NamespaceName::parse("taskcluster-a").unwrap();
        let caller = Caller::local("tests", "r");
        appliance.namespaces.claim(&caller, &name, Claim::default()).await.unwrap();
        clock.advance(Duration::from_secs(12 * 3600));
        broker.forget_calls();

        for (each, would) in [("rotate", "rotate taskcluster-a"), ("expire", "remove taskcluster-a")] {
            let report = appliance.loops.run(each).await.unwrap();
            assert!(report.starts_with("only planned") && report.contains(would), "{report}");
        }
        assert_eq!(appliance.loops.run("reconcile").await.unwrap(), "");
        assert!(broker.calls().iter().all(|call| call.starts_with("GET ")), "{:?}", broker.calls());
    }
}
