//! Our own API: what needs somebody, and noting that somebody has seen it.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing};
use crate::base::{Result, Timestamp};
use crate::domain::actions::alarms::ACKNOWLEDGE;
use crate::domain::alarms::{Acknowledged, Alarm};
use crate::domain::auth::scopes;
use crate::web::state::App;

static LIST: Endpoint =
    endpoint("listAlarms", "/alarms", scopes::DOCTOR_READ, "Lists what needs somebody, and who has seen it.")
        .command("alarm list")
        .answers::<List>();
pub(super) fn routes() -> Routes {
    Routes::default().serve(&LIST, nothing, list).act(&ACKNOWLEDGE)
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
