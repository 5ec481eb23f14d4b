//! What people may do with the audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Weight, nothing};
use crate::base::Timestamp;
use crate::domain::audit;
use crate::domain::auth::scopes;
use crate::store::Checkpoint;

/// Which entries go.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prune {
    before: Timestamp,
    /// Only say what would go.
    #[serde(default)]
    dry_run: bool,
}

/// Which went, or would.
#[derive(JsonSchema, Serialize)]
pub struct Pruned {
    through: u64,
    entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Checkpoint>,
}

pub const PRUNE: Action<(), Pruned, Prune> = Action {
    about: About {
        name: "pruneAudit",
        route: "POST /audit/prune",
        scope: scopes::AUDIT_PRUNE,
        command: "audit prune --before <time>",
        says: "Removes entries before a time, and leaves a checkpoint for them.",
        weight: Weight::Destroys,
        ..super::ABOUT
    },
    on: nothing,
    plan: work!(|domain, _, (), Prune { before, .. }| {
        let audit::Pruned { through, entries, .. } = domain.audit.plan_pruning(before).await?;
        Ok(vec![match entries {
            0 => "No entry is that old.".into(),
            _ => format!("{entries} entries are removed, up to {through}. A signed checkpoint stands for them."),
        }])
    }),
    run: work!(|domain, caller, (), Prune { before, dry_run }| {
        let audit::Pruned { through, entries, checkpoint } = if dry_run {
            domain.audit.plan_pruning(before).await?
        } else {
            domain.audit.prune(&caller, before).await?
        };
        Ok(Pruned { through, entries, checkpoint })
    }),
};
