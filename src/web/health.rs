//! Health endpoints (taskcluster.md 6.5, interface.md section 2).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::state::App;

pub async fn version() -> Response {
    Json(json!({"name": "keylender", "version": env!("CARGO_PKG_VERSION")})).into_response()
}

pub async fn lbheartbeat() -> Response {
    Json(json!({})).into_response()
}

/// Whether it can do its work: 503 with what is wrong when it cannot.
pub async fn heartbeat(State(app): State<App>) -> Response {
    let checks = app.health.check().await;
    let is_well = checks.iter().all(|check| check.state.is_ok());
    let body: Map<String, Value> = checks
        .into_iter()
        .map(|check| {
            let state = match check.state {
                Ok(remark) => json!({"ok": true, "remark": remark}),
                Err(problem) => json!({"ok": false, "problem": problem}),
            };
            (check.name.to_owned(), state)
        })
        .collect();
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Value::Object(body))).into_response()
}
