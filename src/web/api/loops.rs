//! Our own API: the loops that run by themselves.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing, text};
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
        .serve(&PLAN, text("loop"), plan)
        .act(&actions::RUN)
        .act(&actions::PAUSE)
        .act(&actions::RELEASE)
        .act(&actions::RESUME)
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
