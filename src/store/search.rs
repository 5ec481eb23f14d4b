//! Searching the audit log: filters, and pages that are short whatever is asked for.

use std::borrow::Cow;
use std::str::FromStr;

use redb::ReadableTable;
use serde::Deserialize;

use super::fault;
use super::survey::Survey;
use crate::base::audit::{Actor, Outcome};
use crate::base::{Error, Result, Timestamp};

/// Entries of one page.
pub const PAGE_LEN_MAX: usize = 1000;
/// Entries that are looked at for one page: a filter that fits nothing must not walk a log of years in one request.
pub const SCAN_LEN_MAX: usize = 20_000;
/// Bytes that are looked at for one page, which bounds its own bytes, too: entries differ in length.
pub const SCAN_BYTES_MAX: usize = 8 << 20;

/// Which entries to show: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// An actor as it is shown (`client builds`), its name alone (`builds`), or its kind (`client`).
    pub actor: Option<String>,
    /// An action, or how it begins.
    pub action: Option<ActionPattern>,
    /// The name of the thing, in full.
    pub object: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// References of a secret that it is about, any of them; see [`super::Store::references`]. Empty: whatever it is about.
    pub references: Vec<String>,
}

/// `namespace.claim`, or with a dot or a star at its end whatever begins so: `namespace.`, `namespace.c*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionPattern {
    text: String,
    is_prefix: bool,
}

impl FromStr for ActionPattern {
    type Err = Error;

    fn from_str(pattern: &str) -> Result<Self> {
        let text = pattern.strip_suffix('*').unwrap_or(pattern);
        let is_known = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        if pattern.is_empty() || !text.chars().all(is_known) {
            return Err(Error::invalid(format!(
                "not an action such as `namespace.claim` or `namespace.*`: {pattern:?}"
            )));
        }
        Ok(Self { text: text.to_owned(), is_prefix: text.len() < pattern.len() || text.ends_with('.') })
    }
}

impl ActionPattern {
    fn fits(&self, action: &str) -> bool {
        if self.is_prefix { action.starts_with(&self.text) } else { action == self.text }
    }
}

/// What a filter looks at. An entry is shown as its bytes, so nothing else of it needs to be understood.
#[derive(Deserialize)]
struct Looked<'a> {
    time: Timestamp,
    actor: Actor,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    object: Cow<'a, str>,
    outcome: Outcome,
    #[serde(default)]
    secrets: Vec<String>,
}

impl Filter {
    fn fits(&self, entry: &Looked<'_>) -> bool {
        let is_actor = |wanted: &String| {
            let (kind, name) = entry.actor.parts();
            wanted == kind || (!name.is_empty() && wanted == name) || *wanted == entry.actor.to_string()
        };
        self.actor.as_ref().is_none_or(is_actor)
            && self.action.as_ref().is_none_or(|pattern| pattern.fits(&entry.action))
            && self.object.as_ref().is_none_or(|object| *object == entry.object)
            && self.outcome.is_none_or(|outcome| outcome == entry.outcome)
            && self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time < until)
            && (self.references.is_empty() || self.references.iter().any(|reference| entry.secrets.contains(reference)))
    }
}

/// A part of the log, oldest entry first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Entries that fit, with their numbers, as they lie in the chain.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// Where the next page begins. **Invariant:** behind where this one began. None at the end of the log.
    pub next: Option<u64>,
    /// The last entry that was looked at, or the last of the log when it ends before the page begins.
    pub seen: u64,
}

impl Survey<'_> {
    /// The entries from number `from` upwards that fit, as far as one page goes. It may be empty and still have a next
    /// one. No end is found early: a clock that was set back makes later entries older.
    pub fn search(&self, from: u64, filter: &Filter) -> Result<Page> {
        let failed = |e: redb::StorageError| fault("reading the audit log", e);
        let Some(open) = self.log()? else { return Ok(Page::default()) };
        let shows_all = *filter == Filter::default();
        let mut page = Page { seen: open.last().map_err(failed)?.map_or(0, |(seq, _)| seq.value()), ..Page::default() };
        let mut bytes_seen = 0;
        for (looked, row) in open.range(from..).map_err(failed)?.enumerate() {
            let (seq, bytes) = row.map_err(failed)?;
            let (seq, bytes) = (seq.value(), bytes.value());
            bytes_seen += bytes.len();
            let is_full = looked == SCAN_LEN_MAX || page.entries.len() == PAGE_LEN_MAX || bytes_seen > SCAN_BYTES_MAX;
            // The first one is always taken, so that the cursor moves whatever the entries are like.
            if looked > 0 && is_full {
                page.next = Some(seq);
                break;
            }
            page.seen = seq;
            if shows_all || filter.fits(&look(seq, bytes)?) {
                page.entries.push((seq, bytes.to_vec()));
            }
        }
        Ok(page)
    }

    /// The entries before number `before` that fit, newest first, at most `len` of them. `next` is what to say as `before`
    /// for older ones; none at the beginning of the log. Bounded as [`Survey::search`] is.
    pub fn search_back(&self, before: u64, len: usize, filter: &Filter) -> Result<Page> {
        let failed = |e: redb::StorageError| fault("reading the audit log", e);
        let Some(open) = self.log()? else { return Ok(Page::default()) };
        let mut page = Page { seen: before, ..Page::default() };
        let mut bytes_seen = 0;
        for (looked, row) in open.range(..before).map_err(failed)?.rev().enumerate() {
            let (seq, bytes) = row.map_err(failed)?;
            let (seq, bytes) = (seq.value(), bytes.value());
            bytes_seen += bytes.len();
            let is_full = looked == SCAN_LEN_MAX || page.entries.len() >= len || bytes_seen > SCAN_BYTES_MAX;
            if looked > 0 && is_full {
                page.next = Some(seq + 1);
                break;
            }
            page.seen = seq;
            if filter.fits(&look(seq, bytes)?) {
                page.entries.push((seq, bytes.to_vec()));
            }
        }
        Ok(page)
    }
}

fn look(seq: u64, bytes: &[u8]) -> Result<Looked<'_>> {
    serde_json::from_slice(bytes).map_err(|e| Error::conflict(format!("audit entry {seq} cannot be read")).because(e))
}
