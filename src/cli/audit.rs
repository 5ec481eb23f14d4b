//! `keylender audit`: the log, entry by entry and checked as a whole.

use clap::Subcommand;
use serde_json::Value;

use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;

#[derive(Subcommand)]
pub(super) enum Audit {
    /// Shows the entries, oldest first
    #[command(after_help = "Example:\n  keylender audit show --from 100 --json")]
    Show {
        /// Begin with this entry
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        from: u64,
        /// Print JSON, one entry a line, as it is in the chain
        #[arg(long)]
        json: bool,
    },
    /// Checks that no entry was changed, added or taken out
    #[command(after_help = "Example:\n  keylender audit verify")]
    Verify(Format),
}

pub(super) async fn run(command: Audit, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Audit::Show { from, json } => {
            let mut next = Some(from);
            while let Some(from) = next {
                let page = operator.call("GET", &format!("/audit?from={from}"), None).await?;
                for entry in page["entries"].as_array().into_iter().flatten() {
                    output::line(&if json { entry.to_string() } else { sentence(entry) });
                }
                next = page["next"].as_u64();
            }
        }
        Audit::Verify(format) => {
            let verified = operator.call("POST", "/audit/verify", None).await?;
            match format.json {
                true => output::json(&verified),
                false => output::line(&format!(
                    "the chain is whole: {} entries, head {}",
                    verified["entries"],
                    output::text(&verified, "head")
                )),
            }
        }
    }
    Ok(())
}

fn sentence(entry: &Value) -> String {
    let actor = match &entry["actor"] {
        Value::Object(actor) => {
            actor.iter().map(|(kind, name)| format!("{kind} {}", name.as_str().unwrap_or_default())).collect()
        }
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    let [time, action, object, outcome] =
        ["time", "action", "object", "outcome"].map(|member| output::text(entry, member));
    let details = match &entry["details"] {
        Value::Null => String::new(),
        details => details.to_string(),
    };
    format!("{:>6}  {time}  {actor}  {action} {object}: {outcome}  {details}", entry["seq"].to_string())
        .trim_end()
        .to_owned()
}
