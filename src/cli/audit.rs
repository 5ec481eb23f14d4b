//! `keylender audit`: the log, entry by entry, checked as a whole, and in a file.

mod file;
mod history;
mod pages;

use std::io::{self, IsTerminal as _, Read as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use super::act::{self, Given};
use super::{Outcome, moment, output};
use crate::app::operate::Operator;
use crate::app::settings::Settings;
use crate::base::{Error, Result, Timestamp};
use crate::domain::actions::audit::PRUNE;
use pages::Query;

/// Bytes of a secret on standard input. Any that is lent is far shorter.
const SECRET_LEN_MAX: u64 = 16 << 10;

#[derive(Subcommand)]
pub(super) enum Audit {
    /// Shows the entries, oldest first
    #[command(after_help = "Examples:\n  keylender audit show --from 100 --json\n  \
                            keylender audit show --action 'namespace.*' --actor builds --since '2 hours' --follow")]
    Show(Show),
    /// Checks that no entry was changed, added or taken out; an exported file is checked without a store
    #[command(
        after_help = "Examples:\n  keylender audit verify\n  keylender audit verify audit.jsonl --head 6b045129…"
    )]
    Verify(Verify),
    /// Writes all entries as lines of JSON, the very bytes that the chain is over
    #[command(after_help = "Example:\n  keylender audit export audit.jsonl")]
    Export {
        /// A new file [default: standard output]
        file: Option<PathBuf>,
    },
    /// Removes the oldest entries; a signed checkpoint keeps the rest verifiable
    #[command(after_help = "Examples:\n  keylender audit prune --before '365 days'\n  \
                            keylender audit prune --before 2025-01-01T00:00:00Z --yes")]
    Prune(Prune),
    /// Who held what at a moment, as the log tells it
    #[command(after_help = "Example:\n  keylender audit at 2026-11-20T14:03Z --object taskcluster-builds")]
    At(history::At),
    /// What somebody held, or who held a thing, and from when until when
    #[command(after_help = "Examples:\n  keylender audit held --holder builds --since '30 days'\n  \
                            keylender audit held --object taskcluster-builds-1")]
    Held(history::Held),
    /// Shows the entries about the secret on standard input
    #[command(after_help = "Example:\n  keylender audit find-secret <found-password.txt")]
    FindSecret {
        /// Print JSON, one entry a line, as it is in the chain
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub(super) struct Show {
    /// Begin with this entry
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    from: u64,
    /// Only of this actor: as shown (`client builds`), its name alone, or its kind (`loop`)
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, or all that begin so: `namespace.`, `namespace.c*`
    #[arg(long)]
    action: Option<String>,
    /// Only about this thing
    #[arg(long)]
    object: Option<String>,
    /// Only what ended so
    #[arg(long, value_parser = ["done", "refused", "failed"])]
    outcome: Option<String>,
    /// Only from this moment on: a time such as 2026-11-20T14:03:00Z, or `2 hours` for that long ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only before this moment
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Go on with new entries until Ctrl-C, also when the appliance starts again meanwhile
    #[arg(long)]
    follow: bool,
    /// Print JSON, one entry a line, as it is in the chain
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Verify {
    /// An exported file; `-` for standard input [default: the log of the appliance]
    file: Option<PathBuf>,
    /// The head that the file must end with
    #[arg(long, value_name = "HASH", requires = "file")]
    head: Option<String>,
    /// The public key that must have signed it, as `audit verify` shows it: else somebody may have written it anew
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A checkpoint from the log of the program: what was there then must be there still
    #[arg(long, value_name = "LINE")]
    checkpoint: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Prune {
    /// Remove what is older than this: a time, or how long ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    before: Timestamp,
    /// Do it, not only say what would go
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    given: Given,
}

pub(super) async fn run(command: Audit, settings: &Settings) -> Outcome {
    match command {
        Audit::Show(show) => {
            let query = query(&show);
            if show.follow {
                pages::follow(&Operator::running(settings)?, show.from, &query, show.json).await?
            } else {
                pages::show(&Operator::connect(settings)?, show.from, &query, show.json).await?
            }
        }
        Audit::Verify(Verify { file, head, key, checkpoint, json }) => {
            let expected = file::Expected::read(head, key, checkpoint.as_deref())?;
            match file {
                Some(file) => file::verify(&file, &expected, json)?,
                None => file::verify_live(&Operator::connect(settings)?, &expected, json).await?,
            }
        }
        Audit::Prune(Prune { before, yes, json, given }) => {
            let input = json!({ "before": before.to_string(), "dryRun": !yes });
            let pruned = act::run(&Operator::connect(settings)?, &PRUNE.about, &[], &given, Some(input)).await?;
            let Some(pruned) = pruned else { return Ok(()) };
            if json { output::json(&pruned) } else { output::line(&pruning(&pruned, yes)) }
        }
        Audit::Export { file } => file::export(&Operator::connect(settings)?, file.as_deref()).await?,
        Audit::At(command) => history::at(&Operator::connect(settings)?, command).await?,
        Audit::Held(command) => history::over_time(&Operator::connect(settings)?, command).await?,
        Audit::FindSecret { json } => {
            let secret = secret_on_stdin()?;
            let operator = Operator::connect(settings)?;
            let input = json!({ "secret": secret.as_str() });
            let found = operator.call("POST", "/audit/reference", Some(input)).await?;
            let query = Query::of([("reference", Some(output::value(&found, "reference")))]);
            pages::show(&operator, 1, &query, json).await?;
        }
    }
    Ok(())
}

fn pruning(pruned: &serde_json::Value, is_done: bool) -> String {
    let [entries, through] = ["entries", "through"].map(|member| pruned[member].as_u64().unwrap_or_default());
    match (entries, is_done) {
        (0, _) => "no entry is that old".into(),
        (_, true) => format!("{entries} entries were removed, up to {through}; a signed checkpoint stands for them"),
        (_, false) => format!(
            "{entries} entries would be removed, up to {through}; export the log first, then repeat this with --yes"
        ),
    }
}

fn query(show: &Show) -> Query {
    Query::of([
        ("actor", show.actor.clone()),
        ("action", show.action.clone()),
        ("object", show.object.clone()),
        ("outcome", show.outcome.clone()),
        ("since", show.since.map(|moment| moment.to_string())),
        ("until", show.until.map(|moment| moment.to_string())),
    ])
}

/// The secret without the end of its line. Not from the arguments, which every user of the host can read, nor from a
/// terminal, which would show it.
fn secret_on_stdin() -> Result<Zeroizing<String>> {
    if io::stdin().is_terminal() {
        return Err(Error::invalid("a terminal would show the secret: hand it in by a file or a pipe"));
    }
    let mut text = Zeroizing::new(String::new());
    let unreadable = |e: io::Error| Error::invalid("standard input cannot be read").because(e);
    io::stdin().lock().take(SECRET_LEN_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > SECRET_LEN_MAX {
        return Err(Error::invalid(format!("a secret has at most {SECRET_LEN_MAX} bytes")));
    }
    let len = text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(len);
    if text.is_empty() { Err(Error::invalid("there is no secret on standard input")) } else { Ok(text) }
}
