//! Health endpoints (taskcluster.md 6.5, interface.md section 2) and figures for Prometheus.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::layers::Origin;
use super::page;
use super::state::App;

/// Which program this is.
pub async fn version() -> Response {
    Json(json!({"name": "keylender", "version": env!("CARGO_PKG_VERSION")})).into_response()
}

/// That the process answers.
pub async fn lbheartbeat() -> Response {
    Json(json!({})).into_response()
}

/// Whether it can do its work: 503 with what is wrong when it cannot.
pub async fn heartbeat(State(app): State<App>) -> Response {
    let vitals = app.vitals.check().await;
    let is_well = vitals.iter().all(|vital| vital.state.is_ok());
    let body: Map<String, Value> = vitals
        .into_iter()
        .map(|vital| {
            let state = match vital.state {
                Ok(remark) => json!({"ok": true, "remark": remark}),
                Err(problem) => json!({"ok": false, "problem": problem}),
            };
            (vital.name.to_owned(), state)
        })
        .collect();
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Value::Object(body))).into_response()
}

/// Figures in Prometheus' text format, for askers on this host.
pub async fn metrics(State(app): State<App>, Extension(origin): Extension<Origin>) -> Response {
    if !origin.peer.is_on_host {
        return page::error(StatusCode::FORBIDDEN, "metrics are for askers on this host");
    }
    let figures = match app.vitals.figures() {
        Ok(figures) => figures,
        Err(error) => return page::error(StatusCode::SERVICE_UNAVAILABLE, error.message()),
    };
    let mut text = String::new();
    for (name, help, value) in [
        ("keylender_namespaces", "Namespaces in the store.", figures.namespaces as f64),
        ("keylender_accounts", "Broker users answered for.", figures.accounts as f64),
        ("keylender_accounts_unsettled", "Broker users not known to be as wished.", figures.accounts_unsettled as f64),
        ("keylender_hosts", "Addresses of machines that asked for credentials.", figures.hosts as f64),
        ("keylender_uptime_seconds", "Seconds since the start.", figures.uptime_seconds),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
