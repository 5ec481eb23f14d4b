//! `keylender queue`: how a queue is and where it is going, the rules that operators set, and ending one by hand.

use clap::Subcommand;
use serde_json::Value;

use super::act::{self, Act, noun};
use super::archive::{self, Archive};
use super::{Format, Outcome, output, queue_rule};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::Span;
use crate::domain::actions::queues;

#[derive(Subcommand)]
pub(super) enum Queue {
    /// Lists the rules; where several match a queue, its own counts, or else the longest
    #[command(after_help = "Example:\n  keylender queue rules --json")]
    Rules(Format),
    /// Sets the rule of a pattern, and replaces the one it had; what is left out is as in the settings
    #[command(after_help = "Example:\n  keylender queue rule 'queue/taskcluster-builds/*' --warn 10000 --limit 30000 \
                            --delete 50000 --archive --grace '6 hours'")]
    Rule(Box<queue_rule::Ruled>),
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

pub(super) async fn run(command: Queue, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Queue::Rules(format) => {
            let list = operator.call("GET", "/queues/rules", None).await?;
            if format.json { output::json(&list) } else { queue_rule::show(&list) }
        }
        Queue::Rule(ruled) => {
            let (about, input) = (&queues::RULE.about, ruled.rule());
            act::run(&operator, about, &[ruled.pattern()], ruled.given(), Some(input)).await?;
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
