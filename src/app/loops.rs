//! Everything that runs by itself, on one page.

use super::settings::Settings;
use crate::base::Result;
use crate::domain::accounts::Accounts;
use crate::domain::guard::Guard;
use crate::domain::loops::Loop;
use crate::domain::namespaces::{Expired, Namespaces, Rotated};

/// The loops of an appliance.
pub fn all(settings: &Settings, accounts: &Accounts, namespaces: &Namespaces, guard: &Guard) -> Vec<Loop> {
    let [expiring, planning_expiry, rotating, planning_rotation] = [(); 4].map(|()| namespaces.clone());
    let [watching, planning_watch] = [(); 2].map(|()| guard.clone());
    let [reconciling, planning_reconcile] = [(); 2].map(|()| accounts.clone());
    vec![
        Loop {
            name: "rotate",
            period: settings.rotate_period,
            why: "a password is promised for half an interval beyond its rotation, so minutes late is early enough",
            plan: Box::new(move || Box::pin(plan_rotation(planning_rotation.clone()))),
            run: Box::new(move || Box::pin(rotate(rotating.clone()))),
        },
        Loop {
            name: "expire",
            period: settings.expire_period,
            why: "what nobody claims any more may lie a little longer",
            plan: Box::new(move || Box::pin(plan_expiry(planning_expiry.clone()))),
            run: Box::new(move || Box::pin(expire(expiring.clone()))),
        },
        Loop {
            name: "monitor",
            period: settings.monitor.period,
            why: "a queue at full speed fills in minutes, and one look costs the broker half a second",
            plan: Box::new(move || Box::pin(plan_monitor(planning_watch.clone()))),
            run: Box::new(move || Box::pin(monitor(watching.clone()))),
        },
        Loop {
            name: "reconcile",
            period: settings.reconcile_period,
            why: "what was changed by hand on the broker, or lost with its disk, is back before people notice",
            plan: Box::new(move || Box::pin(plan_reconcile(planning_reconcile.clone()))),
            run: Box::new(move || Box::pin(reconcile(reconciling.clone()))),
        },
    ]
}

async fn plan_rotation(namespaces: Namespaces) -> Result<String> {
    let due = namespaces.due()?;
    Ok(due.iter().map(|name| format!("rotate {name}: its interval is over")).collect::<Vec<_>>().join("\n"))
}

async fn rotate(namespaces: Namespaces) -> Result<String> {
    Ok(match namespaces.rotate_due().await? {
        Rotated { rotated: 0, failed: 0, .. } => String::new(),
        Rotated { rotated, waiting, failed } => {
            format!("{rotated} namespaces were rotated, {waiting} wait for a promise to end, {failed} could not be")
        }
    })
}

async fn plan_expiry(namespaces: Namespaces) -> Result<String> {
    let over = namespaces.over()?;
    Ok(over.iter().map(|name| format!("remove {name}: its time is over")).collect::<Vec<_>>().join("\n"))
}

async fn expire(namespaces: Namespaces) -> Result<String> {
    Ok(match namespaces.expire_over().await? {
        Expired { removed: 0, failed: 0 } => String::new(),
        Expired { removed, failed } => format!("{removed} namespaces were removed, {failed} could not be"),
    })
}

async fn plan_monitor(guard: Guard) -> Result<String> {
    Ok(guard.plan().await?.to_string())
}

async fn monitor(guard: Guard) -> Result<String> {
    // Without a broker there is nothing to look at; that none is configured was said at the start.
    if guard.has_broker() { Ok(guard.run().await?.to_string()) } else { Ok(String::new()) }
}

async fn plan_reconcile(accounts: Accounts) -> Result<String> {
    let drifts = accounts.drifts().await?;
    Ok(drifts.iter().map(|(name, what)| format!("put {name} right: {what}")).collect::<Vec<_>>().join("\n"))
}

async fn reconcile(accounts: Accounts) -> Result<String> {
    if accounts.broker().is_err() {
        // Without a broker there is nothing to compare; that none is configured was said at the start.
        return Ok(String::new());
    }
    let done = accounts.reconcile().await?;
    Ok(match done.settled + done.failed {
        0 => String::new(),
        _ => format!(
            "of {} accounts {} had drifted; {} were put right, {} could not be",
            done.seen, done.drifted, done.settled, done.failed
        ),
    })
}
