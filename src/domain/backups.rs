//! Backups: taken and checked, kept for a while, and proven by a restore drill.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use super::auth::Caller;
use crate::base::audit::{Action, Actor, Note, Outcome};
use crate::base::{Error, Result, Timestamp};
use crate::store::{BackupDirectory, Checked, Drilled, Lent, Listed, Store, Table};

/// How backups fared, by their names.
const FATES: Table<String, Fate> = Table::plain("backups");
/// Names that are remembered; as many as the directory lists.
const FATES_MAX: usize = 10_000;

/// What is known of a backup besides its file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// When it was last read to its end and found whole.
    pub verified: Option<Timestamp>,
    /// When a store was last made of it, on trial.
    pub drilled: Option<Timestamp>,
    /// What was wrong with it at the last look.
    pub problem: Option<String>,
}

/// What the settings say of backups.
#[derive(Clone, Debug)]
pub struct Config {
    pub directory: BackupDirectory,
    /// Where the restore drill makes its store, and takes it away again.
    pub aside: PathBuf,
    pub keep: usize,
    /// How often one is taken.
    pub period: Duration,
}

/// The keeper of the backups. Cheap to clone.
#[derive(Clone)]
pub struct Backups {
    store: Store,
    config: Arc<Config>,
    /// One at a time writes or drills: both want the disk.
    busy: Arc<tokio::sync::Mutex<()>>,
}

/// A backup that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub name: String,
    pub checked: Checked,
    /// Older ones that went for it.
    pub removed: Vec<String>,
}

impl Backups {
    /// A keeper of a store's backups.
    pub fn new(store: Store, config: Config) -> Self {
        Self { store, config: Arc::new(config), busy: Arc::default() }
    }

    /// Takes a backup, checks it, and then removes the oldest ones beyond as many as are kept.
    pub async fn take(&self, caller: &Caller) -> Result<Taken> {
        let _busy = self.busy.lock().await;
        let taken = self.blocking(|store, config| config.directory.take(store)).await;
        let (name, checked) = match taken {
            Ok(taken) => taken,
            Err(error) => return Err(self.note_failure(caller.note(Action::BackupTake, "backup"), error).await),
        };
        let note = caller
            .note(Action::BackupTake, &name)
            .with("records", checked.contents.records)
            .with("entries", checked.contents.entries)
            .with("head", checked.label.head.clone());
        self.remember(name.clone(), note, |fate, now| (fate.verified, fate.problem) = (Some(now), None)).await?;
        let removed = self.remove_oldest(caller, &name).await?;
        Ok(Taken { name, checked, removed })
    }

    /// The backups, oldest first, and how they fared.
    pub async fn list(&self) -> Result<Vec<(Listed, Fate)>> {
        let config = self.config.clone();
        let survey = self.store.survey(move |tx| {
            let fate = |listed: Listed| Ok((tx.get(&FATES, &listed.name)?.unwrap_or_default(), listed));
            let listed = config.directory.list()?.into_iter();
            listed.map(fate).map(|pair| pair.map(|(fate, listed)| (listed, fate))).collect()
        });
        survey.await
    }

    /// How often one is taken.
    pub fn period(&self) -> Duration {
        self.config.period
    }

    /// Names of those beyond as many as are kept, once there is one more.
    pub fn surplus(&self) -> Result<Vec<String>> {
        let names: Vec<String> = self.config.directory.list()?.into_iter().map(|listed| listed.name).collect();
        let surplus = (names.len() + 1).saturating_sub(self.config.keep);
        Ok(names.into_iter().take(surplus).collect())
    }

    /// Reads a backup to its end; the newest one when none is named.
    ///
    /// # Errors
    /// [`crate::base::Kind::NotFound`] for a name that none has; [`crate::base::Kind::Conflict`] for one that is damaged.
    pub async fn verify(&self, caller: &Caller, name: Option<String>) -> Result<(String, Checked)> {
        let name = self.pick_name(name)?;
        let path = self.config.directory.path(&name)?;
        let checked = self.blocking(move |store, _| store.check_backup(open(&path)?)).await;
        let note = caller.note(Action::BackupVerify, &name);
        match checked {
            Ok(checked) => {
                self.remember(name.clone(), note, |fate, now| (fate.verified, fate.problem) = (Some(now), None))
                    .await?;
                Ok((name, checked))
            }
            Err(error) => Err(self.found_bad(name, note, error).await),
        }
    }

    /// The sealed file of a backup and its length, for who takes it out of the house.
    pub async fn hand_out(&self, caller: &Caller, name: String) -> Result<Lent<(std::fs::File, u64)>> {
        let path = self.config.directory.path(&name)?;
        let opened = self.blocking(move |_, _| {
            let file = open(&path)?;
            let meta = file.metadata().map_err(|e| Error::unavailable("the backup cannot be read").because(e))?;
            Ok((file, meta.len()))
        });
        let opened = opened.await?;
        let note = caller.note(Action::BackupDownload, &name).with("bytes", opened.1);
        self.store.write(move |tx| Ok(tx.lend(note, opened))).await
    }

    /// Makes a store of the newest backup, aside, opens it and walks its chain: the proof that there is a way back.
    /// `None` when there is no backup.
    pub async fn drill(&self, caller: &Caller) -> Result<Option<(String, Drilled)>> {
        let _busy = self.busy.lock().await;
        let Some(newest) = self.config.directory.newest()? else { return Ok(None) };
        let path = self.config.directory.path(&newest.name)?;
        let drilled = self.blocking(move |store, config| store.drill(&path, &config.aside)).await;
        let note = caller.note(Action::BackupDrill, &newest.name);
        match drilled {
            Ok(drilled) => {
                let name = newest.name.clone();
                self.remember(name, note, |fate, now| (fate.drilled, fate.problem) = (Some(now), None)).await?;
                Ok(Some((newest.name, drilled)))
            }
            Err(error) => Err(self.found_bad(newest.name, note, error).await),
        }
    }

    /// When a store was restored: writes that down, and lets every broker user get its password again, for the broker may
    /// have later ones. To be called before anything is lent; may be repeated after a crash.
    pub async fn take_up_restored(&self, accounts: &Accounts) -> Result<bool> {
        let Some(from) = self.store.restored_from()? else { return Ok(false) };
        let doubted = accounts.resync_all(|| Note::done(Actor::Appliance, Action::StoreRestore, "accounts")).await?;
        let note = Note::done(Actor::Appliance, Action::StoreRestore, "store")
            .with("made", from.made.to_string())
            .with("lastEntry", from.last_entry)
            .with("accounts", u64::try_from(doubted).unwrap_or(u64::MAX));
        self.store.note(note).await?;
        self.store.forget_restored().await?;
        tracing::warn!(
            "the store was restored from a backup of {}: what was lent and changed since is not in it, and {doubted} \
             broker users get the passwords that it has",
            from.made
        );
        Ok(true)
    }

    fn pick_name(&self, name: Option<String>) -> Result<String> {
        let newest = || self.config.directory.newest().map(|newest| newest.map(|listed| listed.name));
        match name {
            Some(name) => Ok(name),
            None => newest()?.ok_or_else(|| Error::not_found("there is no backup yet: see `keylender backup now`")),
        }
    }

    /// Not the one just taken: after a clock was set back, others may seem to be newer.
    async fn remove_oldest(&self, caller: &Caller, taken: &str) -> Result<Vec<String>> {
        let names: Vec<String> = self.config.directory.list()?.into_iter().map(|listed| listed.name).collect();
        let surplus = names.len().saturating_sub(self.config.keep);
        let mut removed = Vec::new();
        for name in names.into_iter().filter(|name| name != taken).take(surplus) {
            self.config.directory.remove(&name)?;
            let note = caller.note(Action::BackupDelete, &name);
            let gone = name.clone();
            self.store
                .write(move |tx| {
                    tx.delete(&FATES, &gone);
                    tx.audit(note);
                    Ok(())
                })
                .await?;
            removed.push(name);
        }
        Ok(removed)
    }

    async fn remember(
        &self,
        name: String,
        note: Note,
        change: impl FnOnce(&mut Fate, Timestamp) + Send + 'static,
    ) -> Result<()> {
        self.store
            .write(move |tx| {
                if tx.get(&FATES, &name)?.is_none() && tx.scan(&FATES, FATES_MAX)?.len() >= FATES_MAX {
                    return Err(Error::conflict("there are too many backups: remove some"));
                }
                let mut fate = tx.get(&FATES, &name)?.unwrap_or_default();
                change(&mut fate, tx.now());
                tx.audit(note);
                tx.put(&FATES, &name, &fate)
            })
            .await
    }

    /// Writes down what is wrong with a backup, and returns that.
    async fn found_bad(&self, name: String, note: Note, error: Error) -> Error {
        let problem = error.message().to_owned();
        let note = note.outcome(Outcome::Failed).with("cause", problem.clone());
        match self.remember(name, note, |fate, _| fate.problem = Some(problem)).await {
            Ok(()) => error,
            Err(unwritten) => error.because(unwritten.chain()),
        }
    }

    async fn note_failure(&self, note: Note, error: Error) -> Error {
        let note = note.outcome(Outcome::Failed).with("cause", error.message());
        let told = self.store.note(note);
        match told.await {
            Ok(()) => error,
            Err(unwritten) => error.because(unwritten.chain()),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &Config) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (store, config) = (self.store.clone(), self.config.clone());
        let worked = tokio::task::spawn_blocking(move || work(&store, &config)).await;
        worked.map_err(|e| Error::internal("working on a backup", e))?
    }
}

fn open(path: &std::path::Path) -> Result<std::fs::File> {
    std::fs::File::open(path).map_err(|e| Error::unavailable("the backup cannot be opened").because(e))
}
