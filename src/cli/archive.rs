//! `keylender queue archive`: the messages of a queue taken out into a file, looked at, and brought back.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::act::{self, Act, Given, Printed, noun};
use super::{Format, Outcome, export, output};
use crate::app::operate::Operator;
use crate::domain::actions::archives::{DELETE, REPLAY, TAKE};

/// Messages that `show` prints unless it is told: they fit a screen.
const SHOWN: &str = "10";
/// Characters of a body in a line of `show`. JSON has more of it, and an export has all.
const BODY_SHOWN_MAX: usize = 60;

#[derive(Subcommand)]
pub(super) enum Archive {
    /// Lists the archives, the newest first
    #[command(after_help = "Example:\n  keylender queue archive list --json")]
    List(Format),
    /// Shows an archive with its first messages, which the audit log notes
    #[command(after_help = "Example:\n  keylender queue archive show 20261130T012345Z-3f9c2a --from 1000 --limit 20")]
    Show(Show),
    /// Takes the messages of a queue that wait out of it, into a sealed file
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender queue archive take queue/taskcluster-builds/jobs --reason 'poisoned, and wanted later'"
    )]
    Take {
        /// The queue
        queue: String,
        #[command(flatten)]
        printed: Printed,
    },
    /// Publishes the messages of an archive into its queue, or into another one of a namespace
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender queue archive replay 20261130T012345Z-3f9c2a --per-second 500 --reason 'it is mended'"
    )]
    Replay(Replay),
    /// Writes all messages as lines of JSON; a body that is no text is in base64
    #[command(after_help = "Example:\n  keylender queue archive export 20261130T012345Z-3f9c2a messages.jsonl")]
    Export {
        /// The archive
        archive: String,
        /// A new file [default: standard output]
        file: Option<PathBuf>,
    },
    #[command(flatten)]
    Act(Act<Archives>),
}

noun!(Archives: DELETE);

#[derive(Args)]
pub(super) struct Show {
    /// The archive
    archive: String,
    /// Begin with this message; the first one is 0
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    from: u64,
    /// How many messages, 1000 at most; with 0 nothing of them is read
    #[arg(long, value_name = "MESSAGES", default_value = SHOWN, value_parser = clap::value_parser!(u16).range(..=1000))]
    limit: u16,
    #[command(flatten)]
    format: Format,
}

#[derive(Args)]
pub(super) struct Replay {
    /// The archive
    archive: String,
    /// Another queue of a namespace [default: the one that they were taken from]
    #[arg(long, value_name = "QUEUE")]
    to: Option<String>,
    /// At most so many messages in a second [default: as fast as the broker takes them]
    #[arg(long, value_name = "MESSAGES")]
    per_second: Option<NonZeroU32>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    given: Given,
}

pub(super) async fn run(command: Archive, operator: &Operator) -> Outcome {
    match command {
        Archive::List(format) => {
            let list = operator.call("GET", "/archives", None).await?;
            if format.json { output::json(&list) } else { show_list(&list) }
        }
        Archive::Show(show) => show_archive(operator, &show).await?,
        Archive::Take { queue, printed: Printed { format, given } } => {
            let Some(taken) = act::run(operator, &TAKE.about, &[&queue], &given, None).await? else { return Ok(()) };
            if format.json { output::json(&taken) } else { output::line(&taking(&taken)) }
        }
        Archive::Replay(Replay { archive, to, per_second, format, given }) => {
            let input = json!({ "to": to, "perSecond": per_second });
            let replayed = act::run(operator, &REPLAY.about, &[&archive], &given, Some(input)).await?;
            let Some(replayed) = replayed else { return Ok(()) };
            if format.json { output::json(&replayed) } else { output::line(&replaying(&replayed)) }
        }
        Archive::Export { archive, file } => {
            let path = format!("/archives/{}/export", output::segment(&archive));
            let exported = export::to(file.as_deref(), async |out| {
                operator.fetch_parts(&path, |part| out.write_all(part).map_err(export::unwritable)).await
            });
            exported.await?;
        }
        Archive::Act(act) => act.run(operator).await?,
    }
    Ok(())
}

fn taking(taken: &Value) -> String {
    let [archive, messages, arrived] = ["archive", "messages", "arrived"].map(|member| output::text(taken, member));
    format!("{archive} has {messages} messages; {arrived} wait in the queue")
}

fn replaying(replayed: &Value) -> String {
    let [messages, queue] = ["messages", "queue"].map(|member| output::text(replayed, member));
    let some = |member, words: &str| {
        let count = replayed[member].as_u64().filter(|count| *count > 0)?;
        Some(format!("; {count} {words}"))
    };
    let skipped = some("skipped", "before them had come with a replay that was broken off");
    let changed = some("changed", "of them without the user or the copies that they named, which the broker acts upon");
    format!(
        "{messages} messages were published into {queue}{}{}",
        skipped.unwrap_or_default(),
        changed.unwrap_or_default()
    )
}

fn show_list(list: &Value) {
    let members = ["archive", "queue", "messages", "fileBytes", "finished", "why", "problem"];
    let heading = ["ARCHIVE", "QUEUE", "MESSAGES", "BYTES", "FINISHED", "WHY", "PROBLEM"];
    output::table(&heading, &output::rows(list, "archives", &members));
}

async fn show_archive(operator: &Operator, Show { archive, from, limit, format }: &Show) -> Outcome {
    let path = format!("/archives/{}", output::segment(archive));
    let mut shown = operator.call("GET", &path, None).await?;
    let is_finished = shown.get("finished").is_some();
    if *limit > 0 && is_finished {
        let page = operator.call("GET", &format!("{path}/messages?from={from}&limit={limit}"), None).await?;
        shown["shown"] = page["messages"].clone();
    }
    if format.json {
        output::json(&shown);
        return Ok(());
    }
    for member in [
        "archive",
        "queue",
        "namespace",
        "type",
        "taken",
        "finished",
        "messages",
        "payloadBytes",
        "fileBytes",
        "head",
        "why",
        "arrived",
        "problem",
    ] {
        output::line(&format!("{member:12} {}", output::text(&shown, member)));
    }
    let rows: Vec<Vec<String>> = shown["shown"].as_array().into_iter().flatten().map(row).collect();
    if !rows.is_empty() {
        output::table(&["NUMBER", "EXCHANGE", "ROUTING KEY", "BYTES", "BODY"], &rows);
    }
    Ok(())
}

fn row(message: &Value) -> Vec<String> {
    let body = if message.get("body").is_some() { "body" } else { "bodyBase64" };
    let shown: String = output::text(message, body).chars().take(BODY_SHOWN_MAX).collect();
    ["number", "exchange", "routingKey", "bytes"]
        .map(|member| output::text(message, member))
        .into_iter()
        .chain([shown])
        .collect()
}
