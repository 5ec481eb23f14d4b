//! `keylender loop`: the loops that run by themselves.

use clap::Subcommand;
use serde_json::Value;

use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;

#[derive(Subcommand)]
pub(super) enum Loop {
    /// Lists the loops: when they ran, how it went, when they run again
    #[command(after_help = "Example:\n  keylender loop list --json")]
    List(Format),
    /// Shows what a run would do now
    #[command(after_help = "Example:\n  keylender loop plan rotate")]
    Plan {
        /// The loop
        name: String,
    },
    /// Runs a loop now
    #[command(after_help = "Example:\n  keylender loop run reconcile")]
    Run {
        /// The loop
        name: String,
    },
    /// Keeps a loop from running by itself
    #[command(after_help = "Example:\n  keylender loop pause expire")]
    Pause {
        /// The loop
        name: String,
    },
    /// Lets the next run do what the brake stopped
    #[command(after_help = "Example:\n  keylender loop release expire")]
    Release {
        /// The loop
        name: String,
    },
    /// Takes a pause back
    #[command(after_help = "Example:\n  keylender loop resume expire")]
    Resume {
        /// The loop
        name: String,
    },
}

pub(super) async fn run(command: Loop, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    let path = |name: &str, verb: &str| format!("/loops/{}/{verb}", output::segment(name));
    match command {
        Loop::List(format) => {
            let list = operator.call("GET", "/loops", None).await?;
            match format.json {
                true => output::json(&list),
                false => output::table(
                    &["LOOP", "DUE", "PAUSED", "LAST SUCCESS", "FAILURES", "LAST ERROR", "BRAKE", "LAST REPORT"],
                    &output::rows(
                        &list,
                        "loops",
                        &["name", "due", "paused", "lastSuccess", "failures", "lastError", "brake", "lastReport"],
                    ),
                ),
            }
        }
        Loop::Plan { name } => report(&operator.call("GET", &path(&name, "plan"), None).await?),
        Loop::Run { name } => report(&output::working("running the loop", operator.work(&path(&name, "run"))).await?),
        Loop::Release { name } => report(&operator.call("POST", &path(&name, "release"), None).await?),
        Loop::Pause { name } => drop(operator.call("POST", &path(&name, "pause"), None).await?),
        Loop::Resume { name } => drop(operator.call("POST", &path(&name, "resume"), None).await?),
    }
    Ok(())
}

fn report(document: &Value) {
    let report = output::value(document, "report");
    output::line(if report.is_empty() { "nothing to do" } else { &report });
}
