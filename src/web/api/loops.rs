//! Our own API: the loops that run by themselves.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Params, Reply, Routes, endpoint, nothing};
use crate::base::Result;
use crate::domain::actions::{Report, loops as actions};
use crate::domain::auth::scopes;
use crate::domain::loops::Status;
use crate::web::state::App;

static LIST: Endpoint =
    endpoint("listLoops", "/loops", scopes::LOOP_LIST, "Lists what runs by itself, and how it went.")
        .command("loop list")
        .answers::<List>();
static PLAN: Endpoint = endpoint(
    "planLoop",
    "/loops/<loop>/plan",
    scopes::LOOP_PLAN,
    "Says what a run of a loop would do now. It changes nothing.",
)
.command("loop plan <loop>")
.answers::<Report>();
pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, nothing, list)
        .serve(&PLAN, name, plan)
        .act(&actions::RUN)
        .act(&actions::PAUSE)
        .act(&actions::RELEASE)
        .act(&actions::RESUME)
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn name(_: &App, params: &Params) -> Result<String> {
    Ok(params.get("loop").cloned().unwrap_or_default())
}

#[derive(Serialize, JsonSchema)]
struct List {
    loops: Vec<Status>,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&List { loops: app.loops.list()? })
}

async fn plan(app: App, _: Call, name: String) -> Result<Reply> {
    Reply::json(&Report { report: app.loops.plan(&name).await? })
}
