//! What happened to one thing: its entries of the audit log, newest first, as many as one page bears.

use std::borrow::Cow;

use askama::Template;
use askama::filters::HtmlSafe;
use serde::Deserialize;

use super::address::address;
use super::session::Session;
use super::text::{State, TimeTag, Tone, Untrusted};
use crate::base::audit::Outcome;
use crate::base::{Result, Timestamp};
use crate::domain::auth::scopes;
use crate::store::Entry;
use crate::web::state::App;

const ROWS_MAX: usize = 20;
/// Entries that are looked at for one page: some milliseconds.
const LOOK_MAX: u64 = 5000;
/// Entries read at once.
const CHUNK: u64 = 500;
/// Name of the query parameter that says before which entry a page begins.
const BEFORE: &str = "before";

/// A part of the log about one thing.
#[derive(Template)]
#[template(path = "parts/timeline.html")]
pub struct Timeline {
    root: String,
    rows: Vec<Row>,
    /// How far back it looked.
    first: u64,
    newest: Option<String>,
    older: Option<String>,
}

impl HtmlSafe for Timeline {}

struct Row {
    seq: u64,
    time: TimeTag,
    actor: Untrusted<'static>,
    action: String,
    object: Untrusted<'static>,
    reason: Untrusted<'static>,
    state: State,
}

/// As much of an entry as says what it is about.
#[derive(Deserialize)]
struct About<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
}

/// The entries about these, from where the address says; nothing for who may not read the log.
pub async fn about(app: &App, session: &Session, objects: Vec<String>) -> Result<Option<Timeline>> {
    if !session.may(scopes::AUDIT_READ) {
        return Ok(None);
    }
    let before = session.query(BEFORE).and_then(|text| text.parse::<u64>().ok());
    let now = session.now;
    let survey = app.store.survey(move |tx| {
        let mut rows = Vec::new();
        let end = tx.last_entry()?.unwrap_or(0) + 1;
        let end = before.map_or(end, |before| before.min(end));
        let stop = end.saturating_sub(LOOK_MAX).max(1);
        let mut from = end.max(1);
        while from > stop {
            let begin = from.saturating_sub(CHUNK).max(stop);
            let entries = tx.entries(begin, usize::try_from(from - begin).unwrap_or(0))?;
            for (seq, bytes) in entries.iter().rev().filter(|(seq, _)| *seq < from) {
                if rows.len() == ROWS_MAX {
                    return Ok((rows, seq + 1));
                }
                rows.extend(row(now, *seq, bytes, &objects));
            }
            from = begin;
        }
        Ok((rows, from))
    });
    let (rows, first) = survey.await?;
    let link = |before: &str| format!("{}{}", session.root, address(session, &[(BEFORE, before), ("entry", "")]));
    Ok(Some(Timeline {
        root: session.root.clone(),
        rows,
        first,
        newest: before.is_some().then(|| link("")),
        older: (first > 1).then(|| link(&first.to_string())),
    }))
}

fn row(now: Timestamp, seq: u64, bytes: &[u8], objects: &[String]) -> Option<Row> {
    let about: About<'_> = serde_json::from_slice(bytes).ok()?;
    objects.iter().find(|object| **object == about.object)?;
    let entry: Entry<'_> = serde_json::from_slice(bytes).ok()?;
    let (tone, word) = match entry.outcome {
        Outcome::Done => (Tone::Well, "done"),
        Outcome::Refused => (Tone::Warning, "refused"),
        Outcome::Failed => (Tone::Unwell, "failed"),
    };
    let detail = |name: &str| entry.details.get(name).and_then(|value| value.as_str());
    Some(Row {
        seq,
        time: TimeTag { at: entry.time, now },
        actor: Untrusted::of(entry.actor.to_string()),
        action: entry.action.to_string(),
        object: Untrusted::of(entry.object.to_string()),
        reason: Untrusted::of(detail("reason").or_else(|| detail("address")).unwrap_or_default().to_owned()),
        state: State { tone, word: word.into() },
    })
}
