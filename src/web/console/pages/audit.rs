//! The audit log: entries by filter, one in full, the state of the chain, and a look for a secret.

use askama::Template;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::base::audit::Outcome;
use crate::base::invisible::is_invisible;
use crate::base::text::url_encoded;
use crate::base::{Error, Result, Secret, Timestamp};
use crate::domain::auth::scopes;
use crate::proto::formats;
use crate::store::{Checkpoint, Entry, Filter, Page};
use crate::web::console::kit::address::address;
use crate::web::console::kit::form::{CheckedForm, Nothing, TOKEN_FIELD};
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::{Session, see_other};
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::state::App;

const PAGE_LEN: usize = 100;
/// Entries in one export of what is shown. `keylender audit export` has no such limit.
const EXPORT_LEN: usize = 10_000;

#[derive(Template)]
#[template(path = "console/audit.html")]
struct Log {
    frame: Frame,
    token_field: &'static str,
    form_token: String,
    fields: Vec<Field>,
    outcome: String,
    reference: String,
    rows: Vec<Row>,
    older: Option<String>,
    newest: Option<String>,
    export: String,
    may_find: bool,
    /// Where the log ended: what is on paper can be compared with a log later.
    head: Option<Checkpoint>,
    equivalents: Equivalents,
}

struct Field {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    value: String,
}

struct Row {
    seq: u64,
    time: TimeTag,
    actor: Untrusted<'static>,
    action: Untrusted<'static>,
    object: Untrusted<'static>,
    outcome: State,
    reason: Untrusted<'static>,
}

#[derive(Template)]
#[template(path = "console/entry.html")]
struct OneEntry {
    frame: Frame,
    row: Row,
    request: Option<Untrusted<'static>>,
    details: Vec<(Untrusted<'static>, Untrusted<'static>)>,
    secrets: Vec<String>,
    prev: String,
    raw: String,
    before: Option<u64>,
    after: Option<u64>,
}

#[derive(Template)]
#[template(path = "console/verified.html")]
struct VerifiedPage {
    frame: Frame,
    problem: Option<Untrusted<'static>>,
    entries: u64,
    last: u64,
    head: String,
    signing_key: String,
}

#[derive(Template)]
#[template(path = "console/secret.html")]
struct SecretPage {
    frame: Frame,
    token_field: &'static str,
    form_token: String,
}

fn outcome_of(text: &str) -> Option<Outcome> {
    match text {
        "done" => Some(Outcome::Done),
        "refused" => Some(Outcome::Refused),
        "failed" => Some(Outcome::Failed),
        _ => None,
    }
}

/// A time of the query.
pub(super) fn time_of(session: &Session, name: &str) -> Result<Option<Timestamp>> {
    let Some(text) = session.query(name) else { return Ok(None) };
    formats::moment(text).map(Some)
}

fn filter(session: &Session) -> Result<Filter> {
    let text = |name| session.query(name).map(str::to_owned);
    Ok(Filter {
        actor: text("actor"),
        action: session.query("action").map(str::parse).transpose()?,
        object: text("object"),
        outcome: session.query("outcome").and_then(outcome_of),
        since: time_of(session, "since")?,
        until: time_of(session, "until")?,
        references: text("reference").map(|given| given.split(',').map(str::to_owned).collect()).unwrap_or_default(),
    })
}

/// The entries that fit, newest first.
pub async fn list(app: App, session: Session) -> Result<Response> {
    let filter = filter(&session)?;
    let before = session.query("before").and_then(|seq| seq.parse().ok()).unwrap_or(u64::MAX);
    let is_export = session.query("export") == Some("jsonl");
    let len = if is_export { EXPORT_LEN } else { PAGE_LEN };
    let found = app.store.survey(move |tx| tx.search_back(before, len, &filter)).await?;
    if is_export {
        return Ok(export(found));
    }
    let field = |name, label, hint| {
        let value = session.query(name).unwrap_or_default().to_owned();
        Field { name, label, hint, value }
    };
    let rows = found.entries.iter().map(|(_, bytes)| Ok(row(&entry(bytes)?, session.now))).collect::<Result<_>>()?;
    let here = |changes: &[(&str, &str)]| format!("{}{}", session.root, address(&session, changes));
    Ok(page(&Log {
        frame: Frame::of(&app, &session, "Audit log").await,
        token_field: TOKEN_FIELD,
        form_token: session.form_token().expose().to_owned(),
        fields: vec![
            field("actor", "Actor", "client builds, builds or client"),
            field("action", "Action", "namespace.claim or namespace."),
            field("object", "Object", "its name in full"),
            field("since", "Since", "2026-11-20"),
            field("until", "Before", "2026-11-20T14:00:00Z"),
        ],
        outcome: session.query("outcome").unwrap_or_default().to_owned(),
        reference: session.query("reference").unwrap_or_default().to_owned(),
        rows,
        older: found.next.map(|next| here(&[("before", &next.to_string()), ("entry", "")])),
        newest: session.query("before").map(|_| here(&[("before", ""), ("entry", "")])),
        export: here(&[("export", "jsonl"), ("entry", "")]),
        may_find: session.may(scopes::AUDIT_FIND_SECRET),
        // A log whose end cannot be read has pages nevertheless.
        head: app.store.checkpoint(None).ok(),
        equivalents: Equivalents::of(&session, "GET", "/audit", None, &["audit", "show"]),
    }))
}

/// Lines of the chain as they are, oldest first.
fn export(found: Page) -> Response {
    let lines = found.entries.into_iter().rev().flat_map(|(_, bytes)| bytes.into_iter().chain(*b"\n"));
    let lines: Vec<u8> = lines.collect();
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"keylender-audit.jsonl\""),
    ];
    (headers, lines).into_response()
}

fn entry(bytes: &[u8]) -> Result<Entry<'_>> {
    serde_json::from_slice(bytes).map_err(|e| Error::conflict("an audit entry cannot be read").because(e))
}

fn row(entry: &Entry<'_>, now: Timestamp) -> Row {
    let (tone, word) = match entry.outcome {
        Outcome::Done => (Tone::Well, "done"),
        Outcome::Refused => (Tone::Warning, "refused"),
        Outcome::Failed => (Tone::Unwell, "failed"),
    };
    let reason = entry.details.get("reason").and_then(Value::as_str).unwrap_or_default();
    Row {
        seq: entry.seq,
        time: TimeTag { at: entry.time, now },
        actor: Untrusted::of(entry.actor.to_string()),
        action: Untrusted::of(entry.action.to_string()),
        object: Untrusted::of(entry.object.to_string()),
        outcome: State { tone, word: word.into() },
        reason: Untrusted::of(reason.to_owned()),
    }
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let nothing = || Error::not_found("There is no such audit entry: it may have been pruned.");
    let seq: u64 = session.param("seq").parse().map_err(|_| nothing())?;
    let (found, last) = app.store.read(|tx| Ok((tx.entry(seq)?, tx.last_entry()?)))?;
    let bytes = found.ok_or_else(nothing)?;
    let entry = entry(&bytes)?;
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let raw: Option<Value> = serde_json::from_slice(&bytes).ok();
    Ok(page(&OneEntry {
        frame: Frame::of(&app, &session, format!("Audit entry {seq}")).await,
        row: row(&entry, session.now),
        request: entry.request_id.as_ref().map(|id| Untrusted::of(id.to_string())),
        details: entry
            .details
            .iter()
            .map(|(name, value)| (Untrusted::of(name.clone()), Untrusted::of(text(value))))
            .collect(),
        secrets: entry.secrets.clone(),
        prev: entry.prev.to_string(),
        raw: raw.and_then(|raw| serde_json::to_string_pretty(&raw).ok()).map(visible).unwrap_or_default(),
        before: (seq > 1).then(|| seq - 1),
        after: last.filter(|last| *last > seq).map(|_| seq + 1),
    }))
}

/// What cannot be seen is escaped as JSON escapes it; its lines are ours.
fn visible(json: String) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_invisible(c) && c != '\n' {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")))
        } else {
            text.push(c)
        }
    }
    text
}

pub async fn verify(app: App, session: Session, _: CheckedForm<Nothing>) -> Result<Response> {
    let walked = app.store.survey(|tx| Ok((tx.verify_audit()?, tx.audit_base()?))).await;
    let frame = Frame::of(&app, &session, "State of the audit log").await;
    let signing_key = app.store.signing_key();
    Ok(page(&match walked {
        Ok((head, base)) => {
            let entries = head.seq - base.map_or(0, |base| base.seq);
            VerifiedPage { frame, problem: None, entries, last: head.seq, head: head.hash_hex(), signing_key }
        }
        Err(error) => {
            let problem = Some(Untrusted::of(error.message().to_owned()));
            VerifiedPage { frame, problem, entries: 0, last: 0, head: String::new(), signing_key }
        }
    }))
}

/// A form for a secret: it never stands in an address.
pub async fn ask_secret(app: App, session: Session) -> Result<Response> {
    let form_token = session.form_token().expose().to_owned();
    let frame = Frame::of(&app, &session, "Find a secret").await;
    Ok(page(&SecretPage { frame, token_field: TOKEN_FIELD, form_token }))
}

/// A secret to look for.
#[derive(Deserialize)]
pub struct Wanted {
    secret: String,
}

/// Goes on to the entries that are about it, by references that say nothing of it.
pub async fn find_secret(app: App, session: Session, form: CheckedForm<Wanted>) -> Result<Response> {
    if form.input.secret.is_empty() {
        return Err(Error::invalid("type the secret to look for"));
    }
    let references = app.store.references(&Secret::new(form.input.secret)).join(",");
    Ok(see_other(&format!("{}/audit?reference={}", session.root, url_encoded(&references))))
}
