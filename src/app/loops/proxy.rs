//! The loop that ends sessions of the task proxy.

use std::sync::Arc;
use std::time::Duration;

use super::each;
use crate::base::Result;
use crate::domain::loops::Loop;
use crate::domain::parts::Parts;

/// How often. No setting: a session outlives its task by no more than this.
const PERIOD: Duration = Duration::from_secs(30);

pub(super) fn list(parts: &Arc<Parts>) -> Loop {
    each("proxy", PERIOD, "a session outlives its task by no more than this", parts, plan, sweep)
}

async fn plan(parts: Arc<Parts>) -> Result<String> {
    Ok(parts.proxy.plan_sweep().await?.join("\n"))
}

async fn sweep(parts: Arc<Parts>) -> Result<String> {
    Ok(parts.proxy.sweep().await?.to_string())
}
