//! Runs the loops: each at its period, never twice at once, sooner after a failure, and through panics.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::build::Appliance;
use super::loops::Loop;
use crate::base::{Error, Result};

/// The pause after a first failure; it doubles up to the loop's period.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);

/// Starts the loops. They end after the run in hand when `stop` is cancelled.
pub(super) fn start(appliance: &Appliance, loops: Vec<Loop>, tasks: &TaskTracker, stop: &CancellationToken) {
    for each in loops {
        tasks.spawn(keep_running(appliance.clone(), each, stop.clone()));
    }
}

async fn keep_running(appliance: Appliance, each: Loop, stop: CancellationToken) {
    let mut failures = 0;
    while !stop.is_cancelled() {
        let pause = match run_once(&appliance, &each).await {
            Ok(report) => {
                failures = 0;
                if !report.is_empty() {
                    tracing::info!(loop.name = each.name, "loop {}: {report}", each.name);
                }
                each.period
            }
            Err(error) => {
                let pause = FAILURE_PAUSE.saturating_mul(1 << failures).min(each.period);
                failures = (failures + 1).min(16);
                tracing::warn!(loop.name = each.name, "loop {} failed, again in {pause:?}: {}", each.name, error.chain());
                pause
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn run_once(appliance: &Appliance, each: &Loop) -> Result<String> {
    let run = AssertUnwindSafe((each.run)(appliance.clone())).catch_unwind();
    run.await.unwrap_or_else(|_| Err(Error::internal("running the loop", "it panicked")))
}
