//! Whom the whitelist admits, asked for each heartbeat: names are looked up, and what patterns say is remembered. Names come and
//! go with each enrolment; patterns hardly ever change, and are compiled only when they do.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use super::Relay;
use super::whitelist::{LINES, Line, list};
use crate::base::{Queueloc, Result};
use crate::proto::whitelist::{Whitelist, is_pattern};
use crate::store::{ReadTx, Survey};

/// Agents of which it is remembered what the patterns say: more than a fleet has. Whoever sends ever new names is asked anew.
const REMEMBERED_MAX: usize = 100_000;
/// What patterns begin with, so that they lie together in the table.
const PATTERNS: &str = "re:";
/// Patterns that are read at once.
const CHUNK: usize = 500;

/// The patterns of the list as they were at a moment.
pub struct Admissions {
    lines: Vec<String>,
    patterns: Whitelist,
    remembered: Mutex<HashMap<String, bool>>,
}

impl Relay {
    /// Whom the list admits now, as far as patterns say.
    pub async fn admissions(&self) -> Result<Arc<Admissions>> {
        let known = self.patterns.clone();
        let made = self.admissions.get(&self.store, &LINES, move |tx| {
            let lines = pattern_lines(tx)?;
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(same) = known.as_ref().filter(|known| known.lines == lines) {
                return Ok(same.clone());
            }
            let patterns = list(lines.iter().map(String::as_str))?;
            let made = Arc::new(Admissions { lines, patterns, remembered: Mutex::default() });
            *known = Some(made.clone());
            Ok(made)
        });
        Ok(Arc::clone(&*made.await?))
    }
}

fn pattern_lines(tx: &Survey<'_>) -> Result<Vec<String>> {
    let (mut lines, mut from) = (Vec::new(), Line(PATTERNS.to_owned()));
    loop {
        // None is just that, so that nothing is left out.
        let chunk = tx.scan(&LINES, Bound::Excluded(&from), CHUNK)?;
        let Some((last, _)) = chunk.last() else { return Ok(lines) };
        let is_over = chunk.len() < CHUNK || !last.0.starts_with(PATTERNS);
        from = last.clone();
        lines.extend(chunk.into_iter().map(|(Line(line), _)| line).filter(|line| is_pattern(line)));
        if is_over {
            return Ok(lines);
        }
    }
}

impl Admissions {
    /// Whether the scheduler takes heartbeats from there.
    pub fn admits(&self, tx: &ReadTx<'_>, queueloc: &Queueloc) -> Result<bool> {
        if tx.get(&LINES, &Line(queueloc.to_string()))?.is_some() {
            return Ok(true);
        }
        Ok(self.fits_a_pattern(queueloc.as_str()))
    }

    fn fits_a_pattern(&self, queueloc: &str) -> bool {
        if self.lines.is_empty() {
            return false;
        }
        let remembered = || self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fits) = remembered().get(queueloc) {
            return *fits;
        }
        let fits = self.patterns.admits(queueloc).is_some();
        let mut remembered = remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(queueloc.to_owned(), fits);
        fits
    }
}
