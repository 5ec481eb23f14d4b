//! Whom the whitelist admits, asked for each heartbeat: names are looked up, and what patterns say is remembered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::Relay;
use super::whitelist::{LINES, WhitelistLine, list, read};
use crate::base::Result;
use crate::proto::whitelist::Whitelist;

/// Agents of which it is remembered what the patterns say: more than a fleet has. Whoever sends ever new names is asked anew.
const REMEMBERED_MAX: usize = 100_000;

/// The list as it was at a moment.
pub struct Admissions {
    names: HashSet<String>,
    patterns: Whitelist,
    remembered: Mutex<HashMap<String, bool>>,
}

impl Relay {
    /// Whom the list admits now.
    pub async fn admissions(&self) -> Result<Arc<Admissions>> {
        self.admissions.get(&self.store, &LINES, |tx| Admissions::of(read(tx)?)).await
    }
}

impl Admissions {
    fn of(lines: Vec<WhitelistLine>) -> Result<Self> {
        let (patterns, names): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.is_pattern);
        let patterns = list(patterns.iter().map(|line| line.line.as_str()))?;
        Ok(Self { names: names.into_iter().map(|line| line.line).collect(), patterns, remembered: Mutex::default() })
    }

    /// Whether the scheduler takes heartbeats from there.
    pub fn admits(&self, queueloc: &str) -> bool {
        if self.names.contains(queueloc) {
            return true;
        }
        if self.patterns.lines().is_empty() {
            return false;
        }
        let remembered = || self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(admits) = remembered().get(queueloc) {
            return *admits;
        }
        let admits = self.patterns.admits(queueloc).is_some();
        let mut remembered = remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(queueloc.to_owned(), admits);
        admits
    }
}
