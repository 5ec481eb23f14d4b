//! What needs somebody, as the overview lists it, and noting that somebody has seen it.

use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use crate::base::text::url_encoded;
use crate::base::{Error, Result};
use crate::domain::alarms::Alarm;
use crate::domain::auth::scopes;
use crate::domain::health::Grade;
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::plan::{self, Equivalents, Plan, Weight};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::{TimeTag, Tone, Untrusted};
use crate::web::state::App;

/// An alarm on the overview, and where somebody can do something about it.
pub(super) struct Attention {
    pub tone: &'static str,
    pub path: String,
    pub text: Untrusted<'static>,
    /// Where it is acknowledged, for who may and while nobody did.
    pub acknowledge: Option<String>,
    /// Who did, when, and why.
    pub seen: Option<(Untrusted<'static>, TimeTag, Untrusted<'static>)>,
}

pub(super) fn attention(session: &Session, alarm: Alarm) -> Attention {
    let Alarm { key, grade, text, acknowledged } = alarm;
    let may = acknowledged.is_none() && session.may(scopes::ALARM_ACKNOWLEDGE);
    let tone = match (&acknowledged, grade) {
        (Some(_), _) => Tone::Quiet,
        (None, Grade::Problem) => Tone::Unwell,
        (None, _) => Tone::Warning,
    };
    Attention {
        tone: tone.class(),
        path: place(&key),
        text: Untrusted::of(text),
        acknowledge: may.then(|| format!("/alarms/{}/acknowledge", url_encoded(&key))),
        seen: acknowledged.map(|seen| {
            (Untrusted::of(seen.by), TimeTag { at: seen.at, now: session.now }, Untrusted::of(seen.reason))
        }),
    }
}

fn place(key: &str) -> String {
    match key {
        "accounts" => "/loops/reconcile".to_owned(),
        "broker" => "/broker".to_owned(),
        "notices" => "/notices?q=state%3Agiven".to_owned(),
        "queues doomed" => "/queues?q=state%3Adeleted".to_owned(),
        "queues growing" => "/queues?sort=-messages".to_owned(),
        "backups damaged" => "/backups?q=state%3Adamaged".to_owned(),
        _ => match key.strip_prefix("loop ") {
            Some(name) => format!("/loops/{name}"),
            None => "/backups".to_owned(),
        },
    }
}

/// The alarm that was looked at.
#[derive(Deserialize)]
pub struct Seen {
    text: String,
}

pub async fn plan_acknowledge(app: App, session: Session) -> Result<Response> {
    let key = session.param("alarm");
    let alarm = app.alarms.picture().await?.alarms.into_iter().find(|alarm| alarm.key == key);
    let alarm = alarm.ok_or_else(|| Error::not_found("There is no such alarm now: what it was about is over."))?;
    let path = format!("/alarms/{}/acknowledge", url_encoded(key));
    let body = json!({"text": alarm.text, "reason": "why"}).to_string();
    let command = ["alarm", "acknowledge", key, "--text", alarm.text.as_str(), "--reason", "why"];
    let equivalents = Equivalents::of(&session, "PUT", &path, Some(&body), &command);
    let plan = Plan {
        title: "Acknowledge an alarm".to_owned(),
        effects: vec![
            alarm.text.clone(),
            "It stays on the overview, with your name and reason, and is quiet.".to_owned(),
            "When its condition ends, comes back or changes, it is loud again.".to_owned(),
        ],
        weight: Weight::Reasoned,
        action: path.clone(),
        fields: vec![("text", alarm.text)],
        button: "Acknowledge",
        back: "/".to_owned(),
        equivalents,
    };
    plan::ask(&app, &session, plan).await
}

pub async fn acknowledge(app: App, session: Session, form: CheckedForm<Seen>) -> Result<Response> {
    let caller = form.with_reason(&session)?;
    app.alarms.acknowledge(&caller, session.param("alarm"), &form.input.text).await?;
    plan::done(&session, "/")
}
