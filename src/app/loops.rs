//! Everything that runs by itself, on one page.

mod agents;
mod proxy;
mod upkeep;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::settings::Settings;
use crate::base::{Error, Result};
use crate::domain::accounts::{Drift, Reconciled};
use crate::domain::auth::Caller;
use crate::domain::loops::{Brake, ClockWatch, Loop, Work};
use crate::domain::monitor::{Monitor, Report};
use crate::domain::namespaces::{Expired, Rotated};
use crate::domain::notices::Delivered;
use crate::domain::parts::Parts;
use crate::domain::relay;

/// Accounts that a report names which the broker has otherwise and that are left so.
const LEFT_MAX: usize = 5;
/// How often the outbox is looked into. Ten seconds: soon enough for a person, long enough that what one cause posts is
/// seen together and can become a digest. No setting: nothing an operator wants depends on it.
const DELIVER_PERIOD: Duration = Duration::from_secs(10);
/// How often machines that asked for nothing in a long time are forgotten. No setting: nobody waits for it.
const FORGET_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

/// The loops of an appliance.
pub fn all(settings: &Settings, parts: &Arc<Parts>) -> Vec<Loop> {
    let mut all = list(settings, parts);
    all.extend(administrator(settings, parts));
    all.push(agents::list(parts));
    all.push(proxy::list(parts));
    if settings.monitor.mock {
        all = all.into_iter().map(only_planned).collect();
    }
    // What changes nothing outside runs in any case.
    all.extend(upkeep::list(settings, parts));
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

fn list(settings: &Settings, parts: &Arc<Parts>) -> Vec<Loop> {
    let (expiring, braking, releasing) = (parts.namespaces.clone(), parts.monitor.clone(), parts.monitor.clone());
    vec![
        Loop {
            brake: Brake::before(ClockWatch::new(parts.clock.clone()), || async { Ok(None) }),
            ..each(
                "rotate",
                settings.rotate_period,
                "a password is promised for half an interval beyond its rotation, so minutes late is early enough",
                parts,
                plan_rotation,
                rotate,
            )
        },
        Loop {
            brake: Brake::before(ClockWatch::new(parts.clock.clone()), move || {
                let expiring = expiring.clone();
                async move { expiring.expiry_brake().await }
            }),
            ..each(
                "expire",
                settings.expire_period,
                "what nobody claims any more may lie a little longer",
                parts,
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
                parts,
                plan_monitor,
                monitor,
            )
        },
        each(
            "reconcile",
            settings.reconcile_period,
            "what was changed by hand on the broker, or lost with its disk, is back before people notice",
            parts,
            plan_reconcile,
            reconcile,
        ),
        each(
            "deliver",
            DELIVER_PERIOD,
            "soon enough for a person, and what one cause posts is seen together",
            parts,
            plan_delivery,
            deliver,
        ),
        each(
            "hosts",
            FORGET_PERIOD,
            "what is remembered of machines is kept for months",
            parts,
            plan_forgetting,
            forget,
        ),
    ]
}

/// The loop that only runs when the settings say how often.
fn administrator(settings: &Settings, parts: &Arc<Parts>) -> Option<Loop> {
    let period = settings.broker.as_ref()?.rotation_period?;
    let why = "the operator said how long a password of the administrator may be in use";
    Some(each("administrator", period, why, parts, plan_replacement, replace))
}

fn each<P, R>(
    name: &'static str,
    period: Duration,
    why: &'static str,
    parts: &Arc<Parts>,
    plan: fn(Arc<Parts>) -> P,
    run: fn(Arc<Parts>) -> R,
) -> Loop
where
    P: Future<Output = Result<String>> + Send + 'static,
    R: Future<Output = Result<String>> + Send + 'static,
{
    let (planned, running) = (parts.clone(), parts.clone());
    let plan = Box::new(move || Box::pin(plan(planned.clone())) as _);
    let run = Box::new(move || Box::pin(run(running.clone())) as _);
    Loop { name, period, why, first: None, plan, run, brake: Brake::None }
}

/// One line for each step of a plan.
fn lines<T>(steps: impl IntoIterator<Item = T>, line: impl Fn(T) -> String) -> String {
    steps.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

async fn plan_rotation(parts: Arc<Parts>) -> Result<String> {
    let namespaces =
        parts.namespaces.due().await?.into_iter().map(|name| format!("rotate {name}: its interval is over"));
    let accounts = parts.relay.due().await?.into_iter();
    let accounts =
        accounts.map(|name| format!("rotate the account {name}: its interval is over, or a rotation was begun"));
    Ok(lines(namespaces.chain(accounts), |line| line))
}

async fn rotate(parts: Arc<Parts>) -> Result<String> {
    let (namespaces, accounts) = (parts.namespaces.rotate_due().await, parts.relay.rotate_due().await);
    let Rotated { rotated, waiting, failed } = namespaces?;
    let report =
        format!("{rotated} namespaces were rotated, {waiting} wait for a promise to end, {failed} could not be");
    let namespaces = report_done(report, rotated, failed);
    let relay::Rotated { rotated, closed, waiting, failed } = accounts?;
    let report = format!(
        "{rotated} accounts of the relay were rotated, {waiting} wait for a promise to end, {failed} could not be"
    );
    let closings = if closed > 0 {
        format!("; of {closed}, connections with a former password were closed")
    } else {
        String::new()
    };
    both(namespaces, report_done(report + &closings, rotated + closed, failed))
}

/// The reports of two parts of a loop. One that failed hides nothing of the other.
fn both(one: Result<String>, other: Result<String>) -> Result<String> {
    let text = |report: &Result<String>| report.as_ref().map_or_else(|error| error.message().to_owned(), Clone::clone);
    let texts = [text(&one), text(&other)].into_iter().filter(|text| !text.is_empty());
    let text = texts.collect::<Vec<_>>().join("; ");
    if one.is_ok() && other.is_ok() { Ok(text) } else { Err(Error::unavailable(text)) }
}

async fn plan_expiry(parts: Arc<Parts>) -> Result<String> {
    Ok(lines(parts.namespaces.list_expired().await?, |name| format!("remove {name}: its time is over")))
}

async fn expire(parts: Arc<Parts>) -> Result<String> {
    let Expired { removed, failed, cause } = parts.namespaces.expire_over().await?;
    parts.wraps.forget_over().await?;
    let why = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    report_done(format!("{removed} namespaces were removed, {failed} could not be{why}"), removed, failed)
}

async fn plan_monitor(parts: Arc<Parts>) -> Result<String> {
    if !parts.monitor.has_broker() {
        return Ok(String::new());
    }
    Ok(parts.monitor.plan().await?.to_string())
}

async fn monitor(parts: Arc<Parts>) -> Result<String> {
    // Without a broker there is nothing to look at; that none is configured was said at the start.
    if parts.monitor.has_broker() { report_pass(&parts.monitor.run().await?) } else { Ok(String::new()) }
}

/// What a pass of the monitor says. What the brake held back did not fail: it waits.
fn report_pass(report: &Report) -> Result<String> {
    match report.failed {
        0 => Ok(report.to_string()),
        _ => Err(Error::unavailable(report.to_string())),
    }
}

async fn release(monitor: Monitor, caller: Caller) -> Result<String> {
    monitor.release(&caller).await.map(|brake| brake.to_string())
}

async fn plan_reconcile(parts: Arc<Parts>) -> Result<String> {
    if !parts.accounts.has_broker() {
        return Ok(String::new());
    }
    let relay = parts.relay.would_repair().await?;
    let accounts = parts.accounts.drifts().await?.into_iter().map(|Drift { account, what, is_left, .. }| {
        if is_left { format!("leave {account} as it is: {what}") } else { format!("put {account} right: {what}") }
    });
    Ok(lines(relay.into_iter().chain(accounts), |line| line))
}

async fn reconcile(parts: Arc<Parts>) -> Result<String> {
    if !parts.accounts.has_broker() {
        // Without a broker there is nothing to compare; that none is configured was said at the start.
        return Ok(String::new());
    }
    // Whether it could be done or not: what comes then may work with the login that is left.
    let administrator = parts.administrator.make_sure().await;
    // Accounts may need its vhosts.
    let relay = parts.relay.repair().await;
    let accounts = parts.accounts.reconcile().await;
    // Also while a broker is away that the relay has nothing to do with.
    let programs = parts.relay.look_for_programs().await;
    // What it does not say about itself is no reason for another pass.
    let cluster = parts.relay.look_at_cluster().await;
    let cluster = cluster.unwrap_or_else(|error| format!("the cluster was not looked at: {}", error.message()));
    let Reconciled { seen, drifted, settled, failed, reported } = accounts?;
    let report = format!("of {seen} accounts {drifted} had drifted; {settled} were put right, {failed} could not be");
    let report = report_done(report, settled, failed)?;
    let reports = [administrator?.unwrap_or_default(), relay?, report, left(&reported), programs?, cluster];
    Ok(reports.into_iter().filter(|report| !report.is_empty()).collect::<Vec<_>>().join("; "))
}

/// Accounts that the broker has otherwise and that are left so, the first few by name.
fn left(drifts: &[Drift]) -> String {
    let named =
        drifts.iter().take(LEFT_MAX).map(|Drift { account, what, .. }| format!("{account} is left as it is: {what}"));
    let more = drifts.len().saturating_sub(LEFT_MAX);
    named.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join("; ")
}

async fn plan_replacement(_: Arc<Parts>) -> Result<String> {
    Ok("replace the administrator at the broker by the one whose turn it is, with a new password".into())
}

async fn replace(parts: Arc<Parts>) -> Result<String> {
    let rotated = parts.administrator.rotate(&Caller::of_loop("administrator")).await?;
    Ok(format!("the administrator at the broker is `{}` now", rotated.administrator))
}

/// What a run says: nothing when there was nothing to do, and an error when something is left, so that the next run
/// comes soon.
fn report_done(report: String, done: usize, failed: usize) -> Result<String> {
    match (done, failed) {
        (0, 0) => Ok(String::new()),
        (_, 0) => Ok(report),
        _ => Err(Error::unavailable(report)),
    }
}

async fn plan_delivery(parts: Arc<Parts>) -> Result<String> {
    Ok(match parts.notices.waiting()? {
        0 => String::new(),
        waiting => format!("deliver {waiting} notices that wait"),
    })
}

async fn deliver(parts: Arc<Parts>) -> Result<String> {
    let done = parts.notices.deliver().await?;
    if done == Delivered::default() {
        return Ok(String::new());
    }
    let Delivered { sent, failed, dead, gathered, pruned } = done;
    Ok(format!(
        "{sent} deliveries were taken, {failed} failed and will be tried again, {dead} were given up; {gathered} notices \
         went into digests, {pruned} old ones were forgotten"
    ))
}

async fn plan_forgetting(parts: Arc<Parts>) -> Result<String> {
    Ok(lines(parts.hosts.stale().await?, |address| format!("forget {address}: it asked for nothing in months")))
}

async fn forget(parts: Arc<Parts>) -> Result<String> {
    let forgotten = parts.hosts.forget_stale().await?;
    report_done(format!("{forgotten} machines were forgotten"), forgotten, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Appliance;
    use crate::base::{Clock, NamespaceName, Timestamp};
    use crate::domain::namespaces::Claim;
    use crate::ports::broker::MemoryBroker;
    use crate::store::Store;

    #[test]
    fn a_pass_of_the_monitor_that_left_something_undone_has_failed() {
        let report = Report { told: 1, failed: 2, ..Report::default() };
        let error = report_pass(&report).unwrap_err();
        assert_eq!(error.message(), "1 notices were posted, 2 steps failed");
        assert_eq!(report_pass(&Report { held: 3, ..Report::default() }).unwrap(), "3 steps were held back");
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
