//! One queue, as the broker has it now, where it is going, and what may be done to it.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use super::queues::state;
use crate::base::text::url_encoded;
use crate::base::{Error, Result};
use crate::domain::auth::scopes::{self, RequiredScope};
use crate::domain::queues::NamespaceQueue;
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::line::Line;
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::text::{State as Word, TimeTag, Untrusted};
use crate::web::state::App;

/// How long a queue may be exempted from its page; a rule can have any end.
const EXEMPTIONS: [(&str, &str); 4] = [("1", "1 hour"), ("24", "1 day"), ("168", "7 days"), ("720", "30 days")];

#[derive(Template)]
#[template(path = "console/queue.html")]
struct Page {
    frame: Frame,
    name: Untrusted<'static>,
    path: String,
    /// Its name in the address of a table.
    query: String,
    namespace: String,
    facts: Vec<(&'static str, String)>,
    health: Option<Word>,
    counted: Option<TimeTag>,
    warning: Option<TimeTag>,
    deletion: Option<TimeTag>,
    exempt_until: Option<TimeTag>,
    line: Option<Line>,
    exemptions: &'static [(&'static str, &'static str)],
    may_exempt: bool,
    may_archive: bool,
    may_purge: bool,
    may_delete: bool,
    equivalents: Equivalents,
}

fn path_to(name: &str) -> String {
    format!("/queues/{}", url_encoded(name))
}

fn show_count(count: Option<u64>) -> String {
    count.map_or_else(|| "not told".to_owned(), |count| count.to_string())
}

fn show_limit(messages: Option<u64>) -> String {
    messages.map_or_else(|| "no number of messages".to_owned(), |messages| format!("{messages} messages"))
}

pub async fn show(app: App, session: Session) -> Result<Response> {
    let NamespaceQueue { namespace, queue, seen } = app.queues.show(session.param("queue")).await?;
    let is_stream = queue.kind.as_deref() == Some("stream");
    let name = queue.name.clone();
    let time = |at| TimeTag { at, now: session.now };
    let forecast = seen.as_ref().and_then(|seen| Some((seen.counted, seen.forecast?)));
    let limits = seen.as_ref().map(|seen| seen.limits);
    let mut facts = vec![
        ("Messages", show_count(queue.messages)),
        ("Ready", show_count(queue.ready)),
        ("Unacknowledged", show_count(queue.unacknowledged)),
        ("Bytes", show_count(queue.bytes)),
        ("Consumers", show_count(queue.consumers)),
        ("State at the broker", queue.state.unwrap_or_else(|| "not told".to_owned())),
        ("Type", queue.kind.unwrap_or_else(|| "not told".to_owned())),
    ];
    if let Some(limits) = limits {
        facts.push(("Warned over", show_limit(limits.warn.messages)));
        facts.push(("Deleted over", show_limit(limits.delete.messages)));
    }
    if let Some((_, forecast)) = forecast {
        facts.push(("Grows by", format!("{:.0} messages an hour", forecast.per_hour)));
    }
    let path = path_to(&name);
    let may = |scope: RequiredScope| session.may(scope.on(&name));
    Ok(page(&Page {
        frame: Frame::of(&app, &session, "Queue").await,
        namespace: namespace.to_string(),
        facts,
        health: seen.as_ref().map(|seen| {
            let (tone, word) = state(seen.health);
            Word { tone, word: word.into() }
        }),
        counted: seen.as_ref().map(|seen| time(seen.counted)),
        warning: forecast.map(|(counted, forecast)| time(counted.plus(forecast.to_warning))),
        deletion: forecast.map(|(counted, forecast)| time(counted.plus(forecast.to_deletion))),
        exempt_until: limits.and_then(|limits| limits.exempt_until).filter(|until| session.now < *until).map(time),
        line: seen.as_ref().and_then(|seen| Line::of(&seen.counts)),
        exemptions: &EXEMPTIONS,
        may_exempt: may(scopes::QUEUE_RULE),
        may_archive: may(scopes::ARCHIVE_TAKE),
        // A stream keeps what was read, and cannot be purged.
        may_purge: may(scopes::QUEUE_PURGE) && !is_stream,
        may_delete: may(scopes::QUEUE_DELETE),
        equivalents: Equivalents::of(&session, "GET", &path, None, &["queue", "show", &name]),
        path,
        query: url_encoded(&name).to_string(),
        name: Untrusted::of(name),
    }))
}

/// For how long a form exempts a queue.
#[derive(Deserialize)]
pub struct Exemption {
    hours: String,
}

/// Exempts the queue, for a time of the list.
pub async fn exempt(app: App, session: Session, form: CheckedForm<Exemption>) -> Result<Response> {
    let caller = form.with_reason(&session)?;
    let hours =
        EXEMPTIONS.iter().find(|(hours, _)| *hours == form.input.hours).and_then(|(hours, _)| hours.parse().ok());
    let hours: u64 = hours.ok_or_else(|| Error::invalid("this is not one of the times to exempt a queue for"))?;
    let name = session.param("queue");
    let until = session.now.plus(Duration::from_secs(hours * 3600));
    app.monitor.exempt_queue(&caller, name, until).await?;
    plan::done(&session, &path_to(name))
}
