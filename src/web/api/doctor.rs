//! Our own API: a closer look at everything, for operators.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing};
use crate::base::Result;
use crate::domain::auth::scopes;
use crate::domain::health::Finding;
use crate::web::state::App;

static DOCTOR: Endpoint =
    endpoint("doctor", "/doctor", scopes::DOCTOR_READ, "Looks at everything closely, and says what to do.")
        .command("doctor")
        .answers::<Findings>();

pub(super) fn routes() -> Routes {
    Routes::default().serve(&DOCTOR, nothing, doctor)
}

#[derive(Serialize, JsonSchema)]
struct FindingBody {
    about: &'static str,
    /// `well`, `warning` or `problem`.
    grade: &'static str,
    text: String,
}

impl From<Finding> for FindingBody {
    fn from(finding: Finding) -> Self {
        Self { about: finding.about, grade: finding.grade.word(), text: finding.text }
    }
}

#[derive(Serialize, JsonSchema)]
struct Findings {
    findings: Vec<FindingBody>,
}

async fn doctor(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&Findings { findings: app.health.diagnose().await.into_iter().map(FindingBody::from).collect() })
}
