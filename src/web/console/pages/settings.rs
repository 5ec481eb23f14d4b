//! Every setting, what this program is, and a bundle for whoever is asked for help.

use askama::Template;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::base::Result;
use crate::domain::health::Grade;
use crate::web::console::kit::finding::Row;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{Tone, Untrusted};
use crate::web::state::{App, SettingView};

const SETTINGS: Table<SettingView> = Table {
    name: "settings",
    caption: "The values in force",
    columns: &[
        Column { name: "setting", title: "Setting", cell: |setting| Cell::text(setting.name) },
        Column { name: "value", title: "Value", cell: |setting| Cell::text(setting.value.as_deref().unwrap_or("–")) },
        Column {
            name: "source",
            title: "From",
            cell: |setting| match setting.source.as_str() {
                "default" => Cell::state(Tone::Quiet, "default"),
                source => Cell::text(source),
            },
        },
        Column { name: "meaning", title: "Meaning", cell: |setting| Cell::text(setting.help) },
    ],
    sort: "",
    select: None,
    empty: ("No setting is known.", ""),
};

#[derive(Template)]
#[template(path = "console/settings.html")]
struct Settings {
    frame: Frame,
    version: &'static str,
    key_id: String,
    is_key_changing: bool,
    signing_key: String,
    certificates: Vec<Row>,
    log: Vec<Untrusted<'static>>,
    table: View,
    equivalents: Equivalents,
}

/// The settings; secrets are masked before they get here.
pub async fn list(app: App, session: Session) -> Result<Response> {
    let table = match SETTINGS.show(&session, app.settings.clone()).await? {
        TableAnswer::Export(file) => return Ok(file),
        TableAnswer::View(table) => table,
    };
    let (key_id, is_key_changing) = app.keys.state();
    let findings = app.health.diagnose().await.into_iter();
    let certificates = findings.filter(|finding| ["certificate", "port"].contains(&finding.about)).map(Row::from);
    Ok(page(&Settings {
        frame: Frame::of(&app, &session, "Settings").await,
        version: env!("CARGO_PKG_VERSION"),
        key_id,
        is_key_changing,
        signing_key: app.store.signing_key(),
        certificates: certificates.collect(),
        log: app.health.log_tail().into_iter().map(Untrusted::of).collect(),
        table,
        equivalents: Equivalents::of(&session, "GET", "/settings", None, &["config"]),
    }))
}

/// What helps whoever is asked for help: no secret, no name of a client, a namespace or a host.
pub async fn support(app: App, session: Session) -> Result<Response> {
    let settings = app.settings.iter();
    let settings: Vec<_> = settings
        .map(|setting| json!({"name": setting.name, "value": setting.value, "source": setting.source}))
        .collect();
    let findings = app.health.diagnose().await;
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| {
            let grade = match finding.grade {
                Grade::Well => "well",
                Grade::Warning => "warning",
                Grade::Problem => "problem",
            };
            json!({"about": finding.about, "grade": grade, "text": finding.text})
        })
        .collect();
    let (key_id, is_key_changing) = app.keys.state();
    let bundle = json!({
        "program": "keylender",
        "version": env!("CARGO_PKG_VERSION"),
        "time": session.now,
        "uptimeSeconds": app.health.uptime().as_secs(),
        "keyId": key_id,
        "isKeyChanging": is_key_changing,
        "lastAuditEntry": app.store.read(|tx| tx.last_entry())?,
        "settings": settings,
        "doctor": findings,
    });
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"keylender-support.json\""),
    ];
    Ok((headers, serde_json::to_string_pretty(&bundle).unwrap_or_default() + "\n").into_response())
}
