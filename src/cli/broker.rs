//! `keylender broker`: the broker, and the administrator that we are to it.

use clap::Subcommand;
use serde_json::Value;

use super::act::{self, Printed};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::Error;
use crate::domain::actions::broker::ROTATE;

#[derive(Subcommand)]
pub(super) enum Broker {
    /// Shows how the broker is and who Keylender is to it
    #[command(after_help = "Example:\n  keylender broker show")]
    Show(Format),
    /// Becomes another administrator with a new password, and removes the one before
    #[command(
        long_about = "Makes a broker user of Keylender's own with a new password, proves that it works, becomes it, and \
                      removes the one before. RABBIT_USERNAME and its password are not changed: they are the way back when \
                      the broker refuses what Keylender knows.",
        after_help = "Example:\n  keylender broker rotate"
    )]
    Rotate(Printed),
}

pub(super) async fn run(command: Broker, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Broker::Show(format) => {
            let broker = operator.call("GET", "/broker", None).await?;
            if format.json { output::json(&broker) } else { show(&broker) }
        }
        Broker::Rotate(Printed { format, given }) => {
            let Some(rotated) = act::run(&operator, &ROTATE.about, &[], &given, None).await? else { return Ok(()) };
            if format.json {
                output::json(&rotated)
            } else {
                output::line(&format!("the administrator is {} now", output::text(&rotated, "administrator")))
            }
            if rotated["retired"] == false {
                let text =
                    "the administrator before could not be removed yet: its password works until `reconcile` did that";
                return Err(Error::unavailable(text).into());
            }
        }
    }
    Ok(())
}

fn show(broker: &Value) {
    for (label, member) in [
        ("broker", "health"),
        ("acting as", "acting"),
        ("known from", "from"),
        ("administrator", "administrator"),
        ("since", "rotated"),
        ("begun", "incoming"),
    ] {
        output::line(&format!("{label:14} {}", output::text(broker, member)));
    }
    if broker["refused"] == true {
        output::line(
            "\nThe broker refuses that administrator; the login of the settings stands in until `reconcile` made it good.",
        );
    }
    let rows = output::rows(broker, "accounts", &["account", "usable", "settled"]);
    if !rows.is_empty() {
        output::line("");
        output::table(&["BROKER USER", "MAY LOG IN", "SETTLED"], &rows);
    }
    let rows = output::rows(broker, "sites", &["site", "grade", "health"]);
    if !rows.is_empty() {
        output::line("");
        output::table(&["FURTHER BROKER", "STATE", "SAYS"], &rows);
    }
}
