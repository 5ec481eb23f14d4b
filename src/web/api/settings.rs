//! Our own API: the settings in force, secrets masked, and the last lines of the log.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing};
use crate::base::Result;
use crate::domain::auth::scopes;
use crate::web::state::App;

static LIST: Endpoint = endpoint(
    "listSettings",
    "/settings",
    scopes::SETTING_LIST,
    "Lists the settings in force and where each comes from; secrets are masked.",
)
.command("config")
.answers::<List>();

static LOG: Endpoint =
    endpoint("showLog", "/log", scopes::SETTING_LIST, "Shows the last lines of the log, the oldest first.")
        .answers::<Log>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&LIST, nothing, list).serve(&LOG, nothing, log)
}

#[derive(Serialize, JsonSchema)]
struct SettingBody<'a> {
    name: &'a str,
    value: Option<&'a str>,
    source: &'a str,
    help: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct List<'a> {
    settings: Vec<SettingBody<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Log {
    lines: Vec<String>,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    let shown = app.settings.iter().map(|setting| SettingBody {
        name: setting.name,
        value: setting.value.as_deref(),
        source: &setting.source,
        help: setting.help,
    });
    Reply::json(&List { settings: shown.collect() })
}

async fn log(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&Log { lines: app.health.log_tail() })
}
