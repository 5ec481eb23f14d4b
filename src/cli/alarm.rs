//! `keylender alarm`: what needs somebody, and noting that somebody has seen it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::act::{self, Given};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::{Error, Result};
use crate::domain::actions::alarms::ACKNOWLEDGE;

#[derive(Subcommand)]
pub(super) enum Alarm {
    /// Lists what needs somebody, the worst first, and who has seen it
    #[command(after_help = "Example:\n  keylender alarm list --json")]
    List(Format),
    /// Notes that somebody has seen an alarm, and prints it: it is quiet until its condition ends or changes
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender alarm acknowledge loop rotate --reason 'paused for the move'"
    )]
    Acknowledge {
        /// As `alarm list` shows it, such as `loop rotate` or `backups old`
        #[arg(required = true, num_args = 1.., value_name = "ALARM")]
        words: Vec<String>,
        /// Only if it says this; otherwise whatever it says now is taken as seen
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
        #[command(flatten)]
        given: Given,
    },
}

pub(super) async fn run(command: Alarm, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Alarm::List(format) => {
            let list = operator.call("GET", "/alarms", None).await?;
            if format.json { output::json(&list) } else { table(&list) }
        }
        Alarm::Acknowledge { words, text, given } => {
            // The names of alarms have spaces: nobody should have to quote them.
            let alarm = words.join(" ");
            let text = match text {
                Some(text) => text,
                None => said(&operator.call("GET", "/alarms", None).await?, &alarm)?,
            };
            let input = json!({ "text": text });
            if act::run(&operator, &ACKNOWLEDGE.about, &[&alarm], &given, Some(input)).await?.is_some() {
                output::line(&format!("acknowledged: {text}"));
            }
        }
    }
    Ok(())
}

/// What an alarm says now.
fn said(list: &Value, alarm: &str) -> Result<String> {
    let alarms = list["alarms"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = alarms.iter().find(|each| each["alarm"] == alarm);
    let names: Vec<&str> = alarms.iter().filter_map(|each| each["alarm"].as_str()).collect();
    found.map(|found| output::value(found, "text")).ok_or_else(|| {
        Error::not_found(if names.is_empty() {
            format!("there is no alarm `{alarm}` now, and no other one")
        } else {
            format!("there is no alarm `{alarm}` now; there are {}", names.join(", "))
        })
    })
}

fn table(list: &Value) {
    let mut rows = output::rows(list, "alarms", &["alarm", "grade", "by", "text"]);
    let alarms = list["alarms"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (row, alarm) in rows.iter_mut().zip(alarms) {
        row[2] = output::text(&alarm["acknowledged"], "by");
    }
    output::table(&["ALARM", "GRADE", "ACKNOWLEDGED BY", "TEXT"], &rows);
}
