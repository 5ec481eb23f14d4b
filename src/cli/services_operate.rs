//! `keylender services list`, `show` and `stop`: those of a running appliance.

use clap::Subcommand;
use serde_json::Value;

use super::act::{self, Given};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::domain::actions::services::STOP;

#[derive(Subcommand)]
pub(super) enum Operate {
    /// Lists the services of tasks, the youngest first
    #[command(after_help = "Example:\n  keylender services list --open")]
    List {
        /// Only those that are open
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Shows the services of a task: what was decided on each image, and what that was given
    #[command(after_help = "Example:\n  keylender services show cqsb5PaVQ0GvPHq1Nn6u8g")]
    Show {
        /// The set of services
        set: String,
        #[command(flatten)]
        format: Format,
    },
    /// Ends the services of a task at once; their worker kills the containers when it hears of it
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender services stop cqsb5PaVQ0GvPHq1Nn6u8g --reason 'it mines coins'"
    )]
    Stop {
        /// The set of services
        set: String,
        #[command(flatten)]
        given: Given,
    },
}

pub(super) async fn run(command: Operate, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Operate::List { open, format } => {
            let mut list = operator.call("GET", "/services", None).await?;
            if let Some(sets) = list["sets"].as_array_mut().filter(|_| open) {
                sets.retain(|set| set["isOver"] == false);
            }
            print(&list, &format, show_list);
        }
        Operate::Show { set, format } => {
            let path = format!("/services/{}", output::segment(&set));
            print(&operator.call("GET", &path, None).await?, &format, show);
        }
        Operate::Stop { set, given } => {
            act::run(&operator, &STOP.about, &[&set], &given, None).await?;
        }
    }
    Ok(())
}

fn print(document: &Value, format: &Format, show: fn(&Value)) {
    if format.json { output::json(document) } else { show(document) }
}

fn show_list(list: &Value) {
    let members = ["set", "workerType", "taskId", "opener", "opened", "ends"];
    let mut rows = output::rows(list, "sets", &members);
    for (row, set) in rows.iter_mut().zip(list["sets"].as_array().into_iter().flatten()) {
        let names: Vec<_> = output::rows(set, "services", &["name"]).into_iter().flatten().collect();
        row.push(if set["isOver"] == true { "yes".into() } else { String::new() });
        row.push(names.join(" "));
    }
    output::table(&["SET", "WORKERS", "TASK", "OPENER", "OPENED", "ENDS", "OVER", "SERVICES"], &rows);
}

fn show(set: &Value) {
    for (label, member) in [
        ("set", "set"),
        ("workers", "workerType"),
        ("task", "taskId"),
        ("run", "runId"),
        ("opened by", "opener"),
        ("opened", "opened"),
        ("ends", "ends"),
        ("because", "cause"),
    ] {
        let text = output::text(set, member);
        if !text.is_empty() {
            output::line(&format!("{label:12} {text}"));
        }
    }
    for service in set["services"].as_array().into_iter().flatten() {
        output::line("");
        for (label, member) in [
            ("service", "name"),
            ("image", "image"),
            ("delegated to", "imageId"),
            ("decided", "decision"),
            ("role", "role"),
            ("scopes", "scopes"),
            ("not held", "notHeld"),
            ("session", "session"),
            ("asked at", "address"),
            ("calls", "calls"),
        ] {
            let text = output::text(service, member);
            if !text.is_empty() {
                output::line(&format!("{label:12} {text}"));
            }
        }
    }
}
