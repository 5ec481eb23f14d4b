//! `keylender queue`: how a queue is and where it is going, the rules that operators set, and ending one by hand.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::act::{self, Act, Given, noun};
use super::archive::{self, Archive};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::{Span, Timestamp};
use crate::domain::actions::queues;

#[derive(Subcommand)]
pub(super) enum Queue {
    /// Lists the rules; where several match a queue, its own counts, or else the longest
    #[command(after_help = "Example:\n  keylender queue rules --json")]
    Rules(Format),
    /// Sets the rule of a pattern, and replaces the one it had; what is left out is as in the settings
    #[command(
        after_help = "Example:\n  keylender queue rule 'queue/taskcluster-builds/*' --warn 10000 --delete 50000 \
                            --grace '6 hours'"
    )]
    Rule(Ruled),
    /// Shows a queue as the broker has it now, and its last counts
    #[command(after_help = "Example:\n  keylender queue show queue/taskcluster-builds/jobs")]
    Show {
        /// The queue
        name: String,
        #[command(flatten)]
        format: Format,
    },
    #[command(flatten)]
    Act(Act<Queues>),
    /// Archives of queues: messages taken out into a file, looked at, and brought back
    #[command(subcommand, after_help = "Example:\n  keylender queue archive list")]
    Archive(Archive),
    /// Shows how fast a queue grows, and when it is warned of and deleted at that rate
    #[command(after_help = "Example:\n  keylender queue forecast queue/taskcluster-builds/jobs")]
    Forecast {
        /// The queue
        name: String,
        #[command(flatten)]
        format: Format,
    },
}

noun!(Queues: queues::UNRULE, queues::PURGE, queues::DELETE);

/// A pattern and its rule.
#[derive(Args)]
pub(super) struct Ruled {
    /// Names of queues; `*` stands for any text
    pattern: String,
    /// Messages beyond which the contact is warned
    #[arg(long, value_name = "MESSAGES")]
    warn: Option<u64>,
    /// Messages beyond which the queue is deleted
    #[arg(long, value_name = "MESSAGES")]
    delete: Option<u64>,
    /// Bytes beyond which the contact is warned
    #[arg(long, value_name = "BYTES")]
    warn_bytes: Option<u64>,
    /// Bytes beyond which the queue is deleted
    #[arg(long, value_name = "BYTES")]
    delete_bytes: Option<u64>,
    /// How long it may be without a consumer, such as `7 days`
    #[arg(long, value_name = "SPAN")]
    no_consumer: Option<Span>,
    /// How long it may be over a limit before it is deleted
    #[arg(long, value_name = "SPAN")]
    grace: Option<Span>,
    /// Until when it is neither warned of nor deleted, such as `2026-12-24T00:00:00Z`
    #[arg(long, value_name = "TIME")]
    exempt_until: Option<Timestamp>,
    /// Why, for other operators
    #[arg(long, value_name = "TEXT", default_value = "")]
    remark: String,
    #[command(flatten)]
    given: Given,
}

pub(super) async fn run(command: Queue, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Queue::Rules(format) => {
            let list = operator.call("GET", "/queues/rules", None).await?;
            if format.json { output::json(&list) } else { show_rules(&list) }
        }
        Queue::Rule(ruled) => {
            let (about, input) = (&queues::RULE.about, rule(&ruled));
            act::run(&operator, about, &[&ruled.pattern], &ruled.given, Some(input)).await?;
        }
        Queue::Show { name, format } => {
            let shown = operator.call("GET", &format!("/queues/{}", output::segment(&name)), None).await?;
            if format.json { output::json(&shown) } else { show_queue(&shown) }
        }
        Queue::Act(act) => act.run(&operator).await?,
        Queue::Archive(command) => archive::run(command, &operator).await?,
        Queue::Forecast { name, format } => {
            let path = format!("/queues/{}/forecast", output::segment(&name));
            let shown = operator.call("GET", &path, None).await?;
            if format.json { output::json(&shown) } else { show_forecast(&shown["forecast"]) }
        }
    }
    Ok(())
}

fn rule(ruled: &Ruled) -> Value {
    let seconds = |span: Option<Span>| span.map(|span| span.size().as_secs());
    json!({
        "warnMessages": ruled.warn,
        "deleteMessages": ruled.delete,
        "warnBytes": ruled.warn_bytes,
        "deleteBytes": ruled.delete_bytes,
        "unconsumedSeconds": seconds(ruled.no_consumer),
        "graceSeconds": seconds(ruled.grace).unwrap_or_default(),
        "exemptUntil": ruled.exempt_until.map(|until| until.to_string()),
        "remark": ruled.remark,
    })
}

fn show_rules(list: &Value) {
    let heading = [
        "PATTERN",
        "WARN",
        "DELETE",
        "WARN BYTES",
        "DELETE BYTES",
        "NO CONSUMER S",
        "GRACE S",
        "EXEMPT UNTIL",
        "REMARK",
    ];
    let members = [
        "pattern",
        "warnMessages",
        "deleteMessages",
        "warnBytes",
        "deleteBytes",
        "unconsumedSeconds",
        "graceSeconds",
        "exemptUntil",
        "remark",
    ];
    output::table(&heading, &output::rows(list, "rules", &members));
}

fn show_queue(queue: &Value) {
    for member in ["queue", "namespace", "messages", "bytes", "consumers", "state", "type"] {
        output::line(&format!("{member:10} {}", output::text(queue, member)));
    }
    output::table(&["COUNTED", "MESSAGES"], &output::rows(queue, "counts", &["at", "messages"]));
}

fn show_forecast(forecast: &Value) {
    let Some(per_hour) = forecast["perHour"].as_f64() else {
        return output::line("it does not grow, or was not looked at often enough");
    };
    output::line(&format!("grows by     {per_hour:.0} messages an hour"));
    for (label, member) in [("warned of in", "toWarningSeconds"), ("deleted in", "toDeletionSeconds")] {
        let seconds = forecast[member].as_i64().unwrap_or_default();
        output::line(&format!("{label:12} {}", Span::from_millis(seconds.saturating_mul(1000))));
    }
}
