//! The broker: how it is, and who we are to it.

use askama::Template;
use axum::response::Response;

use crate::base::Result;
use crate::domain::auth::scopes;
use crate::web::console::kit::finding::Row;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::Equivalents;
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::{State, TimeTag, Tone, Untrusted};
use crate::web::state::App;

#[derive(Template)]
#[template(path = "console/broker.html")]
struct Page {
    frame: Frame,
    state: State,
    health: Untrusted<'static>,
    /// Where it is, by the settings: what, and the value.
    places: Vec<(&'static str, String)>,
    /// Who we are, as far as it is known; nothing without a broker.
    us: Option<Us>,
    findings: Vec<Row>,
    may_rotate: bool,
    equivalents: Equivalents,
}

struct Us {
    acting: Untrusted<'static>,
    is_ours: bool,
    is_refused: bool,
    rotated: Option<TimeTag>,
    incoming: Option<String>,
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let health = app.health.broker().await.state;
    let (tone, word) = if health.is_ok() { (Tone::Well, "well") } else { (Tone::Unwell, "unwell") };
    let us = app.administrator.status().ok().map(|shown| Us {
        is_ours: shown.active.as_ref().is_some_and(|active| active.as_str() == shown.acting),
        acting: Untrusted::of(shown.acting),
        is_refused: shown.is_refused,
        rotated: shown.rotated.map(|at| TimeTag { at, now: session.now }),
        incoming: shown.incoming.map(|name| name.to_string()),
    });
    let findings = app.health.diagnose_broker(health.is_ok()).await.into_iter().map(Row::from).collect();
    Ok(page(&Page {
        frame: Frame::of(&app, &session, "Broker").await,
        state: State { tone, word: word.into() },
        places: places(&app),
        health: Untrusted::of(health.unwrap_or_else(|problem| problem)),
        may_rotate: us.is_some() && session.may(scopes::BROKER_ROTATE),
        us,
        findings,
        equivalents: Equivalents::of(&session, "GET", "/broker", None, &["broker", "show"]),
    }))
}

/// Where it is for us and for those to whom we lend, as far as it is set.
fn places(app: &App) -> Vec<(&'static str, String)> {
    let value = |name: &str| {
        let set = app.settings.iter().find(|setting| setting.name == name);
        set.and_then(|setting| setting.value.clone()).unwrap_or_default()
    };
    let url = value("RABBIT_BASE_URL");
    if url.is_empty() {
        return Vec::new();
    }
    let tls = if url.starts_with("https:") { "yes, verified" } else { "no" };
    let part = |name| value(&format!("TASKCLUSTER_AMQP_{name}"));
    let clients = format!("{}{}:{}, vhost {}", part("PROTOCOL"), part("HOSTNAME"), part("PORT"), part("VHOST"));
    vec![("Its management API", url), ("TLS to it", tls.to_owned()), ("Clients are sent to", clients)]
}
