//! Our own API: what needs somebody, and noting that somebody has seen it.

use axum::routing::MethodFilter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clients::{Done, done, endpoint, read_input};
use super::{Call, Endpoint, Params, Reply, Routes, nothing};
use crate::base::{Reason, Result, Timestamp};
use crate::domain::alarms::{Acknowledged, Alarm};
use crate::domain::auth::scopes;
use crate::web::state::App;

static LIST: Endpoint = endpoint(
    "listAlarms",
    MethodFilter::GET,
    "/alarms",
    scopes::DOCTOR_READ,
    "Lists what needs somebody, and who has seen it.",
)
.answers::<List>();
static ACKNOWLEDGE: Endpoint = endpoint(
    "acknowledgeAlarm",
    MethodFilter::PUT,
    "/alarms/<alarm>/acknowledge",
    scopes::ALARM_ACKNOWLEDGE,
    "Notes that somebody has seen an alarm: it is quiet until its condition ends or changes.",
)
.takes::<Seen>()
.answers::<Done>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&LIST, nothing, list).serve(&ACKNOWLEDGE, key, acknowledge)
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn key(_: &App, params: &Params) -> Result<String> {
    Ok(params.get("alarm").cloned().unwrap_or_default())
}

#[derive(Serialize, JsonSchema)]
struct List {
    alarms: Vec<AlarmBody>,
}

#[derive(Serialize, JsonSchema)]
struct AlarmBody {
    /// What it is about: `loop rotate`, `backups old`.
    alarm: String,
    /// `warning` or `problem`.
    grade: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<By>,
}

#[derive(Serialize, JsonSchema)]
struct By {
    by: String,
    at: Timestamp,
    reason: String,
}

impl From<Alarm> for AlarmBody {
    fn from(Alarm { key, grade, text, acknowledged }: Alarm) -> Self {
        let by = |Acknowledged { text: _, by, at, reason }| By { by, at, reason };
        Self { alarm: key, grade: grade.word(), text, acknowledged: acknowledged.map(by) }
    }
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&List { alarms: app.alarms.picture().await?.alarms.into_iter().map(AlarmBody::from).collect() })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Seen {
    /// What the alarm says, as it was listed: one that says something else by now is another one.
    text: String,
    /// Why nothing more needs to be done now.
    reason: String,
}

async fn acknowledge(app: App, call: Call, key: String) -> Result<Reply> {
    let Seen { text, reason } = read_input(&call.payload)?;
    let caller = call.caller.because(Reason::parse(&reason)?);
    app.alarms.acknowledge(&caller, &key, &text).await?;
    done()
}
