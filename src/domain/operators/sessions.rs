//! Sessions of the console: who signed in, until when, and from where. The store knows hashes of their ids.

use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{OPERATORS, Operators, Record, Role};
use crate::base::audit::{Action, Actor, Note};
use crate::base::text::hex;
use crate::base::{Error, OperatorName, Result, Secret, Timestamp};
use crate::domain::auth::Caller;
use crate::store::{Lent, Table, WriteTx};

/// By the hash of their id. Bookkeeping: beginnings and ends are in the audit log, and when one was last used is not.
pub(super) const SESSIONS: Table<String, Stored> = Table::plain("operator_sessions");
/// A session that is not used for so long is over: somebody left the desk.
pub const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// A session is over after so long however much it is used: a shift and a half.
pub const AGE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// How often it is written down that a session is used.
const SEEN_PERIOD: Duration = Duration::from_secs(60);
/// Sessions of one operator at once; the one that was not used for longest ends for a new one.
const EACH_MAX: usize = 20;
/// Sessions of all operators at once, which bounds every list.
const SESSIONS_MAX: usize = 10_000;
/// Bytes of a browser's name that are kept.
const AGENT_LEN_MAX: usize = 200;

/// A session as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) operator: OperatorName,
    started: Timestamp,
    seen: Timestamp,
    address: IpAddr,
    agent: String,
}

/// Where somebody signs in from.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub address: IpAddr,
    /// What the browser calls itself.
    pub agent: String,
    /// The id of the request, for the audit log.
    pub request_id: String,
}

/// Somebody with a session that is not over.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub operator: OperatorName,
    pub role: Role,
    pub caller: Caller,
    /// The public name of the session.
    pub session: String,
    /// What forms of this session must bring along. Nobody learns it who does not have the session.
    pub form_token: Secret,
}

/// A session, for lists.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SessionView {
    /// Its public name: a hash of its id.
    #[serde(rename = "session")]
    pub id: String,
    pub operator: OperatorName,
    pub started: Timestamp,
    /// When it was last used, to a minute.
    pub seen: Timestamp,
    /// From where it was begun.
    pub address: IpAddr,
    /// What the browser called itself.
    pub agent: String,
}

impl Stored {
    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.seen) >= IDLE_MAX || now.since(self.started) >= AGE_MAX
    }
}

/// What is kept of the id of a session.
pub(super) fn hashed(id: &Secret) -> String {
    hex(&Sha256::digest(id.expose().as_bytes()))
}

fn form_token(id: &Secret) -> Secret {
    Secret::new(hex(&Sha256::new().chain_update(b"keylender form token 1\0").chain_update(id.expose()).finalize()))
}

impl Operators {
    /// Begins a session of an operator who showed who they are. Its id is new whatever the browser had before.
    pub async fn begin_session(&self, operator: OperatorName, by: &'static str, from: Visitor) -> Result<Lent<Secret>> {
        self.store.write(move |tx| begin(tx, operator, by, from)).await
    }

    /// Who has a session; `None` when it is over, or when its operator is gone or disabled.
    pub async fn session(&self, id: &Secret, request_id: &str, address: IpAddr) -> Result<Option<SignedIn>> {
        let session = hashed(id);
        let found = self.store.read(|tx| {
            let Some(stored) = tx.get(&SESSIONS, &session)? else { return Ok(None) };
            let record = tx.get(&OPERATORS, &stored.operator)?.filter(|record| !record.disabled);
            let record = record.filter(|_| !stored.is_over(tx.now()));
            Ok(record.map(|Record { role, .. }| (tx.now(), role, stored)))
        })?;
        let Some((now, role, stored)) = found else { return Ok(None) };
        if !stored.seen.is_within(SEEN_PERIOD, now) {
            self.note_use(session.clone()).await?;
        }
        let operator = stored.operator;
        let caller = Caller::operator(operator.clone(), role.scopes(), request_id, address);
        Ok(Some(SignedIn { operator, role, caller, session, form_token: form_token(id) }))
    }

    /// Whether a session with this public name goes on. To ask that is no use of it.
    pub fn is_session(&self, session: &str) -> Result<bool> {
        self.store.read(|tx| {
            let Some(stored) = tx.get(&SESSIONS, &session.to_owned())? else { return Ok(false) };
            let is_enabled = tx.get(&OPERATORS, &stored.operator)?.is_some_and(|record| !record.disabled);
            Ok(is_enabled && !stored.is_over(tx.now()))
        })
    }

    async fn note_use(&self, session: String) -> Result<()> {
        let noted = self.store.write(move |tx| {
            // One that was ended meanwhile stays ended.
            let Some(mut stored) = tx.get(&SESSIONS, &session)? else { return Ok(()) };
            stored.seen = tx.now();
            tx.put(&SESSIONS, &session, &stored)
        });
        match noted.await {
            // Who looks at a full disk must not be signed out by it.
            Err(error) => {
                tracing::debug!("the use of a session could not be noted: {}", error.chain());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Ends the session of somebody who leaves.
    pub async fn log_out(&self, who: &SignedIn) -> Result<()> {
        let (caller, session, operator) = (who.caller.clone(), who.session.clone(), who.operator.clone());
        self.store
            .write(move |tx| {
                tx.delete(&SESSIONS, &session);
                tx.audit(caller.note(Action::OperatorLogout, operator));
                Ok(())
            })
            .await
    }

    /// Ends somebody's session, by its public name.
    pub async fn revoke_session(&self, caller: &Caller, id: String) -> Result<()> {
        let caller = caller.clone();
        self.store
            .write(move |tx| {
                let stored = tx.get(&SESSIONS, &id)?.ok_or_else(|| Error::not_found("there is no such session"))?;
                tx.delete(&SESSIONS, &id);
                tx.audit(caller.note(Action::SessionRevoke, stored.operator).with("session", short(&id)));
                Ok(())
            })
            .await
    }

    /// Ends all sessions: what the store says of them is of another time.
    pub async fn end_sessions(&self) -> Result<()> {
        self.store
            .write(|tx| {
                let rows = tx.scan(&SESSIONS, SESSIONS_MAX)?;
                if !rows.is_empty() {
                    let note = Note::done(Actor::Appliance, Action::SessionRevoke, "all sessions");
                    tx.audit(note.with("sessions", rows.len()));
                }
                for (id, _) in rows {
                    tx.delete(&SESSIONS, &id);
                }
                Ok(())
            })
            .await
    }

    /// All sessions that are not over, the one that was used last first.
    pub async fn sessions(&self) -> Result<Vec<SessionView>> {
        let survey = self.store.survey(|tx| Ok((tx.now(), tx.scan(&SESSIONS, Bound::Unbounded, SESSIONS_MAX)?)));
        let (now, rows) = survey.await?;
        let open = rows.into_iter().filter(|(_, stored)| !stored.is_over(now));
        let mut shown: Vec<SessionView> = open
            .map(|(id, Stored { operator, started, seen, address, agent })| SessionView {
                id,
                operator,
                started,
                seen,
                address,
                agent,
            })
            .collect();
        shown.sort_by_key(|session| std::cmp::Reverse(session.seen));
        Ok(shown)
    }
}

/// Enough of a session's public name to tell it from others in a log.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

pub(super) fn begin(
    tx: &mut WriteTx<'_, '_>,
    operator: OperatorName,
    by: &'static str,
    from: Visitor,
) -> Result<Lent<Secret>> {
    let now = tx.now();
    let mut record = tx.get(&OPERATORS, &operator)?.filter(|record| !record.disabled).ok_or_else(super::refusal)?;
    make_room(tx, &operator)?;
    let id = Secret::generate_long();
    let Visitor { address, mut agent, request_id } = from;
    agent.truncate(agent.floor_char_boundary(AGENT_LEN_MAX));
    let session = hashed(&id);
    tx.put(&SESSIONS, &session, &Stored { operator: operator.clone(), started: now, seen: now, address, agent })?;
    record.last_login = Some(now);
    tx.put(&OPERATORS, &operator, &record)?;
    let note = Note::done(Actor::Operator(operator.clone()), Action::OperatorLogin, &operator).request(request_id);
    let note = note.with("address", address.to_string()).with("by", by).with("session", short(&session));
    Ok(tx.lend(note, id))
}

/// Removes sessions that are over, and of an operator with too many the one that was not used for longest.
fn make_room(tx: &mut WriteTx<'_, '_>, operator: &OperatorName) -> Result<()> {
    let now = tx.now();
    let (over, open): (Vec<_>, Vec<_>) =
        tx.scan(&SESSIONS, SESSIONS_MAX)?.into_iter().partition(|(_, stored)| stored.is_over(now));
    for (id, _) in over {
        tx.delete(&SESSIONS, &id);
    }
    if open.len() >= SESSIONS_MAX {
        return Err(Error::busy("there are too many sessions: end some, or try again later"));
    }
    let mut own: Vec<_> = open.into_iter().filter(|(_, stored)| stored.operator == *operator).collect();
    own.sort_by_key(|(_, stored)| stored.seen);
    let surplus = (own.len() + 1).saturating_sub(EACH_MAX);
    for (id, _) in own.into_iter().take(surplus) {
        tx.delete(&SESSIONS, &id);
    }
    Ok(())
}

/// Ends all sessions of an operator, or all but one.
pub(super) fn end_all_but(tx: &mut WriteTx<'_, '_>, operator: &OperatorName, kept: Option<&str>) -> Result<()> {
    for (id, stored) in tx.scan(&SESSIONS, SESSIONS_MAX)? {
        if stored.operator == *operator && kept != Some(&*id) {
            tx.delete(&SESSIONS, &id);
        }
    }
    Ok(())
}
