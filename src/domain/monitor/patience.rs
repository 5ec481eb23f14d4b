//! Steps that take a queue's messages out, which may take minutes: the pass that began one does not wait for its end, so that
//! the other queues are watched meanwhile.
//!
//! A step that goes on when the appliance stops is broken off as by a crash: what was not acknowledged is in its queue
//! again, and the next start ends the archive.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Monitor;
use super::act::Done;
use super::pass::Look;
use super::plan::{Step, What};
use crate::base::{Error, Result};

/// How long a pass waits for such a step: some 50,000 messages. It is little beside the shortest usual period.
const WAIT: Duration = Duration::from_secs(5);
/// Such steps at once. Archives are taken one after another, so more would only wait for their turn, each with what its pass saw.
const AT_ONCE_MAX: usize = 8;

/// The queues with a step that goes on. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct UnderWay {
    queues: Arc<Mutex<BTreeSet<String>>>,
    /// One at a time looks whether its queue is still over, and goes on: who waits would act on what was so before.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// As long as this lives no other such step is taken for the queue.
struct Place {
    all: UnderWay,
    queue: String,
}

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is such a step for a queue.
    pub(super) fn has(&self, queue: &str) -> bool {
        self.lock().contains(queue)
    }

    fn enter(&self, queue: &str) -> Option<Place> {
        let mut all = self.lock();
        let is_free = all.len() < AT_ONCE_MAX && all.insert(queue.to_owned());
        is_free.then(|| Place { all: self.clone(), queue: queue.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.lock().remove(&self.queue);
    }
}

impl Monitor {
    /// Takes a destructive step, to its end unless it is one that may take long.
    pub(super) async fn destroy_patiently(&self, look: &Arc<Look>, step: &Step) -> Result<Done> {
        if !may_take_long(look, step) {
            return self.destroy(look, step).await;
        }
        let Some(place) = self.under_way.enter(step.object.name()) else { return Ok(Done::UnderWay) };
        let (this, look, step) = (self.clone(), Arc::clone(look), step.clone());
        let mut task = tokio::spawn(async move {
            let _turn = place.all.turn.lock().await;
            let done = match this.stopped_by() {
                Ok(None) => this.destroy(&look, &step).await,
                Ok(Some(_)) => Ok(Done::Spared),
                Err(error) => Err(error),
            };
            if let Err(error) = &done {
                tracing::warn!("could not {step}: {}", error.chain());
            }
            done
        });
        match tokio::time::timeout(WAIT, &mut task).await {
            Ok(ended) => ended.unwrap_or_else(|e| Err(Error::internal("taking a step", e))),
            Err(_) => Ok(Done::UnderWay),
        }
    }
}

fn may_take_long(look: &Look, step: &Step) -> bool {
    let is_archived = || look.book.limits(step.object.name()).archive.is_some();
    step.what == What::Archive || (step.what == What::Delete && step.over.is_some() && is_archived())
}
