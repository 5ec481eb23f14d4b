//! How a session begins: by which scopes it is judged, and what is opened for it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::calls::Recorder;
use super::grants::{Granted, missing, ungranted};
use super::heard::Heard;
use super::keys::Credentials;
use super::ledger::Minting;
use super::lender::Lender;
use super::lending::Lending;
use super::opening::{Opened, Opener, delegable};
use super::queue::Task;
use super::record::{Grant, SESSIONS, Service, Session, TaskRun, by};
use super::sessions::{Closing, Live, REFRESHES_PER_MINUTE};
use super::tokens::OnMint;
use super::{Open, Proxy};
use crate::base::audit::{Action, Note, Outcome};
use crate::base::rate::RateLimit;
use crate::base::{Error, Kind, ProxySessionId, Result, Scope, Timestamp};
use crate::domain::auth::Caller;
use crate::proto::proxy::declaration::{Credential, Declared};
use crate::proto::proxy::delegation::Delegation;
use crate::proto::proxy::upstream::Rule;
use crate::store::WriteTx;

/// Bytes of the reason for a refusal in the audit log: it names what each upstream needs.
const CAUSE_LEN_MAX: usize = 2048;
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
    /// Or for a service beside a task, by what its image was given.
    pub service: Option<Service>,
    /// Only these upstreams; none is all from which anything is granted.
    pub upstreams: Vec<String>,
    /// Credentials of Taskcluster for the task.
    pub credentials: Option<Credentials>,
    /// When it ends at the latest.
    pub ends: Option<Timestamp>,
    /// It ends when its worker was not heard of for so long; none is never for that.
    pub heard_within: Option<Duration>,
    /// Where it is asked: a URL, or the path of a socket.
    pub address: String,
    /// Who may ask there, in words.
    pub peers: String,
}

/// Says for what a session is: a run of a task, or else scopes.
fn about(note: Note, task: Option<&TaskRun>, scopes: Option<&[Scope]>) -> Note {
    match task {
        Some(TaskRun { task_id, run_id }) => note.with("task", task_id.clone()).with("run", *run_id),
        None => {
            let scopes = scopes.unwrap_or_default().iter().take(SCOPES_MAX);
            note.with("scopes", scopes.map(ToString::to_string).collect::<Vec<_>>())
        }
    }
}

/// By what a session is judged.
struct Asked {
    scopes: Vec<Scope>,
    /// What these stand for, where roles are expanded. A signed call says the scopes as they are: who judges it knows the roles.
    expanded: Option<Vec<Scope>>,
    /// Asked for, and not the caller's to pass on.
    not_held: Vec<Scope>,
    deadline: Option<Timestamp>,
}

impl Proxy {
    /// Opens a session. What its listener needs is in what is returned; nothing of it is asked before it is stored.
    ///
    /// # Errors
    /// `Forbidden` when nothing is granted, with the scopes that are missing. `Unavailable` while the queue is unwell.
    /// `Conflict` while what is stored cannot be read.
    pub async fn open(&self, caller: &Caller, id: ProxySessionId, ask: Ask) -> Result<Arc<Live>> {
        let refusal = about(caller.note(Action::ProxyOpen, &id), ask.task.as_ref(), ask.scopes.as_deref());
        let outcome = self.open_granted(caller, id, ask).await;
        if let Err(error) = outcome.as_ref()
            && error.kind() == Kind::Forbidden
        {
            let cause = &error.message()[..error.message().floor_char_boundary(CAUSE_LEN_MAX)];
            self.store.note(refusal.outcome(Outcome::Refused).with("cause", cause)).await?;
        }
        outcome
    }

    async fn open_granted(&self, caller: &Caller, id: ProxySessionId, ask: Ask) -> Result<Arc<Live>> {
        let asked = self.asked(caller, &ask).await?;
        let now = self.clock.now();
        let last = now.plus(LASTS_MAX);
        let ends = ask.ends.or(asked.deadline).unwrap_or_else(|| now.plus(LASTS)).min(last);
        if ends <= now {
            return Err(Error::invalid("the session would be over before it begins"));
        }
        let heard = ask.heard_within.map(|within| Heard::new(within, self.clock.elapsed())).transpose()?;
        let (opened, refused) = self.open_each(&id, &ask, &asked)?;
        // A service that nothing was delegated to is still beside its task, and may read of that.
        if opened.is_empty() && ask.service.is_none() {
            return Err(ungranted(&refused, &asked.not_held));
        }
        let grant = |opened: &Opened| Grant {
            upstream: opened.upstream.name.clone(),
            permissions: opened.permissions.clone(),
            set: opened.set.to_string(),
        };
        let session = Session {
            opener: by(caller),
            task: ask.task,
            scopes: asked.scopes,
            service: ask.service,
            upstreams: opened.iter().map(grant).collect(),
            address: ask.address,
            peers: ask.peers,
            opened: now,
            ends,
            ended: None,
        };
        let (calls, stop) = (Arc::<AtomicU64>::default(), CancellationToken::new());
        let recorder = Recorder::Ledger(self.ledger.clone(), calls.clone());
        let live = Arc::new(Live {
            id: id.clone(),
            session,
            opened,
            not_held: asked.not_held,
            withheld: refused,
            recorder,
            calls,
            heard,
            stop,
            lending: Lending::default(),
            refreshes: RateLimit::new(REFRESHES_PER_MINUTE),
            closing: Closing::default(),
        });
        self.know(live.clone())?;
        // Known before it is stored: a sweep that finds it stored finds it alive, too.
        if let Err(error) = self.store_open(caller, &id, &live.session).await {
            live.stop.cancel();
            self.live().remove(&id);
            return Err(error);
        }
        Ok(live)
    }

    async fn store_open(&self, caller: &Caller, id: &ProxySessionId, session: &Session) -> Result<()> {
        let upstreams: Vec<_> =
            session.upstreams.iter().map(|grant| format!("{} {}", grant.upstream, grant.set)).collect();
        let note =
            caller.note(Action::ProxyOpen, id).with("ends", session.ends.to_string()).with("upstreams", upstreams);
        let note = about(note, session.task.as_ref(), Some(&session.scopes));
        let note = match &session.service {
            Some(Service { set, name, .. }) => note.with("set", set.as_str()).with("service", name.clone()),
            None => note,
        };
        let (id, session) = (id.clone(), session.clone());
        let change = move |tx: &mut WriteTx<'_, '_>| {
            tx.audit(note);
            tx.put(&SESSIONS, &id, &session)
        };
        self.store.write(change).await
    }

    /// A task, as the queue of the deployment tells it.
    ///
    /// # Errors
    /// `Conflict` where there is no deployment, and for a run that does not run.
    pub async fn running_task(&self, TaskRun { task_id, run_id }: &TaskRun) -> Result<Task> {
        let queue = self
            .queue
            .as_ref()
            .ok_or_else(|| Error::conflict("no deployment knows the task: set TASKCLUSTER_ROOT_URL, or give scopes"))?;
        let task = queue.task(task_id).await?;
        if !queue.is_running(task_id, *run_id).await? {
            return Err(Error::conflict(format!("the run {run_id} of this task is not running")));
        }
        Ok(task)
    }

    /// Whether a queue tells what tasks are.
    pub fn has_queue(&self) -> bool {
        self.queue.is_some()
    }

    /// The scopes by which a session is judged, and when its task is over at the latest.
    async fn asked(&self, caller: &Caller, ask: &Ask) -> Result<Asked> {
        if let Some(service) = &ask.service {
            let role = service.role.as_ref().map(|role| Scope::parse(&format!("assume:{role}"))).transpose()?;
            return Ok(Asked {
                scopes: role.into_iter().collect(),
                expanded: Some(service.held.clone()),
                not_held: service.not_held.clone(),
                deadline: None,
            });
        }
        let asked = match (&ask.task, &ask.scopes) {
            (Some(_), Some(_)) => return Err(Error::invalid("a session is for a task or for scopes, not for both")),
            (None, None) => return Err(Error::invalid("a session is for a task with a run, or for scopes")),
            (Some(TaskRun { task_id, run_id }), None) => {
                let task = self.running_task(&TaskRun { task_id: task_id.clone(), run_id: *run_id }).await?;
                let mut scopes = task.scopes;
                // As docker-worker adds it: a task may store what it made.
                scopes.push(Scope::parse(&format!("queue:create-artifact:{task_id}/{run_id}"))?);
                Asked { scopes, expanded: None, not_held: Vec::new(), deadline: task.deadline }
            }
            (None, Some(scopes)) => {
                // Nobody passes on what they do not hold.
                let (scopes, not_held) = scopes.iter().cloned().partition(|scope| caller.holds(scope.as_str()));
                Asked { scopes, expanded: None, not_held, deadline: None }
            }
        };
        if asked.scopes.len() > SCOPES_MAX {
            return Err(Error::invalid(format!("a session has at most {SCOPES_MAX} scopes")));
        }
        Ok(asked)
    }

    /// Opens each upstream of which something is granted. The others are refused, with what is missing.
    fn open_each(&self, id: &ProxySessionId, ask: &Ask, asked: &Asked) -> Result<(Vec<Opened>, Vec<String>)> {
        let (mut opened, mut refused) = (Vec::new(), Vec::new());
        if let Some(unreadable) = self.unreadable() {
            return Err(Error::conflict(&*unreadable.why));
        }
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
            if declared.is_at_broker() && self.config.door.is_none() {
                refused.push(format!("`{}` is at a broker, and none is set up", declared.upstream.name));
                continue;
            }
            let (granted, delegation) = self.granted(declared, asked, delegation)?;
            if granted.permissions.is_empty() {
                let mut why = format!("`{}` needs {}", declared.upstream.name, missing(&declared.rule));
                if let Some(reason) = granted.reasons.last().filter(|_| !matches!(declared.rule, Rule::Table(_))) {
                    why.push_str(&format!(" ({reason})"));
                }
                refused.push(why);
                continue;
            }
            let lender = self.lender(id, declared).transpose()?;
            let opener = self.opener(id, declared, &granted);
            opened.push(opener.open(declared, granted.permissions, client.clone(), lender, delegation)?);
        }
        Ok((opened, refused))
    }

    /// What scopes are worth at an upstream, with the signature that carries no more.
    fn granted(
        &self,
        declared: &Declared,
        asked: &Asked,
        credentials: Option<&Credentials>,
    ) -> Result<(Granted, Option<Delegation>)> {
        let Some(Credentials { client_id, access_token, certificate }) = credentials else {
            return Ok((self.worth(declared, asked.expanded.as_ref().unwrap_or(&asked.scopes)), None));
        };
        let bare = Delegation::new(client_id, access_token.clone(), certificate.as_deref(), None)?;
        bare.require_time(self.clock.now())?;
        let delegable = delegable(&asked.scopes, bare.certified.as_deref());
        let granted = self.worth(declared, &delegable);
        let authorized = granted.permissions.iter().map(|text| Scope::parse(text)).collect::<Result<_>>()?;
        let delegation = Delegation::new(client_id, access_token.clone(), certificate.as_deref(), Some(authorized))?;
        Ok((granted, Some(delegation)))
    }

    /// Who lends the account of an upstream that has one, if it can be lent at all.
    fn lender(&self, id: &ProxySessionId, declared: &Declared) -> Option<Result<Lender>> {
        let Credential::RelayAccount(account) = &declared.credential else { return None };
        let lender = Lender::new(self.relay.clone(), self.clock.clone(), id.clone(), account.clone());
        Some(lender.require().map(|()| lender))
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
}
