//! Everything that runs by itself, on one page.

use std::future::Future;
use std::time::Duration;

use super::settings::Settings;
use crate::base::{Error, Result};
use crate::domain::accounts::Accounts;
use crate::domain::auth::Caller;
use crate::domain::guard::Guard;
use crate::domain::loops::{Brake, Loop};
use crate::domain::namespaces::{Expired, Namespaces, Rotated};
use crate::domain::notices::{Delivered, Notices};

/// How often the outbox is looked into. Ten seconds: soon enough for a person, long enough that what one cause posts is
/// seen together and can become a digest. No setting: nothing an operator wants depends on it.
const DELIVER_PERIOD: Duration = Duration::from_secs(10);

/// What the loops work on.
#[derive(Clone)]
pub struct Work {
    /// The broker users.
    pub accounts: Accounts,
    /// What is lent on the message bus.
    pub namespaces: Namespaces,
    /// What keeps the broker from overflowing.
    pub guard: Guard,
    /// What people should hear.
    pub notices: Notices,
}

/// The loops of an appliance.
pub fn all(settings: &Settings, work: &Work) -> Vec<Loop> {
    let (expiring, braking, releasing) = (work.namespaces.clone(), work.guard.clone(), work.guard.clone());
    vec![
        each(
            "rotate",
            settings.rotate_period,
            "a password is promised for half an interval beyond its rotation, so minutes late is early enough",
            work,
            plan_rotation,
            rotate,
        ),
        Loop {
            brake: Brake::Before(Box::new(move || expiring.expiry_brake())),
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
    ]
}

fn each<P, R>(
    name: &'static str,
    period: Duration,
    why: &'static str,
    work: &Work,
    plan: fn(Work) -> P,
    run: fn(Work) -> R,
) -> Loop
where
    P: Future<Output = Result<String>> + Send + 'static,
    R: Future<Output = Result<String>> + Send + 'static,
{
    let (planned, running) = (work.clone(), work.clone());
    let plan = Box::new(move || Box::pin(plan(planned.clone())) as _);
    let run = Box::new(move || Box::pin(run(running.clone())) as _);
    Loop { name, period, why, plan, run, brake: Brake::None }
}

/// One line for each step of a plan.
fn lines<T>(steps: impl IntoIterator<Item = T>, line: impl Fn(T) -> String) -> String {
    steps.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What a pass did. One that left something undone has failed: the scheduler comes again in seconds and not a period
/// later, and it shows in the status of the loop. Claims may be waiting for it.
fn report(did: String, failed: usize) -> Result<String> {
    if failed == 0 { Ok(did) } else { Err(Error::unavailable(did)) }
}

async fn plan_rotation(work: Work) -> Result<String> {
    Ok(lines(work.namespaces.due()?, |name| format!("rotate {name}: its interval is over")))
}

async fn rotate(work: Work) -> Result<String> {
    let Rotated { rotated, waiting, failed } = work.namespaces.rotate_due().await?;
    if rotated + failed == 0 {
        return Ok(String::new());
    }
    let did = format!("{rotated} namespaces were rotated, {waiting} wait for a promise to end, {failed} could not be");
    report(did, failed)
}

async fn plan_expiry(work: Work) -> Result<String> {
    Ok(lines(work.namespaces.over()?, |name| format!("remove {name}: its time is over")))
}

async fn expire(work: Work) -> Result<String> {
    let Expired { removed, failed } = work.namespaces.expire_over().await?;
    if removed + failed == 0 {
        return Ok(String::new());
    }
    report(format!("{removed} namespaces were removed, {failed} could not be"), failed)
}

async fn plan_monitor(work: Work) -> Result<String> {
    Ok(work.guard.plan().await?.to_string())
}

async fn monitor(work: Work) -> Result<String> {
    // Without a broker there is nothing to look at; that none is configured was said at the start.
    if work.guard.has_broker() { Ok(work.guard.run().await?.to_string()) } else { Ok(String::new()) }
}

async fn release(guard: Guard, caller: Caller) -> Result<String> {
    guard.release(&caller).await.map(|brake| brake.to_string())
}

async fn plan_reconcile(work: Work) -> Result<String> {
    Ok(lines(work.accounts.drifts().await?, |(name, what)| format!("put {name} right: {what}")))
}

async fn reconcile(work: Work) -> Result<String> {
    if work.accounts.broker().is_err() {
        // Without a broker there is nothing to compare; that none is configured was said at the start.
        return Ok(String::new());
    }
    let done = work.accounts.reconcile().await?;
    if done.settled + done.failed == 0 {
        return Ok(String::new());
    }
    let did = format!(
        "of {} accounts {} had drifted; {} were put right, {} could not be",
        done.seen, done.drifted, done.settled, done.failed
    );
    report(did, done.failed)
}

async fn plan_delivery(work: Work) -> Result<String> {
    Ok(match work.notices.waiting()? {
        0 => String::new(),
        waiting => format!("deliver {waiting} notices that wait"),
    })
}

async fn deliver(work: Work) -> Result<String> {
    let done = work.notices.deliver().await?;
    if done == Delivered::default() {
        return Ok(String::new());
    }
    let Delivered { sent, failed, dead, gathered, pruned } = done;
    Ok(format!(
        "{sent} deliveries were taken, {failed} failed and will be tried again, {dead} were given up; {gathered} notices \
         went into digests, {pruned} old ones were forgotten"
    ))
}
