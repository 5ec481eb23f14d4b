//! `keylender backup` and `keylender restore`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::act::{self, Printed};
use super::{Format, Outcome, output};
use crate::app::operate::{self, Operator};
use crate::app::settings::Settings;
use crate::base::{Error, Result};
use crate::domain::actions::backups::TAKE;
use crate::store::Checked;

#[derive(Subcommand)]
pub(super) enum Backup {
    /// Takes a backup, checks it, and removes the oldest ones beyond BACKUP_KEEP
    #[command(after_help = "Example:\n  keylender backup now")]
    Now(Printed),
    /// Lists the backups, oldest first
    #[command(after_help = "Example:\n  keylender backup list --json")]
    List(Format),
    /// Reads a backup to its end: every byte, the audit chain, and how much there is
    #[command(after_help = "Examples:\n  keylender backup verify\n  \
                            keylender backup verify keylender-20261121T030000.000Z.backup\n  \
                            keylender backup verify /mnt/copy/keylender-20261121T030000.000Z.backup")]
    Verify {
        /// A name as `backup list` shows it, or a path [default: the newest one]
        backup: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Backup, settings: &Settings) -> Outcome {
    match command {
        Backup::Now(Printed { format, given }) => {
            let taken = act::run(&Operator::connect(settings)?, &TAKE.about, &[], &given, None).await?;
            taken.inspect(|taken| print_whole(taken, format.json, "was taken and is whole"));
        }
        Backup::List(format) => {
            let list = Operator::connect(settings)?.call("GET", "/backups", None).await?;
            if format.json { output::json(&list) } else { print_list(&list) }
        }
        Backup::Verify { backup: Some(path), json } if path.contains('/') => {
            let (read, file) = (settings.clone(), PathBuf::from(&path));
            let checked = blocking("reading the backup", move || operate::check_backup(&read, &file)).await?;
            print_whole(&document(&path, &checked), json, "is whole");
        }
        Backup::Verify { backup, json } => {
            let path = match backup {
                Some(name) => format!("/backups/{}/verify", output::segment(&name)),
                None => "/backups/verify".to_owned(),
            };
            let operator = Operator::connect(settings)?;
            let whole = output::working("reading the backup", operator.work(&path)).await?;
            print_whole(&whole, json, "is whole");
        }
    }
    Ok(())
}

/// Makes a store of a backup.
pub(super) async fn restore(command: &Restore, settings: &Settings) -> Outcome {
    let (into, file) = (settings.clone(), command.file.clone());
    let checked = blocking("making the store", move || operate::restore(&into, &file)).await?;
    let restored = document(&command.file.display().to_string(), &checked);
    if command.json {
        output::json(&restored);
        return Ok(());
    }
    print_whole(&restored, false, &format!("is restored in {}", settings.data_dir.display()));
    output::line(&format!(
        "what was lent and changed since {} is not in it; when keylender starts, every broker user gets the password that \
         it has here",
        checked.label.made
    ));
    Ok(())
}

/// Waits for work that keeps a thread.
async fn blocking(what: &str, work: impl FnOnce() -> Result<Checked> + Send + 'static) -> Result<Checked> {
    let worked = output::working(what, tokio::task::spawn_blocking(work)).await;
    worked.map_err(|e| Error::internal("working on a backup", e))?
}

fn document(name: &str, checked: &Checked) -> Value {
    json!({
        "name": name,
        "made": checked.label.made.to_string(),
        "records": checked.contents.records,
        "entries": checked.contents.entries,
        "head": checked.label.head,
    })
}

fn print_whole(whole: &Value, json: bool, what: &str) {
    if json {
        return output::json(whole);
    }
    let [name, made, records, entries] =
        ["name", "made", "records", "entries"].map(|member| output::text(whole, member));
    output::line(&format!("{name} {what}: made at {made}, {records} records, {entries} audit entries"));
    for name in whole["removed"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::line(&format!("removed {name}"));
    }
}

fn print_list(list: &Value) {
    let heading = ["NAME", "BYTES", "LAST ENTRY", "VERIFIED", "DRILLED", "PROBLEM"];
    let members = ["name", "bytes", "lastEntry", "verified", "drilled", "problem"];
    output::table(&heading, &output::rows(list, "backups", &members));
}
