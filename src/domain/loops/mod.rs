//! What runs by itself: when each loop is due, how its last run went, whether an operator paused it.
//!
//! A loop takes no argument: it looks at what should be and what is, and may run at any time any number of times. The
//! due times are in the store, so that a restart neither repeats a fresh run nor forgets a due one, and any absence is
//! one run.

mod clock_watch;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, Notify};

pub use clock_watch::ClockWatch;

use super::auth::Caller;
use crate::base::audit::{Action, Actor, Note};
use crate::base::{Error, Result, Timestamp};
use crate::store::{Store, Table};

const LOOPS: Table<String, State> = Table::plain("loops");
/// The pause after a first failure; it doubles up to the loop's period.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// The part of a period over which runs are spread: a tenth, so that the loops of many appliances do not meet.
const JITTER: u32 = 10;
/// Longest report or error kept, in bytes; the log has the whole text.
const TEXT_LEN_MAX: usize = 1000;

/// One run of a loop, or one look at what a run would do. The text says what, and is empty when it is nothing.
pub type Work = Pin<Box<dyn Future<Output = Result<String>> + Send>>;

/// A loop as it is listed in `app/loops.rs`.
pub struct Loop {
    /// Its name in logs, in the audit log and on the command line.
    pub name: &'static str,
    /// How long after the end of a run the next one is due.
    pub period: Duration,
    /// Why that long, for operators.
    pub why: &'static str,
    /// When a loop that never ran is due; at once when none is given.
    pub first: Option<Timestamp>,
    /// Looks at what a run would do now.
    pub plan: Box<dyn Fn() -> Work + Send + Sync>,
    pub run: Box<dyn Fn() -> Work + Send + Sync>,
    /// What stops a run that would delete too much.
    pub brake: Brake,
}

/// Looks whether something is wrong, and says what.
pub type Look = Box<dyn Fn() -> Result<Option<String>> + Send + Sync>;

/// What a longer look will say.
pub type Looked = Pin<Box<dyn Future<Output = Result<Option<String>>> + Send>>;

/// What stops a run until an operator has looked.
pub enum Brake {
    /// Nothing: the loop deletes nothing.
    None,
    /// A look at the clock and at what a run would do. A reason stops it; once released, the next run goes ahead, and
    /// the clock is believed.
    Before(Box<dyn Fn() -> Looked + Send + Sync>, ClockWatch),
    /// The work has a brake of its own: how it is, and how an operator releases it.
    Within(Look, Box<dyn Fn(Caller) -> Work + Send + Sync>),
}

/// What the store knows of a loop.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    due: Option<Timestamp>,
    last_run: Option<Timestamp>,
    last_success: Option<Timestamp>,
    /// How long it took, in milliseconds.
    #[serde(default)]
    last_took_ms: u64,
    last_report: String,
    last_error: String,
    /// Runs in a row that failed.
    failures: u32,
    paused: bool,
    /// Why the brake is on.
    brake: Option<String>,
    /// Whether an operator released it for the next run.
    released: bool,
}

/// How a loop stands, for operators.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The loop.
    pub name: &'static str,
    /// Its period, in seconds.
    pub period_seconds: u64,
    /// Why that long.
    pub why: &'static str,
    /// Whether an operator paused it.
    pub paused: bool,
    /// Why the brake is on, if it is.
    pub brake: Option<String>,
    /// When it runs next, unless it is paused.
    pub due: Timestamp,
    /// When it ran last.
    pub last_run: Option<Timestamp>,
    /// When it ran last without an error.
    pub last_success: Option<Timestamp>,
    /// How long the last run took, in milliseconds.
    pub last_took_ms: u64,
    /// Runs in a row that failed.
    pub failures: u32,
    /// What the last run did.
    pub last_report: String,
    /// Why the last run failed, if it did.
    pub last_error: String,
}

impl Brake {
    /// A brake before the run: the clock first, then what the run would do.
    pub fn before<F>(watch: ClockWatch, look: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<String>>> + Send + 'static,
    {
        let clock = watch.clone();
        let look = move || -> Looked {
            let (why, looked) = (clock.look(), look());
            Box::pin(async move { if why.is_some() { Ok(why) } else { looked.await } })
        };
        Self::Before(Box::new(look), watch)
    }
}

/// The loops of this appliance. Cheap to clone.
#[derive(Clone)]
pub struct Loops {
    store: Store,
    all: Arc<[Entry]>,
}

struct Entry {
    each: Loop,
    /// At most one run at a time.
    running: Mutex<()>,
    nudge: Notify,
    /// Somebody wants a run now, whenever the next one is due.
    wanted: AtomicBool,
}

impl Loops {
    /// These loops, with their states in this store.
    pub fn new(store: Store, loops: Vec<Loop>) -> Self {
        let entry =
            |each| Entry { each, running: Mutex::default(), nudge: Notify::new(), wanted: AtomicBool::new(false) };
        Self { store, all: loops.into_iter().map(entry).collect() }
    }

    /// The names, in the order of the list.
    pub fn names(&self) -> Vec<&'static str> {
        self.all.iter().map(|entry| entry.each.name).collect()
    }

    pub fn list(&self) -> Result<Vec<Status>> {
        self.store.read(|tx| {
            let status = |entry: &Entry| {
                let each = &entry.each;
                let mut state = tx.get(&LOOPS, &each.name.to_owned())?.unwrap_or_default();
                if let Brake::Within(look, _) = &each.brake {
                    state.brake = look()?;
                }
                Ok(status(each, state, tx.now()))
            };
            self.all.iter().map(status).collect()
        })
    }

    /// What a run would do now, in words.
    pub async fn plan(&self, name: &str) -> Result<String> {
        (self.entry(name)?.each.plan)().await
    }

    /// Runs a loop now, for an operator.
    pub async fn run_for(&self, caller: &Caller, name: &str) -> Result<String> {
        let note = caller.note(Action::LoopRun, self.entry(name)?.each.name);
        self.store.note(note).await?;
        self.run(name).await
    }

    /// Keeps a loop from running by itself, or takes that back.
    pub async fn pause(&self, caller: &Caller, name: &str, paused: bool) -> Result<()> {
        let entry = self.entry(name)?;
        let note = caller.note(if paused { Action::LoopPause } else { Action::LoopResume }, name);
        let name = name.to_owned();
        self.store
            .write(move |tx| {
                let mut state = tx.get(&LOOPS, &name)?.unwrap_or_default();
                state.paused = paused;
                tx.audit(note);
                tx.put(&LOOPS, &name, &state)
            })
            .await?;
        entry.nudge.notify_one();
        Ok(())
    }

    /// Lets the next run do what the brake stopped, and makes it due.
    pub async fn release(&self, caller: &Caller, name: &str) -> Result<String> {
        let entry = self.entry(name)?;
        match &entry.each.brake {
            Brake::None => return Err(Error::conflict(format!("loop {name} has no brake: it deletes nothing"))),
            Brake::Within(_, release) => {
                release(caller.clone()).await?;
            }
            Brake::Before(..) => {
                let (note, name) = (caller.note(Action::LoopRelease, name), name.to_owned());
                self.store
                    .write(move |tx| {
                        let mut state = tx.get(&LOOPS, &name)?.unwrap_or_default();
                        let why = state.brake.take();
                        let why = why.ok_or_else(|| Error::conflict("the brake of this loop is not on"))?;
                        state.released = true;
                        tx.audit(note.with("why", why));
                        tx.put(&LOOPS, &name, &state)
                    })
                    .await?;
            }
        }
        self.nudge(name);
        Ok(format!("the next run of {name} goes ahead"))
    }

    /// Whether the brake stops this run; it is noted until it is released or its reason has gone.
    async fn is_braked(&self, entry: &Entry) -> Result<bool> {
        let Brake::Before(look, watch) = &entry.each.brake else { return Ok(false) };
        let (why, name) = (look().await?, entry.each.name);
        let (goes, released) = self
            .store
            .write(move |tx| {
                let mut state = tx.get(&LOOPS, &name.to_owned())?.unwrap_or_default();
                let released = state.released;
                let goes = why.is_none() || released;
                let is_news = state.brake != why;
                (state.brake, state.released) = (if goes { None } else { why }, false);
                if let (Some(why), true) = (&state.brake, is_news) {
                    tracing::error!(loop.name = name, "the brake stops loop {name} until an operator releases it: {why}");
                    tx.audit(Note::done(Actor::Loop(name.into()), Action::LoopBrake, name).with("why", why.clone()));
                }
                tx.put(&LOOPS, &name.to_owned(), &state)?;
                Ok((goes, released))
            })
            .await?;
        if goes && released {
            watch.accept();
        }
        Ok(!goes)
    }

    /// How long until a loop is due; `None` while it is paused.
    pub fn wait(&self, name: &str) -> Result<Option<Duration>> {
        let Entry { each, wanted, .. } = self.entry(name)?;
        self.store.read(|tx| {
            let state = tx.get(&LOOPS, &name.to_owned())?.unwrap_or_default();
            let paused = state.paused;
            let due = status(each, state, tx.now()).due;
            let wait = if wanted.load(Ordering::SeqCst) { Duration::ZERO } else { due.since(tx.now()) };
            Ok((!paused).then_some(wait))
        })
    }

    /// Makes a loop due now. Several nudges before the run are one.
    pub fn nudge(&self, name: &str) {
        if let Ok(entry) = self.entry(name) {
            entry.wanted.store(true, Ordering::SeqCst);
            entry.nudge.notify_one();
        }
    }

    /// Waits until somebody wants a loop to look at its state again.
    pub async fn nudged(&self, name: &str) {
        match self.entry(name) {
            Ok(entry) => entry.nudge.notified().await,
            Err(_) => std::future::pending().await,
        }
    }

    /// Runs a loop and notes how it went and when it is due again. A panic is an error like any other.
    pub async fn run(&self, name: &str) -> Result<String> {
        let entry = self.entry(name)?;
        let _running = entry.running.lock().await;
        // What is wanted from here on is not in this run.
        let mut unended = Unended { entry, was_wanted: entry.wanted.swap(false, Ordering::SeqCst) };
        let clock = self.store.clock();
        let begun = clock.elapsed();
        let outcome = match self.is_braked(entry).await {
            Ok(false) => AssertUnwindSafe((entry.each.run)()).catch_unwind().await,
            Ok(true) => {
                Ok(Err(Error::conflict("the brake is on: see `keylender loop plan` and `keylender loop release`")))
            }
            Err(error) => Ok(Err(error)),
        };
        unended.was_wanted = false;
        let outcome = outcome.unwrap_or_else(|_| Err(Error::internal("running the loop", "it panicked")));
        let took_ms = u64::try_from((clock.elapsed() - begun).as_millis()).unwrap_or(u64::MAX);
        let (name, period) = (entry.each.name, entry.each.period);
        match &outcome {
            Ok(report) if report.is_empty() => {}
            Ok(report) => tracing::info!(loop.name = name, "loop {name}: {report}"),
            Err(error) => tracing::warn!(loop.name = name, "loop {name} failed: {}", error.chain()),
        }
        let (report, error) = match &outcome {
            Ok(report) => (Some(shortened(report)), String::new()),
            Err(error) => (None, shortened(error.message())),
        };
        self.store
            .write(move |tx| {
                let now = tx.now();
                let mut state = tx.get(&LOOPS, &name.to_owned())?.unwrap_or_default();
                state.last_run = Some(now);
                (state.last_error, state.last_took_ms) = (error, took_ms);
                match report {
                    Some(report) => {
                        (state.last_success, state.failures, state.last_report) = (Some(now), 0, report);
                        state.due = Some(now.plus(jittered(name, now, period)));
                    }
                    None => {
                        let pause = FAILURE_PAUSE.saturating_mul(1 << state.failures.min(16));
                        state.failures += 1;
                        state.due = Some(now.plus(pause.min(period)));
                    }
                }
                tx.put(&LOOPS, &name.to_owned(), &state)
            })
            .await?;
        outcome
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.all.iter().find(|entry| entry.each.name == name).ok_or_else(|| {
            Error::not_found(format!("there is no loop `{name}`; there are {}", self.names().join(", ")))
        })
    }
}

/// A run that has not come to its end. If it is dropped before, what it was wanted for is wanted again.
struct Unended<'e> {
    entry: &'e Entry,
    was_wanted: bool,
}

impl Drop for Unended<'_> {
    fn drop(&mut self) {
        if self.was_wanted {
            self.entry.wanted.store(true, Ordering::SeqCst);
            self.entry.nudge.notify_one();
        }
    }
}

fn status(each: &Loop, state: State, now: Timestamp) -> Status {
    // A clock that was set back must not put a loop to sleep: what is due later than any run makes it is due now.
    let first = each.first.filter(|_| state.last_run.is_none());
    let due = state.due.or(first).filter(|due| *due <= now.plus(each.period)).unwrap_or(now);
    Status {
        name: each.name,
        period_seconds: each.period.as_secs(),
        why: each.why,
        paused: state.paused,
        brake: state.brake,
        due,
        last_run: state.last_run,
        last_success: state.last_success,
        last_took_ms: state.last_took_ms,
        failures: state.failures,
        last_report: state.last_report,
        last_error: state.last_error,
    }
}

/// The period less up to a tenth, by name and time: it spreads, and a test repeats.
fn jittered(name: &str, now: Timestamp, period: Duration) -> Duration {
    let digest: [u8; 32] =
        Sha256::new().chain_update(name).chain_update(now.as_millis().to_be_bytes()).finalize().into();
    period - period / JITTER * u32::from(digest[0]) / 255
}

fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_LEN_MAX)].to_owned()
}
