//! `keylender doctor`: is everything set up so that it will work.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::{Error, Kind};
use crate::domain::health::{Finding, installed};

#[derive(Args)]
pub(super) struct Doctor {
    /// Look besides at what the package installed, in this host or in one whose files begin at ROOT
    #[arg(long, value_name = "ROOT", num_args(0..=1), default_missing_value = "/")]
    install: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(doctor: &Doctor, settings: &Settings) -> Outcome {
    let mut found = Operator::connect(settings)?.call("GET", "/doctor", None).await?;
    if let (Some(root), Some(findings)) = (&doctor.install, found["findings"].as_array_mut()) {
        let shown = |Finding { about, grade, text }| json!({"about": about, "grade": grade.word(), "text": text});
        findings.extend(installed(root).into_iter().map(shown));
    }
    let rows = output::rows(&found, "findings", &["grade", "about", "text"]);
    if doctor.format.json {
        output::json(&found)
    } else {
        output::table(&["GRADE", "ABOUT", "FINDING"], &rows)
    }
    match rows.iter().filter(|row| row[0] == "problem").count() {
        0 => Ok(()),
        count => Err(Error::new(Kind::Unavailable, format!("{count} of {} findings are problems", rows.len())).into()),
    }
}
