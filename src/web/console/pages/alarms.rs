//! What needs somebody, as the overview lists it, and noting that somebody has seen it.

use axum::response::Response;
use serde::Deserialize;

use crate::base::text::url_encoded;
use crate::base::{Error, Result};
use crate::domain::actions::alarms::{ACKNOWLEDGE, Seen};
use crate::domain::alarms::Alarm;
use crate::domain::auth::scopes;
use crate::domain::health::Grade;
use crate::web::console::kit::act::{self, Asked};
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::plan;
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
        path: path_to(&key),
        text: Untrusted::of(text),
        acknowledge: may.then(|| format!("/alarms/{}/acknowledge", url_encoded(&key))),
        seen: acknowledged.map(|seen| {
            (Untrusted::of(seen.by), TimeTag { at: seen.at, now: session.now }, Untrusted::of(seen.reason))
        }),
    }
}

fn path_to(key: &str) -> String {
    match key {
        "accounts" => "/loops/reconcile".to_owned(),
        "broker" => "/broker".to_owned(),
        "notices" => "/notices?q=state%3Agiven".to_owned(),
        "queues doomed" => "/queues?q=state%3Adeleted".to_owned(),
        "queues growing" => "/queues?sort=-messages".to_owned(),
        "backups damaged" => "/backups?q=state%3Adamaged".to_owned(),
        "agents duplicates" => "/agents?sort=-duplicates".to_owned(),
        "agents gone" => "/agents/gone".to_owned(),
        "agents pending" => "/agents/pending".to_owned(),
        "agents vanished" => "/agents?sort=-last".to_owned(),
        "agents whitelist" => "/agents/whitelist".to_owned(),
        _ => match key.split_once(' ') {
            Some(("loop", name)) => format!("/loops/{name}"),
            Some(("agents", _)) => "/agents".to_owned(),
            _ => "/backups".to_owned(),
        },
    }
}

/// The alarm that was looked at.
#[derive(Deserialize)]
pub struct Text {
    text: String,
}

pub async fn plan_acknowledge(app: App, session: Session) -> Result<Response> {
    let key = session.param("alarm");
    let alarm = app.alarms.picture().await?.alarms.into_iter().find(|alarm| alarm.key == key);
    let alarm = alarm.ok_or_else(|| Error::not_found("There is no such alarm now: what it was about is over."))?;
    let mut asked = Asked::of(key, format!("/alarms/{}/acknowledge", url_encoded(key)), "/".to_owned());
    asked.words.extend(["--text", &alarm.text]);
    asked.fields = vec![("text", alarm.text.clone())];
    act::ask(&app, &session, &ACKNOWLEDGE, key.to_owned(), seen(&alarm.text), asked).await
}

pub async fn acknowledge(app: App, session: Session, form: CheckedForm<Text>) -> Result<Response> {
    let key = session.param("alarm").to_owned();
    act::run(&app, &session, &form, &ACKNOWLEDGE, key, seen(&form.input.text)).await?;
    plan::done(&session, "/")
}

fn seen(text: &str) -> Seen {
    Seen { text: text.to_owned(), reason: String::new() }
}
