//! Our own API: the rules that operators set for queues, and where a queue is going.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Params, Reply, Routes, endpoint, nothing};
use crate::base::Result;
use crate::domain::actions::queues::{RULE, UNRULE};
use crate::domain::auth::scopes;
use crate::domain::monitor::{Forecast, Pattern, QueueRule};
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

pub(super) fn routes() -> Routes {
    Routes::default().serve(&RULES, nothing, rules).act(&RULE).act(&UNRULE).serve(&FORECAST, queue, forecast)
}

#[expect(clippy::unnecessary_wraps, reason = "one shape for all readers of arguments")]
fn queue(_: &App, params: &Params) -> Result<String> {
    Ok(params.get("queue").cloned().unwrap_or_default())
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
