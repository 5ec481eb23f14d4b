//! Queues as the last pass of the monitor saw them, and the rules that hold for them.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use crate::base::text::url_encoded;
use crate::base::{Error, Result};
use crate::domain::actions;
use crate::domain::auth::scopes;
use crate::domain::monitor::{Pattern, QueueHealth, QueueRule, Rung, SeenQueue};
use crate::ports::broker::Overflow;
use crate::proto::formats;
use crate::web::console::kit::act;
use crate::web::console::kit::form::CheckedForm;
use crate::web::console::kit::frame::{Frame, page};
use crate::web::console::kit::plan::{self, Equivalents};
use crate::web::console::kit::session::Session;
use crate::web::console::kit::table::{ACT, Cell, Column, Table, TableAnswer, View};
use crate::web::console::kit::text::{TimeTag, Tone};
use crate::web::state::App;

/// Columns that cost a look for each row.
const LATE: &[&str] = &["consumers", "lately", "rate", "warning", "deletion"];

const QUEUES: Table<SeenQueue> = Table {
    name: "queues",
    caption: "Queues of namespaces",
    columns: &[
        Column {
            name: "name",
            title: "Queue",
            cell: |queue| Cell::text(&queue.name).to(format!("/queues/{}", url_encoded(&queue.name))),
        },
        Column {
            name: "namespace",
            title: "Namespace",
            cell: |queue| Cell::text(&queue.namespace).to(format!("/namespaces/{}", queue.namespace)),
        },
        Column {
            name: "state",
            title: "State",
            cell: |queue| {
                let (tone, word) = state(queue.health);
                Cell::state(tone, word)
            },
        },
        Column { name: "messages", title: "Messages", cell: |queue| Cell::number(queue.messages) },
        Column { name: "ready", title: "Ready", cell: |queue| Cell::count(queue.ready) },
        Column { name: "unacked", title: "Unacked", cell: |queue| Cell::count(queue.unacknowledged) },
        Column { name: "consumers", title: "Consumers", cell: |queue| Cell::count(queue.consumers) },
        Column { name: "lately", title: "Lately", cell: |queue| Cell::line(queue.counts.clone()) },
        Column { name: "rate", title: "More per hour", cell: |queue| Cell::count(rate(queue)) },
        Column {
            name: "warning",
            title: "Warning",
            cell: |queue| Cell::time(queue.forecast.map(|forecast| queue.counted.plus(forecast.to_warning))),
        },
        Column {
            name: "deletion",
            title: "Deletion",
            cell: |queue| Cell::time(queue.forecast.map(|forecast| queue.counted.plus(forecast.to_deletion))),
        },
        Column { name: "warn", title: "Warned over", cell: |queue| Cell::count(queue.limits.warn.messages) },
        Column { name: "delete", title: "Deleted over", cell: |queue| Cell::count(queue.limits.delete.messages) },
    ],
    sort: "-messages",
    select: None,
    empty: (
        "The monitor has counted no queue of a namespace since the start. It looks by itself; to look now:",
        "keylender loop run monitor",
    ),
};

const RULES: Table<(Pattern, QueueRule)> = Table {
    name: "queue-rules",
    caption: "Rules for queues",
    columns: &[
        Column { name: "pattern", title: "Pattern", cell: |(pattern, _)| Cell::text(pattern) },
        Column { name: "warn", title: "Warned over", cell: |(_, rule)| count(rule.warn_messages) },
        Column { name: "delete", title: "Deleted over", cell: |(_, rule)| count(rule.delete_messages) },
        Column { name: "limit", title: "Limited over", cell: |(_, rule)| Cell::text(limit_words(rule)) },
        Column {
            name: "archive",
            title: "Archived",
            cell: |(_, rule)| Cell::text(rule.archive.as_ref().map_or("no", |_| "yes")),
        },
        Column { name: "unconsumed", title: "Unconsumed, s", cell: |(_, rule)| count(rule.unconsumed_seconds) },
        Column { name: "grace", title: "Grace, s", cell: |(_, rule)| Cell::number(rule.grace_seconds) },
        Column { name: "exempt", title: "Exempt until", cell: |(_, rule)| Cell::time(rule.exempt_until) },
        Column { name: "remark", title: "Remark", cell: |(_, rule)| Cell::text(&rule.remark) },
        Column {
            name: ACT,
            title: "Remove",
            cell: |(pattern, _)| {
                Cell::text("remove").to(format!("/queue-rules/{}/remove", url_encoded(&pattern.to_string())))
            },
        },
    ],
    sort: "pattern",
    select: None,
    empty: (
        "There is no rule: all queues are warned of and deleted as the settings say. A rule is made below, or by",
        "keylender queue rule 'queue/taskcluster-builds/*' --warn 10000 --delete 50000",
    ),
};

#[derive(Template)]
#[template(path = "console/queues.html")]
struct List {
    frame: Frame,
    last_pass: Option<TimeTag>,
    table: View,
    equivalents: Equivalents,
}

#[derive(Template)]
#[template(path = "console/queue_rules.html")]
struct Rules {
    frame: Frame,
    table: View,
    may_set: bool,
    equivalents: Equivalents,
}

/// How a queue is, in a word.
pub(super) fn state(health: QueueHealth) -> (Tone, &'static str) {
    match health {
        QueueHealth::Normal => (Tone::Well, "in order"),
        QueueHealth::Growing => (Tone::Warning, "growing"),
        QueueHealth::Warned => (Tone::Warning, "warned"),
        QueueHealth::Limited => (Tone::Warning, "limited"),
        QueueHealth::Doomed => (Tone::Unwell, "to be deleted"),
        QueueHealth::Exempt => (Tone::Quiet, "exempt"),
    }
}

fn rate(queue: &SeenQueue) -> Option<i64> {
    // Of whole messages, and far below what an i64 holds.
    queue.forecast.map(|forecast| forecast.per_hour.round() as i64)
}

/// When the broker takes no more, in a few words.
fn limit_words(rule: &QueueRule) -> String {
    let Some(limit) = &rule.limit else { return "not at all".to_owned() };
    let Rung { messages, bytes, head_seconds, unconsumed_seconds } = limit;
    let named =
        [(messages, "messages"), (bytes, "bytes"), (head_seconds, "s old"), (unconsumed_seconds, "s unconsumed")];
    let named = named.into_iter().filter_map(|(limit, unit)| limit.map(|limit| format!("{limit} {unit}")));
    named.chain([rule.overflow.as_str().to_owned()]).collect::<Vec<_>>().join(", ")
}

fn count(number: Option<u64>) -> Cell {
    Cell::text(number.map_or_else(|| "as set".to_owned(), |number| number.to_string()))
}

/// All queues that were counted.
pub async fn list(app: App, session: Session) -> Result<Response> {
    let mut picked = QUEUES.pick(&session, app.monitor.seen_queues().await?, LATE).await?;
    app.monitor.note_forecasts(picked.lacking());
    app.queues.note_consumers(picked.lacking()).await;
    match picked.show(&session).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&List {
            frame: Frame::of(&app, &session, "Queues").await,
            last_pass: app.monitor.last_pass()?.map(|at| TimeTag { at, now: session.now }),
            table,
            equivalents: Equivalents::of(&session, "GET", "/loops/monitor/plan", None, &["loop", "plan", "monitor"]),
        })),
    }
}

pub async fn rules(app: App, session: Session) -> Result<Response> {
    match RULES.show(&session, app.monitor.queue_rules().await?).await? {
        TableAnswer::Export(file) => Ok(file),
        TableAnswer::View(table) => Ok(page(&Rules {
            frame: Frame::of(&app, &session, "Queue rules").await,
            table,
            may_set: session.may(scopes::QUEUE_RULE.for_all()),
            equivalents: Equivalents::of(&session, "GET", "/queues/rules", None, &["queue", "rules"]),
        })),
    }
}

/// A rule as a form has it: a field that is left empty is as in the settings.
#[derive(Deserialize)]
pub struct Wanted {
    pattern: String,
    warn: String,
    delete: String,
    /// Messages; an empty field is no limit by them.
    #[serde(default)]
    limit: String,
    #[serde(default)]
    overflow: Overflow,
    /// Whether what a queue holds is archived before it is deleted.
    #[serde(default)]
    archive: String,
    exempt: String,
    reason: String,
}

/// Sets the rule of a pattern. What a form has no field for stays as it was.
pub async fn set_rule(app: App, session: Session, form: CheckedForm<Wanted>) -> Result<Response> {
    let Wanted { pattern, warn, delete, limit, overflow, archive, exempt, reason } = &form.input;
    let number = |text: &str| match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Error::invalid("a number of messages was expected")),
    };
    let exempt = match exempt.trim() {
        "" => None,
        text => Some(
            formats::date_time(text)
                .map_err(|_| Error::invalid("a moment was expected, such as 2026-12-24T00:00:00Z"))?,
        ),
    };
    let pattern = Pattern::parse(pattern.trim())?;
    let before = app.monitor.queue_rules().await?.into_iter().find(|(known, _)| *known == pattern);
    let before = before.map(|(_, rule)| rule).unwrap_or_default();
    let limit = Rung { messages: number(limit)?, ..before.limit.clone().unwrap_or_default() };
    let limit = (limit != Rung::default()).then_some(limit);
    let archive = (!archive.is_empty()).then(|| before.archive.clone().unwrap_or_default());
    let rule = QueueRule {
        overflow: limit.as_ref().map(|_| *overflow).unwrap_or_default(),
        limit,
        archive,
        warn_messages: number(warn)?,
        delete_messages: number(delete)?,
        exempt_until: exempt,
        remark: reason.trim().to_owned(),
        ..before
    };
    act::run(&app, &session, &form, &actions::queues::RULE, pattern, rule).await?;
    plan::done(&session, "/queue-rules")
}
