//! What the monitor remembers from pass to pass.

use std::collections::HashMap;
use std::ops::Bound;

use super::brake::{Brake, Pass};
use super::forecast::Samples;
use super::queue_rule::QueueRule;
use super::rules::{Pattern, RULES_MAX};
use super::sight::Remembered;
use crate::base::{NamespaceName, Result, Timestamp};
use crate::store::{Survey, Table};

/// Queues that are not simply in order.
pub const QUEUES: Table<String, Remembered> = Table::plain("guard_queues");
/// When contacts were last told of connections that outlive a promise.
pub const TOLD: Table<NamespaceName, Timestamp> = Table::plain("guard_told");
/// The last pass.
pub const PASS: Table<String, Pass> = Table::plain("guard_pass");
/// The last counts of the queues that will be deleted soonest at their rate, written with each pass.
pub const GROWING: Table<String, Vec<(String, Samples)>> = Table::plain("guard_growing");
/// The brake, while it is on.
pub const BRAKE: Table<String, Brake> = Table::audited("guard_brake");
/// What operators ruled for queues.
pub const RULES: Table<Pattern, QueueRule> = Table::audited("queue_rules");

/// The key of tables with one record.
pub const ONLY: &str = "monitor";
/// All of it at one moment.
pub struct Memory {
    pub queues: HashMap<String, Remembered>,
    pub told: HashMap<NamespaceName, Timestamp>,
    /// `None` before the first pass.
    pub pass: Option<Pass>,
    /// `None` while it is off.
    pub brake: Option<Brake>,
    /// In the order of their patterns.
    pub rules: Vec<(Pattern, QueueRule)>,
}

pub fn recall(tx: &Survey<'_>) -> Result<Memory> {
    Ok(Memory {
        queues: everything(tx, &QUEUES)?,
        told: everything(tx, &TOLD)?,
        pass: tx.get(&PASS, &ONLY.into())?,
        brake: tx.get(&BRAKE, &ONLY.into())?,
        rules: queue_rules(tx)?,
    })
}

pub fn queue_rules(tx: &Survey<'_>) -> Result<Vec<(Pattern, QueueRule)>> {
    tx.scan(&RULES, Bound::Unbounded, RULES_MAX)
}

fn everything<K, V>(tx: &Survey<'_>, table: &Table<K, V>) -> Result<HashMap<K, V>>
where
    K: std::fmt::Display + std::str::FromStr + std::hash::Hash + Eq + Clone,
    V: serde::Serialize + serde::de::DeserializeOwned,
{
    let mut all = HashMap::new();
    tx.each(table, |key, value| {
        all.insert(key, value);
    })?;
    Ok(all)
}
