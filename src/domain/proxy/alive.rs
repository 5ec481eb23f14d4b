//! Sessions that last no longer than their worker lives: it says so again and again, and hears what became of the session.

use std::time::Duration;

use super::Proxy;
use super::heard::UNDECIDED;
use super::record::{OUT_OF_TIME, SESSIONS, by};
use super::sessions::{Live, gone};
use crate::base::{Error, ProxySessionId, Result};
use crate::domain::auth::Caller;

impl Live {
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
            if live.stop.is_cancelled() {
                return Err(Error::unavailable(format!("the session `{id}` is being ended: ask again in a moment")));
            }
            if live.session.ends <= self.clock.now() {
                return Err(over(id, OUT_OF_TIME));
            }
            if live.is_silent(now) {
                return Err(gone(id));
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
