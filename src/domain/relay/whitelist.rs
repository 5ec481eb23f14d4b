//! The whitelist: whose heartbeats the platform's scheduler takes. Each line is a record; the file is made of all of them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Relay;
use crate::base::audit::Action;
use crate::base::text::pluralize;
use crate::base::{Error, Queueloc, Result, Timestamp};
use crate::domain::auth::Caller;
use crate::proto::whitelist::{Whitelist, is_pattern};
use crate::store::{Survey, Table, WriteTx};

pub(super) const LINES: Table<Line, Listed> = Table::audited("agents_whitelist");
/// Longest line: the name of a queue has 247 bytes at most, and a pattern is for people to read.
pub const LINE_LEN_MAX: usize = 4096;
/// Lines at once: a fleet of ten thousand, each by its name, some times over. The scheduler reads all for each heartbeat.
const LINES_MAX: usize = 50_000;
/// Lines that an audit entry, or a sentence, names.
const NAMED_MAX: usize = 20;

/// A line as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line(pub(super) String);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Line {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_line = !text.is_empty() && text.len() <= LINE_LEN_MAX && !text.contains(char::is_control);
        if is_line { Ok(Self(text.to_owned())) } else { Err(Error::invalid("not a line of a whitelist")) }
    }
}

/// Since when a line is there, and by whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Listed {
    since: Timestamp,
    by: String,
}

/// A line, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhitelistLine {
    pub line: String,
    pub is_pattern: bool,
    pub since: Timestamp,
    /// Who added it, as the audit log names them.
    pub by: String,
}

/// Lines that come and go together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub add: Vec<String>,
    pub remove: Vec<String>,
}

impl Relay {
    /// The whole list, and its lines with names before patterns, as they stand in the file.
    pub async fn whitelist(&self) -> Result<(Whitelist, Vec<WhitelistLine>)> {
        // Patterns are compiled where nobody waits for the worker.
        let survey = self.store.survey(|tx| {
            let lines = read(tx)?;
            Ok((list(lines.iter().map(|line| line.line.as_str()))?, lines))
        });
        survey.await
    }

    /// Lets an agent in by its name, in the transaction of what it is let in by; false when the line is there already. The
    /// caller's audit entry covers it.
    ///
    /// # Errors
    /// `Conflict` when the list is full.
    pub fn admit(&self, tx: &mut WriteTx<'_, '_>, queueloc: &Queueloc, by: String) -> Result<bool> {
        let line: Line = queueloc.as_str().parse()?;
        if tx.get(&LINES, &line)?.is_some() {
            return Ok(false);
        }
        if tx.count(&LINES)? >= LINES_MAX as u64 {
            return Err(full());
        }
        tx.put(&LINES, &line, &Listed { since: tx.now(), by })?;
        Ok(true)
    }

    /// Takes the line with the name of an agent away, if it is there. Patterns may let it in still. The caller's audit entry
    /// covers it.
    pub fn strike(&self, tx: &mut WriteTx<'_, '_>, queueloc: &Queueloc) {
        tx.delete(&LINES, &Line(queueloc.to_string()));
    }

    /// What would have to change for the list to be that of this file.
    ///
    /// # Errors
    /// `Invalid` with every mistake in the file.
    pub async fn whitelist_change(&self, file: &str) -> Result<Change> {
        let file = file.to_owned();
        let survey = self.store.survey(move |tx| {
            let wanted: BTreeSet<String> = parse(&file)?.to_file().lines().map(str::to_owned).collect();
            let present: BTreeSet<String> = read(tx)?.into_iter().map(|line| line.line).collect();
            Ok(Change {
                add: wanted.difference(&present).cloned().collect(),
                remove: present.difference(&wanted).cloned().collect(),
            })
        });
        survey.await
    }

    /// What a change would do, a sentence each, with what is odd about its lines. It fails as that would.
    pub async fn plan_whitelist(&self, change: &Change) -> Result<Vec<String>> {
        let (after, _) = self.changed(change).await?;
        let mut effects = Vec::new();
        for (lines, what) in [(&change.add, "are let in from now on"), (&change.remove, "are let in no more by them")] {
            if !lines.is_empty() {
                let count = pluralize(lines.len(), "line", "lines");
                effects.push(format!("{count}, whose agents {what}: {}.", named(lines)));
            }
        }
        if effects.is_empty() {
            effects.push("The list is as it is wished.".to_owned());
        }
        // Those of other lines are known already.
        let odd = after.warnings().iter().filter_map(|warning| {
            let line = after.lines().iter().find(|line| line.number == warning.line)?;
            let what = warning.to_string();
            let what = what.split_once(": ").map_or(what.as_str(), |(_, what)| what);
            change.add.contains(&line.text).then(|| format!("Of `{}`: {what}", line.text))
        });
        effects.extend(odd.take(NAMED_MAX));
        effects.push("A scheduler heeds it when its file is written anew.".to_owned());
        Ok(effects)
    }

    /// Adds and removes lines. Lines that are there already, and those that are not, change nothing.
    ///
    /// # Errors
    /// `Invalid` with every mistake: then nothing changes. `NotFound` when a line that is to be removed is not there.
    pub async fn change_whitelist(&self, change: Change, caller: &Caller) -> Result<()> {
        let (_, Change { add, remove }) = self.changed(&change).await?;
        if add.is_empty() && remove.is_empty() {
            return Ok(());
        }
        let caller = caller.clone();
        let write = move |tx: &mut WriteTx<'_, '_>| {
            let count = |lines: &[String]| u64::try_from(lines.len()).unwrap_or(u64::MAX);
            let first = |lines: &[String]| lines.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>();
            let note = caller.note(Action::AgentWhitelist, "whitelist");
            let note = note.with("added", count(&add)).with("removed", count(&remove));
            tx.audit(note.with("lines_added", first(&add)).with("lines_removed", first(&remove)));
            remove.into_iter().for_each(|line| tx.delete(&LINES, &Line(line)));
            let listed = Listed { since: tx.now(), by: caller.actor().to_string() };
            add.into_iter().try_for_each(|line| tx.put(&LINES, &Line(line), &listed))
        };
        self.store.write(write).await
    }

    /// The list after a change, and what of the change is one.
    async fn changed(&self, change: &Change) -> Result<(Whitelist, Change)> {
        let change = change.clone();
        let survey = self.store.survey(move |tx| {
            let mut lines: BTreeSet<String> = read(tx)?.into_iter().map(|line| line.line).collect();
            let mut done = Change::default();
            for line in change.remove {
                if !lines.remove(&line) {
                    return Err(Error::not_found(format!("the whitelist has no line `{line}`")));
                }
                done.remove.push(line);
            }
            for line in change.add {
                line.parse::<Line>().map_err(|_| {
                    Error::invalid(format!("a line has 1 to {LINE_LEN_MAX} bytes, and no control character"))
                })?;
                if lines.insert(line.clone()) {
                    done.add.push(line);
                }
            }
            if lines.len() > LINES_MAX {
                return Err(full());
            }
            Ok((list(lines.iter().map(String::as_str))?, done))
        });
        survey.await
    }
}

fn full() -> Error {
    Error::conflict(format!("a whitelist has at most {LINES_MAX} lines: write a pattern"))
}

/// All lines, names before patterns.
fn read(tx: &Survey<'_>) -> Result<Vec<WhitelistLine>> {
    let mut lines = Vec::new();
    tx.each(&LINES, |Line(line), Listed { since, by }| {
        lines.push(WhitelistLine { is_pattern: is_pattern(&line), line, since, by });
    })?;
    lines.sort_by(|one, other| (one.is_pattern, &one.line).cmp(&(other.is_pattern, &other.line)));
    Ok(lines)
}

/// The list that these lines are.
pub(super) fn list<'l>(lines: impl Iterator<Item = &'l str>) -> Result<Whitelist> {
    parse(&lines.flat_map(|line| [line, "\n"]).collect::<String>())
}

fn parse(file: &str) -> Result<Whitelist> {
    Whitelist::parse(file.as_bytes()).map_err(|mistakes| {
        let lines: Vec<&str> = file.lines().collect();
        let named = mistakes.iter().take(NAMED_MAX).map(|mistake| {
            let line = lines.get(mistake.line.saturating_sub(1)).copied().unwrap_or_default();
            format!("{mistake} (`{line}`)")
        });
        let more = mistakes.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
        let named = named.collect::<Vec<_>>().join("\n");
        Error::invalid(format!("the scheduler would read no further than to this:\n{named}{more}"))
    })
}

fn named(lines: &[String]) -> String {
    let mut named: Vec<String> = lines.iter().take(NAMED_MAX).map(|line| format!("`{line}`")).collect();
    let more = lines.len().saturating_sub(NAMED_MAX);
    named.extend((more > 0).then(|| format!("and {more} more")));
    named.join(", ")
}
