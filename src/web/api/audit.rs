//! Our own API: the audit log, entry by entry and checked as a whole.

use axum::Router;
use axum::routing::MethodFilter;
use serde::Serialize;
use serde_json::value::RawValue;

use super::clients::endpoint;
use super::{Call, Endpoint, QueryParameter, Reply, Routes, nothing, serve};
use crate::base::audit::Outcome;
use crate::base::{Error, Result, Secret, Timestamp};
use crate::proto::formats;
use crate::store::{self, ActionPattern, Filter};
use crate::web::state::App;

static SHOW: Endpoint = Endpoint {
    query: &[
        QueryParameter { name: "from", pattern: "/^[0-9]+$/", matches: |number| number.parse::<u64>().is_ok() },
        QueryParameter { name: "actor", pattern: "/^.+$/", matches: |actor| !actor.is_empty() },
        QueryParameter {
            name: "action",
            pattern: "/^(?!$)[a-z_.]*[*]?$/",
            matches: |action| action.parse::<ActionPattern>().is_ok(),
        },
        QueryParameter { name: "object", pattern: "/^.+$/", matches: |object| !object.is_empty() },
        QueryParameter {
            name: "outcome",
            pattern: "/^(done|refused|failed)$/",
            matches: |outcome| outcome_of(outcome).is_some(),
        },
        QueryParameter { name: "since", pattern: RFC_3339, matches: |text| moment(text).is_some() },
        QueryParameter { name: "until", pattern: RFC_3339, matches: |text| moment(text).is_some() },
        QueryParameter { name: "reference", pattern: "/^[0-9a-f]+$/", matches: is_hexadecimal },
    ],
    ..endpoint("showAudit", MethodFilter::GET, "/audit", "keylender:audit:read", false)
};
static VERIFY: Endpoint = endpoint("verifyAudit", MethodFilter::POST, "/audit/verify", "keylender:audit:read", false);
/// A scope of its own: who may read the log may not therefore try out passwords on it.
static REFERENCE: Endpoint = Endpoint {
    hides_input: true,
    ..endpoint("referenceSecret", MethodFilter::POST, "/audit/reference", "keylender:audit:find-secret", true)
};

/// How a time must look, for the message.
const RFC_3339: &str = "/^YYYY-MM-DDTHH:MM:SS(.mmm)?Z$/";

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/audit", serve(&SHOW, nothing, show))
        .route("/audit/verify", serve(&VERIFY, nothing, verify))
        .route("/audit/reference", serve(&REFERENCE, nothing, reference))
}

fn moment(text: &str) -> Option<Timestamp> {
    formats::date_time(text).ok()
}

fn is_hexadecimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn outcome_of(text: &str) -> Option<Outcome> {
    match text {
        "done" => Some(Outcome::Done),
        "refused" => Some(Outcome::Refused),
        "failed" => Some(Outcome::Failed),
        _ => None,
    }
}

#[derive(Serialize)]
struct Page {
    /// The very bytes that the chain is over.
    entries: Vec<Box<RawValue>>,
    /// Number of the next page's first entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    /// Number of the last entry that was looked at.
    seen: u64,
}

async fn show(app: App, call: Call, (): ()) -> Result<Reply> {
    let from = call.query("from").and_then(|number| number.parse().ok()).unwrap_or(1);
    let text = |name| call.query(name).map(str::to_owned);
    let filter = Filter {
        actor: text("actor"),
        action: call.query("action").and_then(|action| action.parse().ok()),
        object: text("object"),
        outcome: call.query("outcome").and_then(outcome_of),
        since: call.query("since").and_then(moment),
        until: call.query("until").and_then(moment),
        reference: text("reference"),
    };
    // Thousands of entries are looked at: not on a thread that answers others.
    let found = tokio::task::spawn_blocking(move || app.store.read(|tx| tx.search(from, &filter))).await;
    let store::Page { entries, next, seen } = found.map_err(|e| Error::internal("searching the audit log", e))??;
    let entries = entries.into_iter().map(|(seq, bytes)| raw(seq, bytes)).collect::<Result<_>>()?;
    Reply::json(&Page { entries, next, seen })
}

fn raw(seq: u64, bytes: Vec<u8>) -> Result<Box<RawValue>> {
    let unreadable = || Error::conflict(format!("audit entry {seq} cannot be read"));
    let text = String::from_utf8(bytes).map_err(|e| unreadable().because(e))?;
    RawValue::from_string(text).map_err(|e| unreadable().because(e))
}

#[derive(Serialize)]
struct Verified {
    entries: u64,
    head: String,
}

async fn verify(app: App, _: Call, (): ()) -> Result<Reply> {
    let store = app.store.clone();
    let verified = tokio::task::spawn_blocking(move || store.verify_audit()).await;
    let head = verified.map_err(|e| Error::internal("verifying the audit log", e))??;
    Reply::json(&Verified { entries: head.seq, head: head.hash_hex() })
}

#[derive(Serialize)]
struct Referenced {
    reference: String,
}

async fn reference(app: App, call: Call, (): ()) -> Result<Reply> {
    // By hand: what serde says of a wrong document repeats parts of it, and this one holds a secret.
    let secret = match call.payload.as_object().filter(|input| input.len() == 1).map(|input| input.get("secret")) {
        Some(Some(serde_json::Value::String(secret))) if !secret.is_empty() => Secret::new(secret.as_str()),
        _ => return Err(Error::invalid("expected {\"secret\": a text}").with_code("InputValidationError")),
    };
    Reply::json(&Referenced { reference: app.store.reference(&secret) })
}
