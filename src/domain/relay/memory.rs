//! What the store remembers of a relay: what was applied in vhosts, in which form, and what of it is ours to remove.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::resource::ResourceId;
use crate::base::Result;
use crate::store::{Store, Table};

pub(super) const RESOURCES: Table<ResourceId, Remembered> = Table::audited("relay_resources");

/// Something that was as it is declared when it was applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// The relay that declares it.
    pub relay: String,
    /// Whether it was made here.
    ///
    /// **Invariant:** nothing else is ever removed.
    pub is_ours: bool,
    /// How it was declared. The broker drifts from that; what is declared otherwise by now waits to be applied.
    pub declared: Map<String, Value>,
    /// Whether the audit log says that it is about to be put right, and not yet how that ended. A loop that tries at every
    /// pass says so once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_attempted: bool,
}

/// All of one relay.
pub(super) type Memory = BTreeMap<ResourceId, Remembered>;

/// What is remembered of the relay of this name.
pub(super) async fn read(store: &Store, relay: &str) -> Result<Memory> {
    let relay = relay.to_owned();
    let survey = store.survey(move |tx| {
        let mut memory = Memory::new();
        tx.each(&RESOURCES, |id, remembered| {
            if remembered.relay == relay {
                memory.insert(id, remembered);
            }
        })?;
        Ok(memory)
    });
    survey.await
}
