//! Our own API: the audit log, entry by entry and checked as a whole.

use axum::Router;
use axum::routing::MethodFilter;
use serde::Serialize;
use serde_json::value::RawValue;

use super::clients::endpoint;
use super::{Call, Endpoint, QueryParameter, Reply, Routes, nothing, serve};
use crate::base::{Error, Result};
use crate::web::state::App;

static SHOW: Endpoint = Endpoint {
    query: &[QueryParameter { name: "from", pattern: "/^[0-9]+$/", matches: |number| number.parse::<u64>().is_ok() }],
    ..endpoint("showAudit", MethodFilter::GET, "/audit", "keylender:audit:read", false)
};
static VERIFY: Endpoint = endpoint("verifyAudit", MethodFilter::POST, "/audit/verify", "keylender:audit:read", false);

/// Entries of one page.
const PAGE_LEN_MAX: usize = 1000;

pub(super) fn routes() -> Routes {
    Router::new().route("/audit", serve(&SHOW, nothing, show)).route("/audit/verify", serve(&VERIFY, nothing, verify))
}

#[derive(Serialize)]
struct Page {
    /// The very bytes that the chain is over.
    entries: Vec<Box<RawValue>>,
    /// Number of the next page's first entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

async fn show(app: App, call: Call, (): ()) -> Result<Reply> {
    let from = call.query("from").and_then(|number| number.parse().ok()).unwrap_or(1);
    let entries = app.store.read(|tx| tx.entries(from, PAGE_LEN_MAX))?;
    let next = entries.last().filter(|_| entries.len() == PAGE_LEN_MAX).map(|(seq, _)| seq + 1);
    let entries = entries.into_iter().map(|(_, bytes)| raw(bytes)).collect::<Result<_>>()?;
    Reply::json(&Page { entries, next })
}

fn raw(bytes: Vec<u8>) -> Result<Box<RawValue>> {
    let text = String::from_utf8(bytes).map_err(|e| Error::internal("reading an audit entry", e))?;
    RawValue::from_string(text).map_err(|e| Error::internal("reading an audit entry", e))
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
