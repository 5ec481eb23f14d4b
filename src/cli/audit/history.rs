//! Who had what, at a moment or over time.

use clap::Args;
use serde_json::Value;

use super::pages::Query;
use crate::app::operate::Operator;
use crate::base::{Error, Result, Timestamp};
use crate::cli::{moment, output};

#[derive(Args)]
pub(in crate::cli) struct At {
    /// The moment: a time such as 2026-11-20T14:03Z, or `2 hours` for that long ago
    #[arg(value_name = "TIME", value_parser = moment)]
    time: Timestamp,
    #[command(flatten)]
    of: Of,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(group(clap::ArgGroup::new("of").required(true).multiple(true).args(["object", "holder"])))]
pub(in crate::cli) struct Held {
    #[command(flatten)]
    of: Of,
    /// Only what was held at this moment or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only until this moment
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Of whom.
#[derive(Args)]
struct Of {
    /// Only this thing: a namespace, broker user, host, client or client id
    #[arg(long)]
    object: Option<String>,
    /// Only this holder: a client id, a host, or as `audit show` shows them (`local uid 0`)
    #[arg(long)]
    holder: Option<String>,
}

pub(super) async fn at(operator: &Operator, command: At) -> Result<()> {
    let time = command.time.to_string();
    let query = Query::of([("time", Some(time)), ("object", command.of.object), ("holder", command.of.holder)]);
    ask(operator, "at", &query, command.json).await
}

pub(super) async fn over_time(operator: &Operator, command: Held) -> Result<()> {
    let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
    let query = Query::of([
        ("object", command.of.object),
        ("holder", command.of.holder),
        ("since", text(command.since)),
        ("until", text(command.until)),
    ]);
    ask(operator, "held", &query, command.json).await
}

/// It reads the whole log, so it may take as long as a run of a loop.
async fn ask(operator: &Operator, what: &str, query: &Query, json: bool) -> Result<()> {
    let answer = operator.fetch_at_length(&format!("/audit/{what}?{}", query.as_str())).await?;
    let told: Value =
        serde_json::from_slice(&answer).map_err(|e| Error::unavailable("the answer is not JSON").because(e))?;
    if json {
        output::json(&told);
        return Ok(());
    }
    let columns = ["kind", "object", "part", "holder", "from", "since", "until", "ended"];
    output::table(
        &["KIND", "OBJECT", "PART", "HOLDER", "FROM", "SINCE", "UNTIL", "ENDED"],
        &output::rows(&told, "held", &columns),
    );
    // Also when the time asked for is later: what was lent before the beginning may have been held then.
    if told["begins"].is_object() {
        output::complain(&format!(
            "the log begins with entry {} at {}: what was lent before and not since is missing here",
            told["begins"]["seq"],
            output::text(&told["begins"], "time")
        ));
    }
    if told["more"] == true {
        output::complain("there is more than is shown: narrow it by --object, --holder, --since and --until");
    }
    match told["unreadable"].as_u64() {
        None | Some(0) => {}
        Some(count) => output::complain(&format!("{count} entries cannot be read by this version and were left out")),
    }
    Ok(())
}
