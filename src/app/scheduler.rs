//! Wakes the loops when they are due, each in a task of its own, until it is time to stop.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::loops::Loops;

/// Longest sleep before a due time is looked at again: a clock that was set forward is noticed this soon.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// The pause after trouble, for the case that the store could not take it down.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);

/// Starts the loops. They end after the run in hand when `stop` is cancelled.
pub(super) fn start(loops: &Loops, tasks: &TaskTracker, stop: &CancellationToken) {
    for name in loops.names() {
        tasks.spawn(keep_running(loops.clone(), name, stop.clone()));
    }
}

async fn keep_running(loops: Loops, name: &'static str, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let sleep = match loops.wait(name) {
            Ok(Some(Duration::ZERO)) => {
                // How it went is in the log and in the store; a store that cannot be written must not make us spin.
                match loops.run(name).await {
                    Ok(_) => continue,
                    Err(_) => TROUBLE_PAUSE,
                }
            }
            Ok(wait) => wait.map_or(SLEEP_MAX, |wait| wait.min(SLEEP_MAX)),
            Err(error) => {
                tracing::error!(loop.name = name, "cannot tell when loop {name} is due: {}", error.chain());
                TROUBLE_PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = loops.nudged(name) => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}
