//! What is done for sessions again and again: those whose time or task is over are ended, and what is old is forgotten.

use std::fmt;
use std::ops::Bound;
use std::time::Duration;

use futures_util::StreamExt;

use super::Proxy;
use super::ledger::{CALLS, CallId};
use super::record::{SESSIONS, TaskRun};
use crate::base::audit::Action;
use crate::base::{ProxySessionId, Result, text};
use crate::domain::auth::Caller;
use crate::ports::system;
use crate::store::WriteTx;

/// How long a session that is over is remembered, with its calls.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Tasks that the queue is asked about at once.
const ASKED_AT_ONCE: usize = 8;
/// Sessions that one pass looks at, and records that it forgets.
const LOOK_MAX: usize = 10_000;
const FORGOTTEN_MAX: usize = 10_000;
const FORGOTTEN_AT_ONCE: usize = 20;
const LOOP: &str = "proxy";

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions that were ended.
    pub ended: usize,
    /// Sessions and calls that were forgotten.
    pub forgotten: usize,
    /// What could not be found out, in words.
    pub troubles: Vec<String>,
}

impl fmt::Display for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if self.ended > 0 {
            words.push(format!("ended {}", text::pluralize(self.ended, "session", "sessions")));
        }
        if self.forgotten > 0 {
            words.push(format!("forgot {}", text::pluralize(self.forgotten, "record", "records")));
        }
        words.extend(self.troubles.iter().cloned());
        f.write_str(&words.join("; "))
    }
}

impl Proxy {
    /// Which sessions a pass would end now, and why.
    pub async fn plan_sweep(&self) -> Result<Vec<String>> {
        let over = self.over(&mut Swept::default()).await?;
        Ok(over.into_iter().map(|(id, cause)| format!("end the session `{id}`: {cause}")).collect())
    }

    /// Ends what is over and forgets what is old.
    pub async fn sweep(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        let caller = Caller::of_loop(LOOP);
        for (id, cause) in self.over(&mut swept).await? {
            match self.end(&caller, &id, cause).await {
                Ok(()) => {
                    swept.ended += 1;
                    self.remove_socket(&id);
                }
                Err(error) => swept.troubles.push(error.message().to_owned()),
            }
        }
        swept.forgotten = self.forget().await?;
        Ok(swept)
    }

    /// Removes the socket that a process left which was killed; one that ends its sessions removes them itself.
    fn remove_socket(&self, id: &ProxySessionId) {
        let path = self.config.sockets.join(format!("{id}.sock"));
        if let Err(error) = system::remove_if_there(&path) {
            tracing::warn!("the socket {} of a session that is over stays: {error}", path.display());
        }
    }

    /// Sessions that are over, with the reason.
    async fn over(&self, swept: &mut Swept) -> Result<Vec<(ProxySessionId, &'static str)>> {
        let now = self.clock.now();
        let stored = self.store.survey(|tx| tx.scan(&SESSIONS, Bound::Unbounded, LOOK_MAX)).await?;
        let open: Vec<_> = stored.into_iter().filter(|(_, session)| session.ended.is_none()).collect();
        let (mut over, mut running) = (Vec::new(), Vec::new());
        for (id, session) in open {
            let live = self.live().get(&id).cloned();
            if live.is_none() {
                over.push((id, "the appliance was started anew"));
            } else if session.ends <= now {
                over.push((id, "its time is over"));
            } else if live.is_some_and(|live| live.stop.is_cancelled()) {
                over.push((id, "it was ended before, and that could not be stored"));
            } else if let Some(task) = session.task {
                running.push((id, task));
            }
        }
        over.extend(self.ended_tasks(running, swept).await.into_iter().map(|id| (id, "its task is over")));
        Ok(over)
    }

    async fn ended_tasks(&self, running: Vec<(ProxySessionId, TaskRun)>, swept: &mut Swept) -> Vec<ProxySessionId> {
        let Some(queue) = &self.queue else { return Vec::new() };
        let looks = running
            .into_iter()
            .map(|(id, TaskRun { task_id, run_id })| async move { (id, queue.is_running(&task_id, run_id).await) });
        let looked: Vec<_> = futures_util::stream::iter(looks).buffer_unordered(ASKED_AT_ONCE).collect().await;
        let mut ended = Vec::new();
        for (id, look) in looked {
            match look {
                Ok(true) => {}
                Ok(false) => ended.push(id),
                Err(error) => swept.troubles.push(format!("whether the task of `{id}` runs: {}", error.message())),
            }
        }
        ended
    }

    /// Forgets sessions that are over for long, each with its calls and not before them.
    async fn forget(&self) -> Result<usize> {
        let before = self.clock.now().minus(KEPT);
        let (sessions, calls) = self
            .store
            .survey(move |tx| {
                let mut old = tx.scan(&SESSIONS, Bound::Unbounded, LOOK_MAX)?;
                old.retain(|(_, session)| session.ended.as_ref().is_some_and(|ended| ended.at < before));
                let (mut sessions, mut calls) = (Vec::new(), Vec::new());
                for (id, _) in old.into_iter().take(FORGOTTEN_AT_ONCE) {
                    let first = CallId { session: id.clone(), number: 0 };
                    let rows = tx.scan(&CALLS, Bound::Included(&first), FORGOTTEN_MAX)?;
                    let own: Vec<CallId> =
                        rows.into_iter().map(|(call, _)| call).filter(|call| call.session == id).collect();
                    if own.len() < FORGOTTEN_MAX {
                        sessions.push(id);
                    }
                    calls.extend(own);
                }
                Ok((sessions, calls))
            })
            .await?;
        let count = sessions.len() + calls.len();
        if count == 0 {
            return Ok(0);
        }
        let change = move |tx: &mut WriteTx<'_, '_>| {
            for id in &sessions {
                tx.audit(Caller::of_loop(LOOP).note(Action::ProxyForget, id));
                tx.delete(&SESSIONS, id);
            }
            calls.iter().for_each(|id| tx.delete(&CALLS, id));
            Ok(())
        };
        self.store.write(change).await?;
        Ok(count)
    }
}
