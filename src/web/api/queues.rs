//! Our own API: a queue as the broker has it now, ending it by hand, where it is going, and the rules of queues.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing, text};
use crate::base::{Result, Timestamp};
use crate::domain::actions::queues::{DELETE, PURGE, RULE, UNRULE};
use crate::domain::auth::scopes;
use crate::domain::monitor::{Forecast, Pattern, QueueRule};
use crate::domain::queues::NamespaceQueue;
use crate::web::state::App;

static RULES: Endpoint =
    endpoint("listQueueRules", "/queues/rules", scopes::QUEUE_RULES, "Lists the rules that operators set for queues.")
        .command("queue rules")
        .answers::<List>();
static FORECAST: Endpoint = endpoint(
    "queueForecast",
    "/queues/<queue>/forecast",
    scopes::QUEUE_SHOW,
    "Says when a queue will be warned about and deleted at the present rate.",
)
.command("queue forecast <queue>")
.answers::<QueueRuleBody>();
static SHOW: Endpoint = endpoint(
    "queue",
    "/queues/<queue>",
    scopes::QUEUE_SHOW,
    "Shows a queue as the broker has it now, with its last counts.",
)
.command("queue show <queue>")
.answers::<Queue>();

pub(super) fn routes() -> Routes {
    Routes::default()
        .serve(&RULES, nothing, rules)
        .act(&RULE)
        .act(&UNRULE)
        .serve(&FORECAST, text("queue"), forecast)
        .serve(&SHOW, text("queue"), show)
        .act(&PURGE)
        .act(&DELETE)
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    #[schemars(with = "String")]
    pattern: Pattern,
    #[serde(flatten)]
    rule: QueueRule,
}

#[derive(Serialize, JsonSchema)]
struct List {
    rules: Vec<Listed>,
}

async fn rules(app: App, _: Call, (): ()) -> Result<Reply> {
    let rules = app.monitor.queue_rules().await?.into_iter();
    Reply::json(&List { rules: rules.map(|(pattern, rule)| Listed { pattern, rule }).collect() })
}

/// Where a queue is going.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Going {
    per_hour: f64,
    to_warning_seconds: u64,
    to_deletion_seconds: u64,
}

impl From<Forecast> for Going {
    fn from(forecast: Forecast) -> Self {
        let Forecast { per_hour, to_warning, to_deletion } = forecast;
        Self { per_hour, to_warning_seconds: to_warning.as_secs(), to_deletion_seconds: to_deletion.as_secs() }
    }
}

#[derive(Serialize, JsonSchema)]
struct QueueRuleBody {
    queue: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<Going>,
}

async fn forecast(app: App, _: Call, queue: String) -> Result<Reply> {
    let forecast = app.monitor.forecast(&queue).await?.map(Going::from);
    Reply::json(&QueueRuleBody { queue, forecast })
}

#[derive(Serialize, JsonSchema)]
struct Count {
    at: Timestamp,
    messages: u64,
}

#[derive(Serialize, JsonSchema)]
struct Queue {
    queue: String,
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
    /// Messages that wait for a consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<u64>,
    /// Messages that a consumer has in hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    unacknowledged: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumers: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// What the monitor counted last.
    counts: Vec<Count>,
}

impl From<NamespaceQueue> for Queue {
    fn from(NamespaceQueue { namespace, queue, seen }: NamespaceQueue) -> Self {
        let counts = seen.map(|seen| seen.counts).unwrap_or_default();
        Self {
            queue: queue.name,
            namespace: namespace.to_string(),
            messages: queue.messages,
            ready: queue.ready,
            unacknowledged: queue.unacknowledged,
            bytes: queue.bytes,
            consumers: queue.consumers,
            state: queue.state,
            kind: queue.kind,
            counts: counts.into_iter().map(|(at, messages)| Count { at, messages }).collect(),
        }
    }
}

async fn show(app: App, _: Call, name: String) -> Result<Reply> {
    Reply::json(&Queue::from(app.queues.show(&name).await?))
}
