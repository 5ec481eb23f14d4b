//! Sessions that are asked: known, given fresh credentials, ended with everything that was lent for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::Proxy;
use super::calls::Recorder;
use super::heard::{Heard, STOPPED};
use super::keys::{Credentials, Key};
use super::lending::Lending;
use super::opening::Opened;
use super::record::{Ended, SESSIONS, Session, by};
use crate::base::audit::Action;
use crate::base::rate::RateLimit;
use crate::base::{Error, ProxySessionId, Result, Scope};
use crate::domain::auth::Caller;
use crate::proto::scopes;
use crate::store::WriteTx;

/// Sessions that are ended at the same time: each may wait for its token service.
const ENDED_AT_ONCE: usize = 16;
/// Who ends sessions by itself.
const LOOP: &str = "proxy";
/// Fresh credentials of one session: workers have some each hour.
pub(super) const REFRESHES_PER_MINUTE: u32 = 60;
/// Sessions at once: those of every worker of a large host.
const SESSIONS_MAX: usize = 1000;

/// A session that is asked. It ends with its token.
#[derive(Debug)]
pub struct Live {
    /// What it is called.
    pub id: ProxySessionId,
    /// What was stored of it.
    pub session: Session,
    /// What may be reached.
    pub opened: Vec<Opened>,
    /// Scopes that were asked for and that the caller does not hold.
    pub not_held: Vec<Scope>,
    /// Upstreams of which nothing was granted, each with the reason.
    pub withheld: Vec<String>,
    /// Where its calls are recorded.
    pub recorder: Recorder,
    /// Calls that were made.
    pub calls: Arc<AtomicU64>,
    /// When its worker was heard of, where that is what it lasts by.
    pub heard: Option<Heard>,
    /// Ends its listeners.
    pub stop: CancellationToken,
    /// What it has of the broker.
    pub(super) lending: Lending,
    /// How often its credentials are replaced.
    pub(super) refreshes: RateLimit<()>,
    /// How it ends.
    pub(super) closing: Closing,
}

/// The end of a session, which comes once, whoever else wants it.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// Held by the one who ends it.
    pub turn: tokio::sync::Mutex<()>,
    /// Who wanted it first, and why: that is what is stored.
    pub first: OnceLock<(Caller, String)>,
}

impl Live {
    /// Has its tokens taken back where their service does that: how many were, and which could not be, and why.
    async fn revoke_tokens(&self) -> (u64, Vec<String>) {
        let (mut revoked, mut not_revoked) = (0, Vec::new());
        for opened in &self.opened {
            if let Key::Minted(minted) = &opened.key {
                let (count, failed) = minted.revoke().await;
                revoked += count;
                not_revoked.extend(failed.map(|error| format!("{}: {}", opened.upstream.name, error.message())));
            }
        }
        (revoked, not_revoked)
    }
}

/// The sessions that are asked now.
pub(super) type Lively = Mutex<BTreeMap<ProxySessionId, Arc<Live>>>;

impl Proxy {
    pub(super) fn know(&self, live: Arc<Live>) -> Result<()> {
        let mut all = self.live();
        if self.is_stopping.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the appliance is about to stop: ask again in a moment"));
        }
        if all.len() >= SESSIONS_MAX {
            return Err(Error::busy(format!("there are {SESSIONS_MAX} sessions: ask again when some have ended")));
        }
        all.insert(live.id.clone(), live);
        Ok(())
    }

    /// Takes fresh credentials for a session. What is under way goes on with the old ones.
    ///
    /// # Errors
    /// `NotFound` for a session that is not open or was opened by somebody else, `Conflict` for one that signs nothing.
    pub async fn refresh(&self, caller: &Caller, id: &ProxySessionId, fresh: Credentials) -> Result<()> {
        let live = self.of(id)?;
        if live.session.opener != by(caller) {
            return Err(gone(id));
        }
        let often = |wait| Error::limited("the credentials of a session are replaced too often", wait);
        live.refreshes.admit((), self.clock.elapsed()).map_err(often)?;
        let Credentials { client_id, access_token, certificate } = fresh;
        let mut replaced = Vec::new();
        for opened in &live.opened {
            let Key::Hawk(signer) = &opened.key else { continue };
            let fresh = signer.delegation().replaced(&client_id, access_token.clone(), certificate.as_deref())?;
            fresh.require_time(self.clock.now())?;
            let certified = fresh.certified.as_deref();
            let lost = fresh
                .authorized
                .iter()
                .flatten()
                .find(|scope| certified.is_some_and(|certified| !scopes::covers(certified, scope.as_str())));
            if let Some(scope) = lost {
                return Err(Error::invalid(format!("the fresh certificate does not cover `{scope}`")));
            }
            replaced.push((signer, fresh));
        }
        if replaced.is_empty() {
            return Err(Error::conflict("this session signs nothing: there is nothing to refresh"));
        }
        self.store.note(caller.note(Action::ProxyRefresh, id).with("client", client_id)).await?;
        for (signer, fresh) in replaced {
            signer.replace(fresh);
        }
        Ok(())
    }

    /// Ends a session: its listener is closed at once, its namespaces end, and its tokens are taken back where their service
    /// does that. Of several who end it the first one counts, and all of them hear that it is over.
    ///
    /// # Errors
    /// `NotFound` for a session that is not open.
    pub async fn end(&self, caller: &Caller, id: &ProxySessionId, cause: &str) -> Result<()> {
        let live = self.live().get(id).cloned();
        let Some(live) = live else { return self.store_end((caller, cause), id, 0, (0, Vec::new())).await };
        // At once, whatever else can be done.
        live.stop.cancel();
        let (caller, cause) = live.closing.first.get_or_init(|| (caller.clone(), cause.to_owned()));
        let _turn = live.closing.turn.lock().await;
        if !self.live().contains_key(id) {
            return Ok(());
        }
        let names: Vec<_> = live.lending.names().iter().cloned().collect();
        let lent = vec![(id.clone(), names)];
        let (tokens, namespaces) = tokio::join!(live.revoke_tokens(), self.namespaces.end_of_sessions(caller, lent));
        let (revoked, mut not_revoked) = tokens;
        not_revoked.extend(namespaces?.err().map(|error| format!("its namespaces: {}", error.message())));
        let calls = live.calls.load(Ordering::Relaxed);
        self.store_end((caller, cause), id, calls, (revoked, not_revoked)).await?;
        // One whose end is not stored is still known here, so that the loop ends it again.
        self.live().remove(id);
        Ok(())
    }

    async fn store_end(
        &self,
        (caller, cause): (&Caller, &str),
        id: &ProxySessionId,
        calls: u64,
        (revoked, not_revoked): (u64, Vec<String>),
    ) -> Result<()> {
        let note = caller.note(Action::ProxyEnd, id).with("cause", cause).with("calls", calls).with("revoked", revoked);
        let note = if not_revoked.is_empty() { note } else { note.with("not_revoked", not_revoked) };
        let (by, cause, of) = (by(caller), cause.to_owned(), id.clone());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            let mut session =
                tx.get(&SESSIONS, &of)?.filter(|session| session.ended.is_none()).ok_or_else(|| gone(&of))?;
            session.ended = Some(Ended { at: tx.now(), by, cause, calls });
            tx.audit(note);
            tx.put(&SESSIONS, &of, &session)
        };
        self.store.write(change).await
    }

    /// Ends every session, since the appliance stops.
    pub(super) async fn end_all(&self) {
        let all: Vec<_> = {
            let live = self.live();
            self.is_stopping.store(true, Ordering::SeqCst);
            live.keys().cloned().collect()
        };
        self.end_these(all.into_iter().map(|id| (id, STOPPED)).collect()).await;
    }

    /// Ends sessions, with the reasons: none of them is asked from now on. How many were ended, and what could not be done.
    pub(super) async fn end_these(&self, over: Vec<(ProxySessionId, &'static str)>) -> (usize, Vec<String>) {
        let (caller, mut lent, mut troubles) = (Caller::of_loop(LOOP), Vec::new(), Vec::new());
        for (id, _) in &over {
            if let Some(live) = self.live().get(id) {
                live.stop.cancel();
                lent.push((id.clone(), live.lending.names().iter().cloned().collect()));
            }
        }
        // Those of all sessions at once, so that a broker that takes its time is waited for once. What cannot be stored is
        // tried again by each of them; what the broker has not lost is looked for by the next sweep.
        if let Ok(removed) = self.namespaces.end_of_sessions(&caller, lent).await {
            over.iter()
                .filter_map(|(id, _)| self.live().get(id).cloned())
                .for_each(|live| live.lending.names().clear());
            troubles.extend(removed.err().map(|error| format!("namespaces of sessions: {}", error.message())));
        }
        let mut ends: Vec<BoxFuture<'static, Result<()>>> = Vec::new();
        for (id, cause) in over {
            let (this, caller) = (self.clone(), caller.clone());
            ends.push(Box::pin(async move { this.end(&caller, &id, cause).await }));
        }
        let outcomes: Vec<_> = futures_util::stream::iter(ends).buffer_unordered(ENDED_AT_ONCE).collect().await;
        let ended = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        troubles.extend(outcomes.into_iter().filter_map(|outcome| outcome.err().map(|e| e.message().to_owned())));
        (ended, troubles)
    }

    /// Ends a session in the name of who opened it.
    ///
    /// # Errors
    /// `NotFound` for a session that is not open, or was opened by somebody else.
    pub async fn close(&self, caller: &Caller, id: &ProxySessionId) -> Result<()> {
        if self.of(id)?.session.opener != by(caller) {
            return Err(gone(id));
        }
        self.end(caller, id, "its worker closed it").await
    }

    /// Refuses so many more sessions than there is room for.
    pub fn require_room(&self, more: usize) -> Result<()> {
        if self.live().len() + more > SESSIONS_MAX {
            return Err(Error::busy(format!(
                "there are at most {SESSIONS_MAX} sessions: ask again when some have ended"
            )));
        }
        Ok(())
    }

    /// Those that are of services beside tasks, and known: also while they are being ended.
    pub fn services(&self) -> Vec<Arc<Live>> {
        self.live().values().filter(|live| live.session.service.is_some()).cloned().collect()
    }

    /// A session that is open.
    pub fn of(&self, id: &ProxySessionId) -> Result<Arc<Live>> {
        let live = self.live().get(id).cloned();
        live.filter(|live| !live.stop.is_cancelled()).ok_or_else(|| gone(id))
    }

    pub(super) fn live(&self) -> MutexGuard<'_, BTreeMap<ProxySessionId, Arc<Live>>> {
        self.lively.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn gone(id: &ProxySessionId) -> Error {
    Error::not_found(format!("there is no open session `{id}`"))
}
