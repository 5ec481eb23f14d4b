//! `keylender loop`: the loops that run by themselves.

use clap::Subcommand;

use super::act::{Act, noun};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::domain::actions::loops as actions;

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
    #[command(flatten)]
    Act(Act<Loops>),
}

noun!(Loops: actions::RUN, actions::PAUSE, actions::RELEASE, actions::RESUME);

pub(super) async fn run(command: Loop, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Loop::List(format) => {
            let list = operator.call("GET", "/loops", None).await?;
            if format.json {
                output::json(&list)
            } else {
                output::table(
                    &["LOOP", "DUE", "PAUSED", "LAST SUCCESS", "FAILURES", "LAST ERROR", "BRAKE", "LAST REPORT"],
                    &output::rows(
                        &list,
                        "loops",
                        &["name", "due", "paused", "lastSuccess", "failures", "lastError", "brake", "lastReport"],
                    ),
                )
            }
        }
        Loop::Plan { name } => {
            let path = format!("/loops/{}/plan", output::segment(&name));
            let plan = output::value(&operator.call("GET", &path, None).await?, "report");
            output::line(if plan.is_empty() { "nothing to do" } else { &plan });
        }
        Loop::Act(act) => act.run(&operator).await?,
    }
    Ok(())
}
