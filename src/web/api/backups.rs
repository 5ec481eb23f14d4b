//! Our own API: backups.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Params, Reply, Routes, detached, endpoint, nothing};
use crate::base::{Result, Timestamp};
use crate::domain::actions::backups::{TAKE, Whole};
use crate::domain::auth::scopes;
use crate::domain::backups::Fate;
use crate::web::state::App;

static LIST: Endpoint =
    endpoint("listBackups", "/backups", scopes::BACKUP_LIST, "Lists backups, and what is known of each.")
        .command("backup list")
        .answers::<List>();
static VERIFY: Endpoint =
    endpoint("verifyBackup", "/backups/<backup>/verify", scopes::BACKUP_VERIFY, "Reads a backup again, whole.")
        .posted()
        .command("backup verify <backup>")
        .answers::<Whole>();
static VERIFY_NEWEST: Endpoint =
    endpoint("verifyNewestBackup", "/backups/verify", scopes::BACKUP_VERIFY, "Reads the newest backup again, whole.")
        .posted()
        .command("backup verify")
        .answers::<Whole>();

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, nothing, list)
        .act(&TAKE)
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

async fn verify(app: App, call: Call, name: Option<String>) -> Result<Reply> {
    let backups = app.backups.clone();
    let (name, checked) = detached(&app.tasks, async move { backups.verify(&call.caller, name).await }).await?;
    Reply::json(&Whole::new(name, checked, Vec::new()))
}
