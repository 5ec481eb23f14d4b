//! Sessions that last no longer than their worker lives: it says so again and again, and hears what became of the session.

use std::time::Duration;

use super::Proxy;
use super::heard::UNDECIDED;
use super::record::{OUT_OF_TIME, SESSIONS, by};
use super::sessions::{Live, gone};
use crate::base::{Clock, Error, ProxySessionId, Result};
use crate::domain::auth::Caller;

/// Between two looks whether a session is over: what is under way is cut off that much later at the most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Live {
    /// Whether its time is over, or it was not heard of its worker for too long. The loop ends the rest of it.
    pub fn is_over(&self, clock: &Clock) -> bool {
        self.session.ends <= clock.now() || self.is_silent(clock.elapsed())
    }

    /// Cuts off what is under way when it is over.
    pub async fn keep_time(&self, clock: &Clock) {
        while !self.is_over(clock) {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        self.stop.cancel();
    }

    /// Whether its worker was not heard of for as long as it promised, which ends it. `now` is of the steady clock.
    pub fn is_silent(&self, now: Duration) -> bool {
        self.heard.as_ref().is_some_and(|heard| heard.is_silent(now))
    }
}

impl Proxy {
    /// Notes that the worker of a session lives. One that was silent for too long does not wake it any more.
    ///
    /// # Errors
    /// `NotFound` for a session that this process does not know, or that was opened by somebody else: its worker may open
    /// another one. `Conflict` with the reason for one whose end was decided. `Unavailable` while it is being ended.
    pub fn hear(&self, caller: &Caller, id: &ProxySessionId) -> Result<()> {
        let live = self.live().get(id).cloned();
        if let Some(live) = live.filter(|live| live.session.opener == by(caller)) {
            let now = self.clock.elapsed();
            if live.session.ends <= self.clock.now() {
                return Err(over(id, OUT_OF_TIME));
            }
            if live.is_silent(now) {
                return Err(gone(id));
            }
            if live.stop.is_cancelled() {
                return Err(Error::unavailable(format!("the session `{id}` is being ended: ask again in a moment")));
            }
            live.heard.iter().for_each(|heard| heard.hear(now));
            return Ok(());
        }
        let stored = self.store.read(|tx| tx.get(&SESSIONS, id))?.filter(|session| session.opener == by(caller));
        match stored.and_then(|session| session.ended).filter(|ended| !UNDECIDED.contains(&&*ended.cause)) {
            Some(ended) => Err(over(id, &ended.cause)),
            None => Err(gone(id)),
        }
    }
}

fn over(id: &ProxySessionId, cause: &str) -> Error {
    Error::conflict(format!("the session `{id}` is over: {cause}"))
}
