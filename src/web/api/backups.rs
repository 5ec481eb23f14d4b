//! Our own API: backups.

use axum::routing::MethodFilter;
use schemars::JsonSchema;
use serde::Serialize;

use super::clients::endpoint;
use super::{Call, Endpoint, Params, Reply, Routes, detached, nothing};
use crate::base::{Result, Timestamp};
use crate::domain::auth::scopes;
use crate::domain::backups::{Fate, Taken};
use crate::store::{Checked, Contents};
use crate::web::state::App;

static LIST: Endpoint = endpoint(
    "listBackups",
    MethodFilter::GET,
    "/backups",
    scopes::BACKUP_LIST,
    "Lists backups, and what is known of each.",
)
.answers::<List>();
static TAKE: Endpoint = endpoint(
    "takeBackup",
    MethodFilter::POST,
    "/backups",
    scopes::BACKUP_TAKE,
    "Takes a backup now, and reads it again.",
)
.answers::<Whole>();
static VERIFY: Endpoint = endpoint(
    "verifyBackup",
    MethodFilter::POST,
    "/backups/<backup>/verify",
    scopes::BACKUP_VERIFY,
    "Reads a backup again, whole.",
)
.answers::<Whole>();
static VERIFY_NEWEST: Endpoint = endpoint(
    "verifyNewestBackup",
    MethodFilter::POST,
    "/backups/verify",
    scopes::BACKUP_VERIFY,
    "Reads the newest backup again, whole.",
)
.answers::<Whole>();

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, nothing, list)
        .serve(&TAKE, nothing, take)
        .serve(&VERIFY_NEWEST, newest, verify)
        .serve(&VERIFY, name, verify)
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn newest(_: &App, _: &Params) -> Result<Option<String>> {
    Ok(None)
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn name(_: &App, params: &Params) -> Result<Option<String>> {
    Ok(params.get("backup").cloned())
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Backup {
    name: String,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_entry: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drilled: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct List {
    backups: Vec<Backup>,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    let backups = app.backups.list().await?.into_iter().map(|(listed, Fate { verified, drilled, problem })| {
        let label = listed.label.as_ref();
        Backup {
            name: listed.name.clone(),
            bytes: listed.len,
            made: label.map(|label| label.made),
            last_entry: label.map(|label| label.last_entry),
            head: label.map(|label| label.head.clone()),
            key_id: label.map(|label| label.key_id.clone()),
            verified,
            drilled,
            problem: problem.or_else(|| label.is_none().then(|| "its label cannot be read".to_owned())),
        }
    });
    Reply::json(&List { backups: backups.collect() })
}

/// A backup that is whole.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Whole {
    name: String,
    made: Timestamp,
    records: u64,
    entries: u64,
    head: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
}

impl Whole {
    fn new(name: String, checked: Checked, removed: Vec<String>) -> Self {
        let Checked { label, contents: Contents { records, entries } } = checked;
        Self { name, made: label.made, records, entries, head: label.head, removed }
    }
}

async fn take(app: App, call: Call, (): ()) -> Result<Reply> {
    let backups = app.backups.clone();
    let taken = detached(&app.tasks, async move { backups.take(&call.caller).await }).await?;
    let Taken { name, checked, removed } = taken;
    Reply::json(&Whole::new(name, checked, removed))
}

async fn verify(app: App, call: Call, name: Option<String>) -> Result<Reply> {
    let backups = app.backups.clone();
    let (name, checked) = detached(&app.tasks, async move { backups.verify(&call.caller, name).await }).await?;
    Reply::json(&Whole::new(name, checked, Vec::new()))
}
