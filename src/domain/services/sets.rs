//! Sets of services that run, and those that ran in the last month: the sessions that carry their id.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError};

use super::Services;
use crate::base::{Error, Kind, ProxySessionId, Result, ServiceSetId, Timestamp, WorkerType};
use crate::domain::auth::Caller;
use crate::domain::proxy::{Live, Session, TaskRun, View};

/// Services that run beside one run of a task.
#[derive(Clone, Debug)]
pub struct SetView {
    /// The set.
    pub set: ServiceSetId,
    /// Each of them, by its name.
    pub services: Vec<View>,
}

impl SetView {
    fn first(&self) -> Option<&Session> {
        self.services.first().map(|view| &view.session)
    }

    /// Who opened it, as the audit log names them.
    pub fn opener(&self) -> &str {
        self.first().map_or("", |session| &session.opener)
    }

    /// The task, if it is one's.
    pub fn task(&self) -> Option<&TaskRun> {
        self.first()?.task.as_ref()
    }

    /// Whose worker runs it.
    pub fn worker_type(&self) -> Option<&WorkerType> {
        Some(&self.first()?.service.as_ref()?.worker_type)
    }

    /// Since when.
    pub fn opened(&self) -> Option<Timestamp> {
        self.services.iter().map(|view| view.session.opened).min()
    }

    /// Until when at the latest, or when it ended.
    pub fn ends(&self) -> Option<Timestamp> {
        let end = |view: &View| view.session.ended.as_ref().map_or(view.session.ends, |ended| ended.at);
        self.services.iter().map(end).max()
    }

    /// Whether all of it has ended.
    pub fn is_over(&self) -> bool {
        self.services.iter().all(|view| view.session.ended.is_some())
    }

    /// Why it ended.
    pub fn cause(&self) -> Option<&str> {
        let ended = self.is_over().then(|| self.first()?.ended.as_ref()).flatten()?;
        Some(&ended.cause)
    }

    /// Calls of all its services.
    pub fn calls(&self) -> u64 {
        self.services.iter().map(|view| view.calls).sum()
    }
}

/// What a session says of its end, before the cause.
const OVER: &str = " is over: ";
/// Sets of which this process knows the sessions: those that are open, and some that were.
const KNOWN_MAX: usize = 4096;

/// Sessions of sets, the last that were opened.
#[derive(Default)]
pub(super) struct Known {
    sessions: BTreeMap<ServiceSetId, Vec<ProxySessionId>>,
    /// From the first to the last.
    order: VecDeque<ServiceSetId>,
}

fn unknown(set: &ServiceSetId) -> Error {
    Error::not_found(format!("there is no open set of services `{set}`"))
}

impl Services {
    /// All sets that are kept, the youngest first.
    pub async fn sets(&self) -> Result<Vec<SetView>> {
        let mut sets: BTreeMap<ServiceSetId, Vec<View>> = BTreeMap::new();
        for view in self.proxy.sessions().await? {
            if let Some(service) = &view.session.service {
                sets.entry(service.set.clone()).or_default().push(view);
            }
        }
        let mut sets: Vec<_> = sets.into_iter().map(|(set, services)| SetView { set, services }).collect();
        sets.sort_by_key(|set| std::cmp::Reverse(set.opened()));
        let name = |view: &View| view.session.service.as_ref().map(|service| service.name.clone());
        sets.iter_mut().for_each(|set| set.services.sort_by_cached_key(name));
        Ok(sets)
    }

    /// One of them.
    ///
    /// # Errors
    /// `NotFound` for one that nobody knows.
    pub async fn set(&self, set: &ServiceSetId) -> Result<SetView> {
        let known = self.sessions_of(set);
        if !known.is_empty() {
            let services = known.iter().map(|id| self.proxy.session(id)).collect::<Result<_>>()?;
            return Ok(SetView { set: set.clone(), services });
        }
        let found = self.sets().await?.into_iter().find(|view| view.set == *set);
        found.ok_or_else(|| Error::not_found(format!("there is no set of services `{set}`")))
    }

    /// Knows the sessions of a set from now on.
    pub fn know(&self, set: &ServiceSetId, sessions: Vec<ProxySessionId>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.sessions.insert(set.clone(), sessions);
        known.order.push_back(set.clone());
        if known.order.len() > KNOWN_MAX
            && let Some(first) = known.order.pop_front()
        {
            known.sessions.remove(&first);
        }
    }

    fn sessions_of(&self, set: &ServiceSetId) -> Vec<ProxySessionId> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.sessions.get(set).cloned().unwrap_or_default()
    }

    /// Notes that the worker of a set lives.
    ///
    /// # Errors
    /// As for a session: `NotFound` for one that this process does not know, `Conflict` with the reason for one whose end was
    /// decided.
    pub fn hear(&self, caller: &Caller, set: &ServiceSetId) -> Result<()> {
        let of_set = |error: Error| match error.kind() {
            Kind::NotFound => unknown(set),
            _ => error.reworded(|message| match message.split_once(OVER) {
                Some((_, cause)) => format!("the services `{set}` are over: {cause}"),
                None => message,
            }),
        };
        let live = self.live_of(set);
        if live.is_empty() {
            // What became of it is told by one of its sessions.
            let last = self.sessions_of(set).into_iter().next().ok_or_else(|| unknown(set))?;
            return self.proxy.hear(caller, &last).map_err(of_set);
        }
        live.iter().try_for_each(|live| self.proxy.hear(caller, &live.id)).map_err(of_set)
    }

    /// Ends a set in the name of who opened it.
    ///
    /// # Errors
    /// `NotFound` for one that is not open, or that was opened by somebody else.
    pub async fn close(&self, caller: &Caller, set: &ServiceSetId) -> Result<()> {
        let live = self.live_of(set);
        if live.is_empty() {
            return Err(unknown(set));
        }
        let ends = live.iter().map(|live| self.proxy.close(caller, &live.id));
        let ended: Result<()> = futures_util::future::join_all(ends).await.into_iter().collect();
        ended.map_err(|error| if error.kind() == Kind::NotFound { unknown(set) } else { error })
    }

    /// Ends a set at once: its sessions are closed, and its worker hears of it when it says the next time that it lives.
    ///
    /// # Errors
    /// `NotFound` for one that is not open.
    pub async fn stop(&self, caller: &Caller, set: &ServiceSetId, cause: &str) -> Result<()> {
        let live = self.live_of(set);
        if live.is_empty() {
            return Err(unknown(set));
        }
        let ids: Vec<ProxySessionId> = live.iter().map(|live| live.id.clone()).collect();
        let ends = ids.iter().map(|id| self.proxy.end(caller, id, cause));
        futures_util::future::join_all(ends).await.into_iter().collect()
    }

    /// Sets that are open.
    pub fn open_sets(&self) -> BTreeSet<ServiceSetId> {
        let live = self.proxy.services();
        live.iter().filter_map(|live| live.session.service.as_ref()).map(|service| service.set.clone()).collect()
    }

    /// The services of a set that are open.
    pub fn live_of(&self, set: &ServiceSetId) -> Vec<Arc<Live>> {
        let mut live = self.proxy.services();
        live.retain(|live| live.session.service.as_ref().is_some_and(|service| service.set == *set));
        live
    }
}
