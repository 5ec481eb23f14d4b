//! `keylender relay reach`: what an account may do with each queue and exchange.

use clap::Args;
use serde_json::Value;

use super::{Format, Outcome, output};
use crate::app::operate::Operator;

#[derive(Args)]
pub(super) struct Reach {
    /// The account, as the profile calls it
    account: String,
    #[command(flatten)]
    names: Names,
}

/// Names that there may be.
#[derive(Args)]
pub(super) struct Names {
    /// A queue that there may be
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    queue: Option<String>,
    /// An exchange that there may be
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    exchange: Option<String>,
    /// The routing key of messages and bindings
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(Reach { account, names }: Reach, operator: &Operator) -> Outcome {
    show(&format!("/relay/accounts/{}/reach", output::segment(&account)), names, operator).await
}

/// The same of whatever the API says it of at this path.
pub(super) async fn show(path: &str, names: Names, operator: &Operator) -> Outcome {
    let Names { queue, exchange, key, format } = names;
    let asked = [("queue", queue), ("exchange", exchange), ("key", key)].into_iter();
    let asked = asked.filter_map(|(name, value)| Some(format!("{name}={}", output::segment(&value?))));
    let query = asked.collect::<Vec<_>>().join("&");
    let reach = operator.call("GET", format!("{path}?{query}").trim_end_matches('?'), None).await?;
    if format.json {
        output::json(&reach);
        return Ok(());
    }
    let names = reach["names"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = names.map(row).collect();
    output::table(&["VHOST", "KIND", "NAME", "MAY", "NOBODY CAN TELL"], &rows);
    Ok(())
}

fn row(name: &Value) -> Vec<String> {
    let unsure = name["unsure"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|unsure| format!("{} (it {})", output::text(unsure, "operation"), output::text(unsure, "because")));
    let unsure = unsure.collect::<Vec<_>>().join(", ");
    let may = name["may"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let [vhost, kind, name] = ["vhost", "kind", "name"].map(|member| output::text(name, member));
    let name = if name.is_empty() { "(the default one)".to_owned() } else { name };
    vec![vhost, kind, name, may, unsure]
}
