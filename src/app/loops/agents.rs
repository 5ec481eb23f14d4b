//! The loop that keeps the agents of a fleet.

use std::sync::Arc;
use std::time::Duration;

use super::each;
use crate::base::{Error, Result};
use crate::domain::loops::Loop;
use crate::domain::parts::Parts;

/// How often. No setting: a pass that finds nothing costs a look at the tables.
const PERIOD: Duration = Duration::from_secs(15);

pub(super) fn list(parts: &Arc<Parts>) -> Loop {
    each(
        "agents",
        PERIOD,
        "who waits to be let in, and a whitelist that changed, wait no longer than a person looks",
        parts,
        plan,
        keep,
    )
}

async fn plan(parts: Arc<Parts>) -> Result<String> {
    Ok(parts.agents.plan_keeping().await?.join("\n"))
}

async fn keep(parts: Arc<Parts>) -> Result<String> {
    let kept = parts.agents.keep().await?;
    if kept.has_failed() { Err(Error::unavailable(kept.to_string())) } else { Ok(kept.to_string()) }
}
