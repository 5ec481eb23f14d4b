//! `keylender namespace`: namespaces as operators see them.

use clap::Subcommand;
use serde_json::Value;

use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;

#[derive(Subcommand)]
pub(super) enum Namespace {
    /// Lists all namespaces
    #[command(after_help = "Example:\n  keylender namespace list")]
    List(Format),
    /// Shows one namespace with its broker users
    #[command(after_help = "Example:\n  keylender namespace show taskcluster-builds")]
    Show {
        /// The namespace
        name: String,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(command: Namespace, settings: &Settings) -> Outcome {
    let operator = Operator::connect(settings)?;
    match command {
        Namespace::List(format) => {
            let mut rows = Vec::new();
            let mut all = Vec::new();
            let mut path = "/namespaces".to_owned();
            loop {
                let page = operator.call("GET", &path, None).await?;
                rows.extend(output::rows(&page, "namespaces", &["namespace", "created", "expires", "contact"]));
                all.extend(page["namespaces"].as_array().cloned().unwrap_or_default());
                match page["next"].as_str() {
                    Some(next) => path = format!("/namespaces?from={}", output::segment(next)),
                    None => break,
                }
            }
            match format.json {
                true => output::json(&Value::Array(all)),
                false => output::table(&["NAMESPACE", "CREATED", "EXPIRES", "CONTACT"], &rows),
            }
        }
        Namespace::Show { name, format } => {
            let shown = operator.call("GET", &format!("/namespaces/{}", output::segment(&name)), None).await?;
            match format.json {
                true => output::json(&shown),
                false => show(&shown),
            }
        }
    }
    Ok(())
}

fn show(namespace: &Value) {
    for (label, member) in [
        ("namespace", "namespace"),
        ("created", "created"),
        ("expires", "expires"),
        ("contact", "contact"),
        ("active slot", "activeSlot"),
        ("next rotation", "nextRotation"),
    ] {
        output::line(&format!("{label:14} {}", output::text(namespace, member)));
    }
    output::line("");
    let rows = output::rows(namespace, "accounts", &["account", "usable", "settled"]);
    output::table(&["BROKER USER", "MAY LOG IN", "SETTLED"], &rows);
}
