//! Everything that runs by itself, on one page.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::build::Appliance;
use super::settings::Settings;
use crate::base::Result;
use crate::domain::namespaces::Rotated;
use crate::domain::notices::Delivered;

/// How often the outbox is looked into. Ten seconds: soon enough for a person, long enough that what one cause posts is
/// seen together and can become a digest. No setting: nothing an operator wants depends on it.
const DELIVER_PERIOD: Duration = Duration::from_secs(10);

/// A loop: it takes no argument, looks at what should be and what is, and may run at any time any number of times.
pub struct Loop {
    /// Its name in logs and in the audit log.
    pub name: &'static str,
    /// How long after the end of a run the next one begins.
    pub period: Duration,
    /// One run. The text says what it did, and is empty when there was nothing to do.
    pub run: fn(Appliance) -> Run,
}

/// One run of a loop.
pub type Run = Pin<Box<dyn Future<Output = Result<String>> + Send>>;

/// The loops of an appliance.
pub fn all(settings: &Settings) -> Vec<Loop> {
    vec![
        // Five minutes: a password is promised for half an interval beyond its rotation, so that late is early enough.
        Loop { name: "rotate", period: settings.rotate_period, run: |appliance| Box::pin(rotate(appliance)) },
        // A minute: what somebody changed by hand on the broker, or lost with its disk, is back before people notice.
        Loop { name: "reconcile", period: settings.reconcile_period, run: |appliance| Box::pin(reconcile(appliance)) },
        Loop { name: "deliver", period: DELIVER_PERIOD, run: |appliance| Box::pin(deliver(appliance)) },
    ]
}

async fn rotate(appliance: Appliance) -> Result<String> {
    let done = appliance.namespaces.rotate_due().await?;
    Ok(match done {
        Rotated { rotated: 0, failed: 0, .. } => String::new(),
        Rotated { rotated, waiting, failed } => {
            format!("{rotated} namespaces were rotated, {waiting} wait for a promise to end, {failed} could not be")
        }
    })
}

async fn reconcile(appliance: Appliance) -> Result<String> {
    if appliance.accounts.broker().is_err() {
        // Without a broker there is nothing to compare; that none is configured was said at the start.
        return Ok(String::new());
    }
    let done = appliance.accounts.reconcile().await?;
    let total = done.settled + done.failed;
    Ok(match total {
        0 => String::new(),
        _ => format!(
            "of {} accounts {} had drifted; {} were put right, {} could not be",
            done.seen, done.drifted, done.settled, done.failed
        ),
    })
}

async fn deliver(appliance: Appliance) -> Result<String> {
    let done = appliance.notices.deliver().await?;
    if done == Delivered::default() {
        return Ok(String::new());
    }
    let Delivered { sent, failed, dead, gathered, pruned } = done;
    Ok(format!(
        "{sent} deliveries were taken, {failed} failed and will be tried again, {dead} were given up; {gathered} notices \
         went into digests, {pruned} old ones were forgotten"
    ))
}
