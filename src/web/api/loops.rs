//! Our own API: the loops that run by themselves.

use axum::Router;
use axum::routing::MethodFilter;
use serde::Serialize;

use super::clients::{done, endpoint};
use super::{Call, Endpoint, Params, Reply, Routes, detached, nothing, serve};
use crate::base::Result;
use crate::domain::loops::Status;
use crate::web::state::App;

static LIST: Endpoint = endpoint("listLoops", MethodFilter::GET, "/loops", "keylender:loop:list", false);
static PLAN: Endpoint =
    endpoint("planLoop", MethodFilter::GET, "/loops/<loop>/plan", "keylender:loop:plan:<loop>", false);
static RUN: Endpoint = endpoint("runLoop", MethodFilter::POST, "/loops/<loop>/run", "keylender:loop:run:<loop>", false);
static PAUSE: Endpoint =
    endpoint("pauseLoop", MethodFilter::POST, "/loops/<loop>/pause", "keylender:loop:pause:<loop>", false);
static RELEASE: Endpoint =
    endpoint("releaseLoop", MethodFilter::POST, "/loops/<loop>/release", "keylender:loop:release:<loop>", false);
static RESUME: Endpoint =
    endpoint("resumeLoop", MethodFilter::POST, "/loops/<loop>/resume", "keylender:loop:pause:<loop>", false);

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/loops", serve(&LIST, nothing, list))
        .route("/loops/{loop}/plan", serve(&PLAN, name, plan))
        .route("/loops/{loop}/run", serve(&RUN, name, run))
        .route("/loops/{loop}/pause", serve(&PAUSE, name, pause))
        .route("/loops/{loop}/release", serve(&RELEASE, name, release))
        .route("/loops/{loop}/resume", serve(&RESUME, name, resume))
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn name(_: &App, params: &Params) -> Result<String> {
    Ok(params.get("loop").cloned().unwrap_or_default())
}

#[derive(Serialize)]
struct List {
    loops: Vec<Status>,
}

/// What a loop did, or would do, in words; empty for nothing.
#[derive(Serialize)]
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
