//! Sessions: opened for a task, given fresh credentials, ended with everything that was lent for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::calls::Recorder;
use super::grants::{Granted, missing, ungranted};
use super::keys::Key;
use super::ledger::Minting;
use super::opening::{Opened, Opener, basic, delegable, worth};
use super::record::{Ended, Grant, SESSIONS, Session, TaskRun, by};
use super::tokens::OnMint;
use super::{Open, Proxy};
use crate::base::audit::Action;
use crate::base::{Error, ProxySessionId, Result, Scope, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::proto::proxy::declaration::{Credential, Declared};
use crate::proto::proxy::delegation::Delegation;
use crate::proto::scopes;
use crate::store::WriteTx;

/// Sessions that are ended at the same time: each may wait for its token service.
const ENDED_AT_ONCE: usize = 16;
/// Who ends sessions by itself.
const LOOP: &str = "proxy";
/// Sessions at once: those of every worker of a large host.
const SESSIONS_MAX: usize = 1000;
/// Scopes of a session. A task has a handful; a header of Taskcluster holds some hundred.
const SCOPES_MAX: usize = 500;
/// How long a session lasts whose end nobody says, and how long at most.
const LASTS: Duration = Duration::from_secs(24 * 60 * 60);
const LASTS_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a worker asks for.
#[derive(Debug, Default)]
pub struct Ask {
    /// For this task, by the scopes that the queue tells.
    pub task: Option<TaskRun>,
    /// Or for these scopes, of which the caller must hold each that counts.
    pub scopes: Option<Vec<Scope>>,
    /// Only these upstreams; none is all from which anything is granted.
    pub upstreams: Vec<String>,
    /// Credentials of Taskcluster for the task.
    pub credentials: Option<Credentials>,
    /// When it ends at the latest.
    pub ends: Option<Timestamp>,
    /// Where it is asked: a URL, or the path of a socket.
    pub address: String,
    /// Who may ask there, in words.
    pub peers: String,
}

/// Credentials of Taskcluster, as a worker has them.
#[derive(Debug)]
pub struct Credentials {
    /// Who signs.
    pub client_id: String,
    /// With what.
    pub access_token: Secret,
    /// The certificate of temporary ones.
    pub certificate: Option<String>,
}

/// By what a session is judged.
struct Asked {
    scopes: Vec<Scope>,
    /// Asked for, and not the caller's to pass on.
    not_held: Vec<Scope>,
    deadline: Option<Timestamp>,
}

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
    /// Where its calls are recorded.
    pub recorder: Recorder,
    /// Calls that were made.
    pub calls: Arc<AtomicU64>,
    /// Ends its listeners.
    pub stop: CancellationToken,
}

/// The sessions that are asked now.
pub(super) type Lively = Mutex<BTreeMap<ProxySessionId, Arc<Live>>>;

impl Proxy {
    /// Opens a session. What its listener needs is in what is returned; nothing of it is asked before it is stored.
    ///
    /// # Errors
    /// `Forbidden` when nothing is granted, with the scopes that are missing. `Unavailable` while the queue is unwell.
    pub async fn open(&self, caller: &Caller, id: ProxySessionId, ask: Ask) -> Result<Arc<Live>> {
        let Asked { scopes: asked, not_held, deadline } = self.asked(caller, &ask).await?;
        let now = self.clock.now();
        let last = now.plus(LASTS_MAX);
        let ends = ask.ends.or(deadline).unwrap_or_else(|| now.plus(LASTS)).min(last);
        if ends <= now {
            return Err(Error::invalid("the session would be over before it begins"));
        }
        let (opened, refused) = self.open_each(caller, &id, &ask, &asked).await?;
        if opened.is_empty() {
            return Err(ungranted(&refused, &not_held));
        }
        let grant = |opened: &Opened| Grant {
            upstream: opened.upstream.name.clone(),
            permissions: opened.permissions.clone(),
            set: opened.set.to_string(),
        };
        let session = Session {
            opener: by(caller),
            task: ask.task,
            scopes: asked,
            upstreams: opened.iter().map(grant).collect(),
            address: ask.address,
            peers: ask.peers,
            opened: now,
            ends,
            ended: None,
        };
        let (calls, stop) = (Arc::<AtomicU64>::default(), CancellationToken::new());
        let recorder = Recorder::Ledger(self.ledger.clone(), calls.clone());
        let live = Arc::new(Live { id: id.clone(), session, opened, not_held, recorder, calls, stop });
        self.know(live.clone())?;
        // Known before it is stored: a sweep that finds it stored finds it alive, too.
        if let Err(error) = self.store_open(caller, &id, &live.session).await {
            live.stop.cancel();
            self.live().remove(&id);
            return Err(error);
        }
        Ok(live)
    }

    fn know(&self, live: Arc<Live>) -> Result<()> {
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

    async fn store_open(&self, caller: &Caller, id: &ProxySessionId, session: &Session) -> Result<()> {
        let upstreams: Vec<_> =
            session.upstreams.iter().map(|grant| format!("{} {}", grant.upstream, grant.set)).collect();
        let mut note =
            caller.note(Action::ProxyOpen, id).with("ends", session.ends.to_string()).with("upstreams", upstreams);
        note = match &session.task {
            Some(TaskRun { task_id, run_id }) => note.with("task", task_id.clone()).with("run", *run_id),
            None => note.with("scopes", session.scopes.iter().map(ToString::to_string).collect::<Vec<_>>()),
        };
        let (id, session) = (id.clone(), session.clone());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            tx.put(&SESSIONS, &id, &session)
        };
        self.store.write(change).await
    }

    /// The scopes by which a session is judged, and when its task is over at the latest.
    async fn asked(&self, caller: &Caller, ask: &Ask) -> Result<Asked> {
        let asked = match (&ask.task, &ask.scopes) {
            (Some(_), Some(_)) => return Err(Error::invalid("a session is for a task or for scopes, not for both")),
            (None, None) => return Err(Error::invalid("a session is for a task with a run, or for scopes")),
            (Some(TaskRun { task_id, run_id }), None) => {
                let queue = self.queue.as_ref().ok_or_else(|| {
                    Error::conflict("no deployment knows the task: set TASKCLUSTER_ROOT_URL, or give scopes")
                })?;
                let task = queue.task(task_id).await?;
                if !queue.is_running(task_id, *run_id).await? {
                    return Err(Error::conflict(format!("the run {run_id} of this task is not running")));
                }
                let mut scopes = task.scopes;
                // As docker-worker adds it: a task may store what it made.
                scopes.push(Scope::parse(&format!("queue:create-artifact:{task_id}/{run_id}"))?);
                Asked { scopes, not_held: Vec::new(), deadline: task.deadline }
            }
            (None, Some(scopes)) => {
                // Nobody passes on what they do not hold.
                let (scopes, not_held) = scopes.iter().cloned().partition(|scope| caller.holds(scope.as_str()));
                Asked { scopes, not_held, deadline: None }
            }
        };
        if asked.scopes.len() > SCOPES_MAX {
            return Err(Error::invalid(format!("a session has at most {SCOPES_MAX} scopes")));
        }
        Ok(asked)
    }

    /// Opens each upstream of which something is granted. The others are refused, with what is missing.
    async fn open_each(
        &self,
        caller: &Caller,
        id: &ProxySessionId,
        ask: &Ask,
        asked: &[Scope],
    ) -> Result<(Vec<Opened>, Vec<String>)> {
        let (mut opened, mut refused) = (Vec::new(), Vec::new());
        let all = self.declared();
        let unknown = ask.upstreams.iter().find(|name| all.iter().all(|open| open.declared.upstream.name != **name));
        if let Some(name) = unknown {
            return Err(Error::not_found(format!("there is no upstream `{name}`")));
        }
        let is_asked = |name: &String| ask.upstreams.is_empty() || ask.upstreams.contains(name);
        for open in all.iter().filter(|open| is_asked(&open.declared.upstream.name)) {
            let Open { declared, client } = open;
            let delegation = ask.credentials.as_ref().filter(|_| matches!(declared.credential, Credential::Hawk));
            if delegation.is_none() && matches!(declared.credential, Credential::Hawk) && ask.upstreams.is_empty() {
                refused.push(format!("`{}` needs credentials of the task", declared.upstream.name));
                continue;
            }
            let (granted, delegation) = self.granted(declared, asked, delegation)?;
            if granted.permissions.is_empty() {
                refused.push(format!("`{}` needs {}", declared.upstream.name, missing(&declared.rule)));
                continue;
            }
            let login = match &declared.credential {
                Credential::RelayAccount(account) => {
                    let login = self.relay.lend(caller, account).await?.into_inner();
                    Some(basic(login.username.as_str(), &login.password))
                }
                _ => None,
            };
            let opener = self.opener(id, declared, &granted);
            opened.push(opener.open(declared, granted.permissions, client.clone(), login, delegation)?);
        }
        Ok((opened, refused))
    }

    /// What scopes are worth at an upstream, with the signature that carries no more.
    fn granted(
        &self,
        declared: &Declared,
        asked: &[Scope],
        credentials: Option<&Credentials>,
    ) -> Result<(Granted, Option<Delegation>)> {
        let Some(Credentials { client_id, access_token, certificate }) = credentials else {
            return Ok((worth(declared, asked), None));
        };
        let bare = Delegation::new(client_id, access_token.clone(), certificate.as_deref(), None)?;
        bare.require_time(self.clock.now())?;
        let delegable = delegable(asked, bare.certified.as_deref());
        let granted = worth(declared, &delegable);
        let authorized = granted.permissions.iter().map(|text| Scope::parse(text)).collect::<Result<_>>()?;
        let delegation = Delegation::new(client_id, access_token.clone(), certificate.as_deref(), Some(authorized))?;
        Ok((granted, Some(delegation)))
    }

    fn opener(&self, id: &ProxySessionId, declared: &Declared, granted: &Granted) -> Opener {
        let (ledger, session, upstream) = (self.ledger.clone(), id.clone(), declared.upstream.name.clone());
        let permissions = super::permission_set(&granted.permissions);
        let on_mint: OnMint = Arc::new(move |minted| {
            let (ledger, session, upstream) = (ledger.clone(), session.clone(), upstream.clone());
            let (permissions, outcome) = (permissions.clone(), minted.map(|token| (token.text, token.ends)));
            Box::pin(async move { ledger.minted(Minting { session, upstream, permissions, outcome }).await })
        });
        Opener { clock: self.clock.clone(), zone: jiff::tz::TimeZone::UTC, session: id.as_str().into(), on_mint }
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

    /// Ends a session: its listener is closed at once, its tokens are taken back where their service does that.
    ///
    /// # Errors
    /// `NotFound` for a session that is not open.
    pub async fn end(&self, caller: &Caller, id: &ProxySessionId, cause: &str) -> Result<()> {
        let live = self.live().get(id).cloned();
        let calls = live.as_ref().map_or(0, |live| live.calls.load(Ordering::Relaxed));
        // At once, whatever else can be done.
        if let Some(live) = &live {
            live.stop.cancel();
        }
        let (mut revoked, mut not_revoked) = (0u64, Vec::new());
        for opened in live.iter().flat_map(|live| &live.opened) {
            if let Key::Minted(minted) = &opened.key {
                let (count, failed) = minted.revoke().await;
                revoked += count;
                not_revoked.extend(failed.map(|error| format!("{}: {}", opened.upstream.name, error.message())));
            }
        }
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
        self.store.write(change).await?;
        // One whose end is not stored is still known here, so that the loop ends it again.
        self.live().remove(id);
        Ok(())
    }

    /// Ends every session, since the appliance stops.
    pub(super) async fn end_all(&self) {
        let all: Vec<_> = {
            let live = self.live();
            self.is_stopping.store(true, Ordering::SeqCst);
            live.keys().cloned().collect()
        };
        self.end_these(all.into_iter().map(|id| (id, "the appliance was stopped")).collect()).await;
    }

    /// Ends sessions, with the reasons: none of them is asked from now on. How many were ended, and what could not be done.
    pub(super) async fn end_these(&self, over: Vec<(ProxySessionId, &'static str)>) -> (usize, Vec<String>) {
        for (id, _) in &over {
            if let Some(live) = self.live().get(id) {
                live.stop.cancel();
            }
        }
        let caller = Caller::of_loop(LOOP);
        let mut ends: Vec<BoxFuture<'static, Result<()>>> = Vec::new();
        for (id, cause) in over {
            let (this, caller) = (self.clone(), caller.clone());
            ends.push(Box::pin(async move { this.end(&caller, &id, cause).await }));
        }
        let outcomes: Vec<_> = futures_util::stream::iter(ends).buffer_unordered(ENDED_AT_ONCE).collect().await;
        let ended = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        (ended, outcomes.into_iter().filter_map(|outcome| outcome.err().map(|e| e.message().to_owned())).collect())
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

    /// A session that is open.
    pub fn of(&self, id: &ProxySessionId) -> Result<Arc<Live>> {
        let live = self.live().get(id).cloned();
        live.filter(|live| !live.stop.is_cancelled()).ok_or_else(|| gone(id))
    }

    pub(super) fn live(&self) -> std::sync::MutexGuard<'_, BTreeMap<ProxySessionId, Arc<Live>>> {
        self.lively.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone(id: &ProxySessionId) -> Error {
    Error::not_found(format!("there is no open session `{id}`"))
}
