//! Our own API: the audit log, entry by entry and checked as a whole.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Call, Endpoint, QueryParameter, Reply, Routes, endpoint, nothing};
use crate::base::audit::{Action, Outcome};
use crate::base::{Error, Result, Secret};
use crate::domain::actions::audit::PRUNE;
use crate::domain::auth::scopes;
use crate::store::{self, ActionPattern, Checkpoint, Filter};
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
        QueryParameter::time("since"),
        QueryParameter::time("until"),
        QueryParameter { name: "reference", pattern: "/^[0-9a-f]+(,[0-9a-f]+)*$/", matches: are_references },
    ],
    ..endpoint(
        "showAudit",
        "/audit",
        scopes::AUDIT_READ,
        "Shows entries of the audit log that fit a filter, a page at a time.",
    )
    .command("audit show")
    .answers::<Page>()
};
static VERIFY: Endpoint =
    endpoint("verifyAudit", "/audit/verify", scopes::AUDIT_READ, "Walks the whole chain of the audit log.")
        .posted()
        .command("audit verify")
        .answers::<Verified>();
static CHECKPOINT: Endpoint = Endpoint {
    query: &[QueryParameter { name: "at", pattern: "/^[0-9]+$/", matches: |number| number.parse::<u64>().is_ok() }],
    ..endpoint(
        "auditCheckpoint",
        "/audit/checkpoint",
        scopes::AUDIT_READ,
        "Signs the head of the audit chain, or an earlier entry.",
    )
    .command("audit verify")
    .answers::<Checkpoints>()
};
/// A scope of its own: who may read the log may not therefore try out passwords on it.
static REFERENCE: Endpoint = Endpoint {
    hides_input: true,
    ..endpoint(
        "referenceSecret",
        "/audit/reference",
        scopes::AUDIT_FIND_SECRET,
        "Says by which references the log knows a secret.",
    )
    .posted()
    .takes_as(secret_schema)
    .command("audit find-secret")
    .answers::<Referenced>()
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&SHOW, nothing, show)
        .serve(&VERIFY, nothing, verify)
        .serve(&CHECKPOINT, nothing, checkpoint)
        .act(&PRUNE)
        .serve(&REFERENCE, nothing, reference)
}

fn are_references(text: &str) -> bool {
    let is_reference =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    text.split(',').all(is_reference)
}

fn outcome_of(text: &str) -> Option<Outcome> {
    match text {
        "done" => Some(Outcome::Done),
        "refused" => Some(Outcome::Refused),
        "failed" => Some(Outcome::Failed),
        _ => None,
    }
}

#[derive(Serialize, JsonSchema)]
struct Page {
    /// The very bytes that the chain is over.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
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
        since: call.time("since"),
        until: call.time("until"),
        references: text("reference").map(|given| given.split(',').map(str::to_owned).collect()).unwrap_or_default(),
    };
    let store::Page { entries, next, seen } = app.store.survey(move |tx| tx.search(from, &filter)).await?;
    let entries = entries.into_iter().map(|(seq, bytes)| raw(seq, bytes)).collect::<Result<_>>()?;
    Reply::json(&Page { entries, next, seen })
}

fn raw(seq: u64, bytes: Vec<u8>) -> Result<Box<RawValue>> {
    let unreadable = || Error::conflict(format!("audit entry {seq} cannot be read"));
    let text = String::from_utf8(bytes).map_err(|e| unreadable().because(e))?;
    RawValue::from_string(text).map_err(|e| unreadable().because(e))
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Verified {
    /// Entries in the log.
    entries: u64,
    /// Number of the last one; more than there are when the beginning was pruned.
    last: u64,
    head: String,
    /// The public key that signs checkpoints.
    signing_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<Checkpoint>,
}

async fn verify(app: App, _: Call, (): ()) -> Result<Reply> {
    let (head, base) = app.store.survey(|tx| Ok((tx.verify_audit()?, tx.audit_base()?))).await?;
    let entries = head.seq - base.as_ref().map_or(0, |base| base.seq);
    Reply::json(&Verified {
        entries,
        last: head.seq,
        head: head.hash_hex(),
        signing_key: app.store.signing_key(),
        base,
    })
}

/// A checkpoint, and the one that stands for what was pruned: the last and the first line of an export.
#[derive(Serialize, JsonSchema)]
struct Checkpoints {
    checkpoint: Checkpoint,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<Checkpoint>,
}

async fn checkpoint(app: App, call: Call, (): ()) -> Result<Reply> {
    let seq = call.query("at").and_then(|number| number.parse().ok());
    Reply::json(&Checkpoints { checkpoint: app.store.checkpoint(seq)?, base: app.store.read(|tx| tx.audit_base())? })
}

fn secret_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { "secret": { "type": "string", "minLength": 1, "writeOnly": true } },
        "required": ["secret"],
        "additionalProperties": false,
    })
}

#[derive(Serialize, JsonSchema)]
struct Referenced {
    reference: String,
}

async fn reference(app: App, call: Call, (): ()) -> Result<Reply> {
    // By hand: what serde says of a wrong document repeats parts of it, and this one holds a secret.
    let secret = match call.payload.as_object().filter(|input| input.len() == 1).map(|input| input.get("secret")) {
        Some(Some(serde_json::Value::String(secret))) if !secret.is_empty() => Secret::new(secret.as_str()),
        _ => return Err(Error::invalid("expected {\"secret\": a text}").with_code("InputValidationError")),
    };
    let reference = app.store.references(&secret).join(",");
    // Who may ask can try passwords out, so it is written down who asked. The reference stands in a detail, not among
    // the secrets of the entry: else the question would be an answer to the next one.
    let note = call.caller.note(Action::AuditFindSecret, "audit").with("reference", reference.as_str());
    app.store.note(note).await?;
    Reply::json(&Referenced { reference })
}
