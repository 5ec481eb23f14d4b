//! What is done for sessions again and again: those whose time or task is over are ended, and what is old is forgotten.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;

use super::Proxy;
use super::broker::{socket_name, tunnel_name};
use super::heard::{NOT_HEARD, STARTED_ANEW};
use super::ledger::{CALLS, CallId};
use super::record::{OUT_OF_TIME, SESSIONS, TaskRun};
use crate::base::audit::Action;
use crate::base::{NamespaceName, ProxySessionId, Result, text};
use crate::domain::auth::Caller;
use crate::ports::system;
use crate::store::{Survey, WriteTx};

/// How long a session that is over is remembered, with its calls.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Tasks that the queue is asked about at once.
const ASKED_AT_ONCE: usize = 8;
/// Records that one pass forgets, and sessions.
const FORGOTTEN_MAX: usize = 10_000;
const FORGOTTEN_AT_ONCE: usize = 1000;
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
        let mut over = self.over().await?;
        over.extend(self.ended_tasks(&mut Swept::default()).await);
        Ok(over.into_iter().map(|(id, cause)| format!("end the session `{id}`: {cause}")).collect())
    }

    /// Ends what is over and forgets what is old. Whose time is over waits for no queue.
    pub async fn sweep(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        let over = self.over().await?;
        self.end_and_tell(over, &mut swept).await;
        self.has_swept.store(true, Ordering::SeqCst);
        let ended = self.ended_tasks(&mut swept).await;
        self.end_and_tell(ended, &mut swept).await;
        self.end_namespaces(&mut swept).await?;
        swept.forgotten = self.forget().await?;
        Ok(swept)
    }

    async fn end_and_tell(&self, over: Vec<(ProxySessionId, &'static str)>, swept: &mut Swept) {
        let ids: Vec<_> = over.iter().map(|(id, _)| id.clone()).collect();
        let (ended, troubles) = self.end_these(over).await;
        swept.ended += ended;
        swept.troubles.extend(troubles);
        ids.iter().for_each(|id| self.remove_sockets(id));
    }

    /// Ends namespaces that a process left which was killed, or that were lent while their session ended.
    async fn end_namespaces(&self, swept: &mut Swept) -> Result<()> {
        if !self.has_lent.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let outcome = self.namespaces.of_sessions().await;
        let mut left: BTreeMap<ProxySessionId, Vec<NamespaceName>> = BTreeMap::new();
        for (name, session) in outcome.inspect_err(|_| self.has_lent.store(true, Ordering::SeqCst))? {
            left.entry(session).or_default().push(name);
            // Looked for until there are none.
            self.has_lent.store(true, Ordering::SeqCst);
        }
        left.retain(|session, _| !self.live().contains_key(session));
        let ended = self.namespaces.end_of_sessions(&Caller::of_loop(LOOP), left.into_iter().collect()).await?;
        swept.troubles.extend(ended.err().map(|error| format!("namespaces of sessions: {}", error.message())));
        Ok(())
    }

    /// Removes the sockets that a process left which was killed; one that ends its sessions removes them itself.
    fn remove_sockets(&self, id: &ProxySessionId) {
        let declared = self.declared();
        let tunnels = declared.iter().map(|open| tunnel_name(id, &open.declared.upstream.name));
        for name in tunnels.chain([id.to_string()]) {
            let path = self.config.sockets.join(socket_name(&name));
            if let Err(error) = system::remove_if_there(&path) {
                tracing::warn!("the socket {} of a session that is over stays: {error}", path.display());
            }
        }
    }

    /// Sessions that are over by their time, or that another process left, with the reason.
    async fn over(&self) -> Result<Vec<(ProxySessionId, &'static str)>> {
        let now = self.clock.now();
        let mut over = Vec::new();
        for (id, live) in self.live().iter() {
            // Whoever ends it now does that to the end.
            if live.closing.turn.try_lock().is_err() {
                continue;
            }
            if live.session.ends <= now {
                over.push((id.clone(), OUT_OF_TIME));
            } else if live.is_silent(self.clock.elapsed()) {
                over.push((id.clone(), NOT_HEARD));
            } else if live.stop.is_cancelled() {
                over.push((id.clone(), "it was ended before, and that could not be stored"));
            }
        }
        // Only a process before this one leaves sessions that nobody asks.
        if !self.has_swept.load(Ordering::SeqCst) {
            let open = |tx: &Survey<'_>| {
                let mut open = Vec::new();
                tx.each(&SESSIONS, |id, session| {
                    if session.ended.is_none() {
                        open.push(id);
                    }
                })?;
                Ok(open)
            };
            let left = self.store.survey(open).await?;
            let live = self.live();
            over.extend(left.into_iter().filter(|id| !live.contains_key(id)).map(|id| (id, STARTED_ANEW)));
        }
        Ok(over)
    }

    /// Sessions whose task's run is over.
    async fn ended_tasks(&self, swept: &mut Swept) -> Vec<(ProxySessionId, &'static str)> {
        let Some(queue) = &self.queue else { return Vec::new() };
        // Services beside a task are many sessions of one run.
        let mut running: BTreeMap<TaskRun, Vec<ProxySessionId>> = BTreeMap::new();
        for (id, live) in self.live().iter() {
            if let Some(task) = &live.session.task {
                running.entry(task.clone()).or_default().push(id.clone());
            }
        }
        let looks = running.into_iter().map(|(TaskRun { task_id, run_id }, ids)| async move {
            let look = queue.is_running(&task_id, run_id).await;
            (task_id, ids, look)
        });
        let looked: Vec<_> = futures_util::stream::iter(looks).buffer_unordered(ASKED_AT_ONCE).collect().await;
        let mut ended = Vec::new();
        for (task, ids, look) in looked {
            match look {
                Ok(true) => {}
                Ok(false) => ended.extend(ids.into_iter().map(|id| (id, "its task is over"))),
                Err(error) => swept.troubles.push(format!("whether the task `{task}` runs: {}", error.message())),
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
                let mut old = Vec::new();
                tx.each(&SESSIONS, |id, session| {
                    let is_old = session.ended.as_ref().is_some_and(|ended| ended.at < before);
                    if is_old && old.len() < FORGOTTEN_AT_ONCE {
                        old.push(id);
                    }
                })?;
                let (mut sessions, mut calls) = (Vec::new(), Vec::new());
                for id in old {
                    if calls.len() >= FORGOTTEN_MAX {
                        break;
                    }
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
