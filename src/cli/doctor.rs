//! `keylender doctor`: is everything set up so that it will work.

use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::{Error, Kind};

pub(super) async fn run(format: &Format, settings: &Settings) -> Outcome {
    let found = Operator::connect(settings)?.call("GET", "/doctor", None).await?;
    let rows = output::rows(&found, "findings", &["grade", "about", "text"]);
    match format.json {
        true => output::json(&found),
        false => output::table(&["GRADE", "ABOUT", "FINDING"], &rows),
    }
    match rows.iter().filter(|row| row[0] == "problem").count() {
        0 => Ok(()),
        count => Err(Error::new(Kind::Unavailable, format!("{count} of {} findings are problems", rows.len())).into()),
    }
}
