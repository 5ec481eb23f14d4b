//! What people may do with backups.

use schemars::JsonSchema;
use serde::Serialize;

use super::{About, Action, nothing};
use crate::base::Timestamp;
use crate::domain::auth::scopes;
use crate::domain::backups::Taken;
use crate::store::{Checked, Contents};

/// A backup that is whole.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Whole {
    name: String,
    made: Timestamp,
    records: u64,
    entries: u64,
    head: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
}

impl Whole {
    pub fn new(name: String, checked: Checked, removed: Vec<String>) -> Self {
        let Checked { label, contents: Contents { records, entries } } = checked;
        Self { name, made: label.made, records, entries, head: label.head, removed }
    }
}

pub const TAKE: Action<(), Whole> = Action {
    about: About {
        name: "takeBackup",
        route: "POST /backups",
        scope: scopes::BACKUP_TAKE,
        command: "backup now",
        says: "Takes a backup now, and reads it again.",
        ..super::ABOUT
    },
    on: nothing,
    plan: work!(|domain, _, (), ()| {
        let mut effects = vec!["The store is written to a sealed file, which is read again.".to_owned()];
        effects
            .extend(domain.backups.surplus()?.iter().map(|name| format!("Then {name} is removed: it is the oldest.")));
        Ok(effects)
    }),
    run: work!(|domain, caller, (), ()| {
        let Taken { name, checked, removed } = domain.backups.take(&caller).await?;
        Ok(Whole::new(name, checked, removed))
    }),
};
