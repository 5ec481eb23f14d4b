//! What is told of sessions, of calls, and of what scopes would be worth.

use std::cmp::Reverse;
use std::ops::Bound;
use std::sync::atomic::Ordering;

use super::Proxy;
use super::grants::missing;
use super::keys::Key;
use super::ledger::{CALLS, CallId, CallRecord};
use super::record::{SESSIONS, Session};
use crate::base::{Error, NamespaceName, ProxySessionId, Result, Scope, Timestamp};
use crate::proto::proxy::declaration::{Credential, Declared};
use crate::store::Survey;

/// Sessions that are listed.
const SESSIONS_MAX: usize = 5000;
/// The kind of upstreams that are signed for.
const SIGNED: &str = "hawk";
/// Calls that are shown of one.
pub const CALLS_MAX: usize = 1000;

/// A session as it stands.
#[derive(Clone, Debug)]
pub struct View {
    /// What it is called.
    pub id: ProxySessionId,
    /// What is stored.
    pub session: Session,
    /// Calls so far.
    pub calls: u64,
    /// Tokens that work now: the upstream, and until when.
    pub tokens: Vec<(String, Timestamp)>,
    /// Namespaces that it was lent.
    pub namespaces: Vec<NamespaceName>,
}

/// What scopes would be worth at an upstream.
#[derive(Clone, Debug)]
pub struct Worth {
    /// The upstream.
    pub upstream: String,
    /// Its kind of credential.
    pub kind: &'static str,
    /// What would be granted.
    pub permissions: Vec<String>,
    /// Why.
    pub reasons: Vec<String>,
    /// What would help, when nothing is granted.
    pub missing: Option<String>,
}

impl Proxy {
    /// Whether these scopes are worth anything at an upstream that is not signed for.
    pub fn is_worth_something(&self, scopes: &[Scope]) -> bool {
        let worth = self.explain(scopes);
        worth.iter().any(|worth| worth.kind != SIGNED && !worth.permissions.is_empty())
    }

    /// All sessions that are kept, the youngest first.
    pub async fn sessions(&self) -> Result<Vec<View>> {
        let youngest = |tx: &Survey<'_>| {
            let mut all: Vec<(ProxySessionId, Session)> = Vec::new();
            tx.each(&SESSIONS, |id, session| {
                all.push((id, session));
                if all.len() >= 2 * SESSIONS_MAX {
                    keep_youngest(&mut all);
                }
            })?;
            keep_youngest(&mut all);
            Ok(all)
        };
        let stored = self.store.survey(youngest).await?;
        Ok(stored.into_iter().map(|(id, session)| self.view(id, session)).collect())
    }

    /// One of them.
    pub fn session(&self, id: &ProxySessionId) -> Result<View> {
        let stored = self.store.read(|tx| tx.get(&SESSIONS, id))?;
        let session = stored.ok_or_else(|| Error::not_found(format!("there is no session `{id}`")))?;
        Ok(self.view(id.clone(), session))
    }

    fn view(&self, id: ProxySessionId, session: Session) -> View {
        let live = self.live().get(&id).cloned();
        let of_end = session.ended.as_ref().map_or(0, |ended| ended.calls);
        let calls = live.as_ref().map_or(of_end, |live| live.calls.load(Ordering::Relaxed));
        let tokens = live.iter().flat_map(|live| &live.opened).filter_map(|opened| match &opened.key {
            Key::Minted(minted) => Some((opened.upstream.name.clone(), minted.alive()?.ends)),
            _ => None,
        });
        let mut namespaces: Vec<_> = live.iter().flat_map(|live| live.lending.names().clone()).collect();
        // Somebody may have removed one meanwhile; what cannot be read is shown.
        namespaces.retain(|name| self.namespaces.is_of_session(name, &id).unwrap_or(true));
        View { tokens: tokens.collect(), id, session, calls, namespaces }
    }

    /// Calls of a session that are over, in their order; the first thousand.
    pub async fn calls(&self, id: &ProxySessionId) -> Result<Vec<CallRecord>> {
        let session = id.clone();
        let calls = move |tx: &Survey<'_>| {
            let first = CallId { session: session.clone(), number: 0 };
            let rows = tx.scan(&CALLS, Bound::Included(&first), CALLS_MAX)?;
            Ok(rows.into_iter().take_while(|(call, _)| call.session == session).map(|(_, call)| call).collect())
        };
        self.store.survey(calls).await
    }

    /// What these scopes would be worth, at each upstream and why.
    pub fn explain(&self, held: &[Scope]) -> Vec<Worth> {
        let worth = |declared: &Declared| {
            let granted = self.worth(declared, held);
            let mut reasons = granted.reasons;
            match declared.credential {
                Credential::Hawk => {
                    reasons
                        .push("credentials of the task sign: what their certificate does not cover falls away".into());
                }
                Credential::Namespace if !granted.permissions.is_empty() => {
                    reasons.push(
                        "a namespace that somebody has is not lent, and one that is lent ends with the session".into(),
                    );
                }
                _ => {}
            }
            Worth {
                upstream: declared.upstream.name.clone(),
                kind: declared.kind(),
                missing: granted.permissions.is_empty().then(|| missing(&declared.rule)),
                permissions: granted.permissions,
                reasons,
            }
        };
        self.declared().iter().map(|open| worth(&open.declared)).collect()
    }
}

/// The youngest first, and no more than are listed.
fn keep_youngest(all: &mut Vec<(ProxySessionId, Session)>) {
    all.sort_by_key(|(_, session)| Reverse(session.opened));
    all.truncate(SESSIONS_MAX);
}
