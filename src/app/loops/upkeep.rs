//! The loops that keep the store, its audit log and archives over the years.

use std::sync::Arc;
use std::time::Duration;

use super::{each, lines, report_done};
use crate::app::settings::Settings;
use crate::base::Result;
use crate::domain::archives::Pruned;
use crate::domain::auth::Caller;
use crate::domain::backups::Taken;
use crate::domain::loops::Loop;
use crate::domain::parts::Parts;
use crate::store::Contents;

/// How often the signed head of the audit log goes to the log. No setting: it is a line.
const CHECKPOINT_PERIOD: Duration = Duration::from_secs(60 * 60);
/// How often the newest backup is made into a store, on trial. A week: it costs as much as a restoration. No setting: a
/// backup that nobody tried is none.
const DRILL_PERIOD: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How often archives of queues are looked through. No setting: what a crash left of one is finished at the next start, and
/// nobody waits for an old one to go.
const ARCHIVES_PERIOD: Duration = Duration::from_secs(60 * 60);
/// When a new appliance takes its first backup: what its operator sets up in the first minutes is in it.
const FIRST_BACKUP: Duration = Duration::from_secs(10 * 60);
/// When it tries that one.
const FIRST_DRILL: Duration = Duration::from_secs(60 * 60);

pub(super) fn list(settings: &Settings, parts: &Arc<Parts>) -> Vec<Loop> {
    vec![
        each(
            "checkpoint",
            CHECKPOINT_PERIOD,
            "an hour of the audit log is the most that could be cut off unseen",
            parts,
            plan_checkpoint,
            tell_checkpoint,
        ),
        Loop {
            first: Some(parts.clock.now().plus(FIRST_BACKUP)),
            ..each(
                "backup",
                settings.backups.period,
                "what is lent and changed since the last one is what a lost disk costs",
                parts,
                plan_backup,
                back_up,
            )
        },
        Loop {
            first: Some(parts.clock.now().plus(FIRST_DRILL)),
            ..each(
                "drill",
                DRILL_PERIOD,
                "that the newest backup becomes a store is known before it is needed",
                parts,
                plan_drill,
                drill,
            )
        },
        each(
            "archives",
            ARCHIVES_PERIOD,
            "what a crash left of an archive is whole again before somebody looks for it",
            parts,
            plan_archives,
            keep_archives,
        ),
    ]
}

async fn plan_archives(parts: Arc<Parts>) -> Result<String> {
    Ok(lines(parts.archives.list_expired().await?, |name| {
        format!("remove the archive {name}: it was kept long enough")
    }))
}

async fn keep_archives(parts: Arc<Parts>) -> Result<String> {
    let Pruned { mended, removed, failed } = parts.archives.prune(&Caller::of_loop("archives")).await?;
    let report = format!("{mended} archives were finished, {removed} were removed, {failed} could not be");
    report_done(report, mended + removed, failed)
}

async fn plan_checkpoint(_: Arc<Parts>) -> Result<String> {
    Ok("write the signed head of the audit log to the log".into())
}

async fn tell_checkpoint(parts: Arc<Parts>) -> Result<String> {
    let told = parts.audit.tell_head()?;
    Ok(told.map(|checkpoint| format!("the head of the log is entry {}", checkpoint.seq)).unwrap_or_default())
}

async fn plan_backup(parts: Arc<Parts>) -> Result<String> {
    let surplus = parts.backups.surplus()?;
    Ok(lines(
        std::iter::once("take a backup".to_owned()).chain(surplus.iter().map(|name| format!("remove {name}"))),
        |line| line,
    ))
}

async fn back_up(parts: Arc<Parts>) -> Result<String> {
    let Taken { name, checked, removed } = parts.backups.take(&Caller::of_loop("backup")).await?;
    let Contents { records, entries } = checked.contents;
    Ok(format!("{name} holds {records} records and {entries} audit entries; {} old ones were removed", removed.len()))
}

async fn plan_drill(_: Arc<Parts>) -> Result<String> {
    Ok("make a store of the newest backup, aside, and look at it".into())
}

async fn drill(parts: Arc<Parts>) -> Result<String> {
    let drilled = parts.backups.drill(&Caller::of_loop("drill")).await?;
    Ok(match drilled {
        None => String::new(),
        Some((name, drilled)) => format!("{name} becomes a store with {} records", drilled.contents.records),
    })
}
