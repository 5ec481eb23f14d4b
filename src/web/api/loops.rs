//! Our own API: the loops that run by themselves.

use axum::routing::MethodFilter;
use schemars::JsonSchema;
use serde::Serialize;

use super::clients::{Done, done, endpoint};
use super::{Call, Endpoint, Params, Reply, Routes, detached, nothing};
use crate::base::Result;
use crate::domain::auth::scopes;
use crate::domain::loops::Status;
use crate::web::state::App;

static LIST: Endpoint = endpoint(
    "listLoops",
    MethodFilter::GET,
    "/loops",
    scopes::LOOP_LIST,
    "Lists what runs by itself, and how it went.",
)
.answers::<List>();
static PLAN: Endpoint = endpoint(
    "planLoop",
    MethodFilter::GET,
    "/loops/<loop>/plan",
    scopes::LOOP_PLAN,
    "Says what a run of a loop would do now. It changes nothing.",
)
.answers::<Report>();
static RUN: Endpoint =
    endpoint("runLoop", MethodFilter::POST, "/loops/<loop>/run", scopes::LOOP_RUN, "Runs a loop now.")
        .answers::<Report>();
static PAUSE: Endpoint = endpoint(
    "pauseLoop",
    MethodFilter::POST,
    "/loops/<loop>/pause",
    scopes::LOOP_PAUSE,
    "Keeps a loop from running by itself.",
)
.answers::<Done>();
static RELEASE: Endpoint = endpoint(
    "releaseLoop",
    MethodFilter::POST,
    "/loops/<loop>/release",
    scopes::LOOP_RELEASE,
    "Releases the brake of a loop for one run.",
)
.answers::<Report>();
static RESUME: Endpoint = endpoint(
    "resumeLoop",
    MethodFilter::POST,
    "/loops/<loop>/resume",
    scopes::LOOP_PAUSE,
    "Lets a paused loop run by itself again.",
)
.answers::<Done>();

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&LIST, nothing, list)
        .serve(&PLAN, name, plan)
        .serve(&RUN, name, run)
        .serve(&PAUSE, name, pause)
        .serve(&RELEASE, name, release)
        .serve(&RESUME, name, resume)
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn name(_: &App, params: &Params) -> Result<String> {
    Ok(params.get("loop").cloned().unwrap_or_default())
}

#[derive(Serialize, JsonSchema)]
struct List {
    loops: Vec<Status>,
}

/// What a loop did, or would do, in words; empty for nothing.
#[derive(Serialize, JsonSchema)]
struct Report {
    report: String,
}

async fn list(app: App, _: Call, (): ()) -> Result<Reply> {
    Reply::json(&List { loops: app.loops.list()? })
}

async fn plan(app: App, _: Call, name: String) -> Result<Reply> {
    Reply::json(&Report { report: app.loops.plan(&name).await? })
}

async fn run(app: App, call: Call, name: String) -> Result<Reply> {
    let loops = app.loops.clone();
    let report = detached(&app.tasks, async move { loops.run_for(&call.caller, &name).await }).await?;
    Reply::json(&Report { report })
}

async fn pause(app: App, call: Call, name: String) -> Result<Reply> {
    app.loops.pause(&call.caller, &name, true).await?;
    done()
}

async fn release(app: App, call: Call, name: String) -> Result<Reply> {
    Reply::json(&Report { report: app.loops.release(&call.caller, &name).await? })
}

async fn resume(app: App, call: Call, name: String) -> Result<Reply> {
    app.loops.pause(&call.caller, &name, false).await?;
    done()
}
