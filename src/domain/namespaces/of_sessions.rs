//! Namespaces that are lent to sessions of the task proxy: each is one session's own, and ends with it.

use std::time::Duration;

use super::record::{LENT_TO, LentTo};
use super::{NAMESPACES, Namespaces, PARTY, Which};
use crate::base::{Error, NamespaceName, ProxySessionId, Result};
use crate::domain::auth::Caller;
use crate::store::{Survey, WriteTx};

/// For the broker to lose what namespaces had: whoever ends sessions waits for it. What is left is looked for again.
const REMOVE_MAX: Duration = Duration::from_secs(5);

/// Sessions with namespaces that they were lent.
pub type OfSessions = Vec<(ProxySessionId, Vec<NamespaceName>)>;

impl Namespaces {
    /// Ends these namespaces, as far as they are these sessions': nobody is lent them any more when this returns. The error
    /// of the second kind is that the broker has not lost all of it yet; asked again, the rest of it is done.
    pub async fn end_of_sessions(&self, caller: &Caller, lent: OfSessions) -> Result<Result<()>> {
        if lent.iter().all(|(_, names)| names.is_empty()) {
            return Ok(Ok(()));
        }
        let (this, by) = (self.clone(), caller.clone());
        let begin = move |tx: &mut WriteTx<'_, '_>| {
            let mut begun = Vec::new();
            for (session, names) in lent {
                for name in names {
                    let lent_to = tx.get(&NAMESPACES, &name)?.and_then(|namespace| namespace.session);
                    if lent_to.as_ref() == Some(&session) && this.begin_to_end(tx, &name, &by, Which::Any)?.is_some() {
                        begun.push(name);
                    }
                }
            }
            Ok(begun)
        };
        let begun = self.store.write(begin).await?;
        let removed = tokio::time::timeout(REMOVE_MAX, self.remove_ending(&begun, caller)).await;
        let late = || Error::unavailable("the broker takes its time");
        Ok(removed.unwrap_or_else(|_| Err(late())))
    }

    /// Removes what is ending. First the users of all of them: they are what somebody can do harm with.
    async fn remove_ending(&self, names: &[NamespaceName], caller: &Caller) -> Result<()> {
        let mut ended = Vec::new();
        for party in names.chunks(PARTY) {
            // Only what is ending: the next owner's is not ours to end.
            ended.extend(self.end_all(party, caller, Which::Over).await?.into_iter().flatten());
        }
        if ended.is_empty() {
            return Ok(());
        }
        let resources = self.resources().await?;
        for one in &ended {
            self.clear(one, &resources, caller).await?;
        }
        Ok(())
    }

    /// The namespaces that are lent to sessions, also those that are ending.
    pub async fn of_sessions(&self) -> Result<Vec<(NamespaceName, ProxySessionId)>> {
        let lent = |tx: &Survey<'_>| {
            let mut lent = Vec::new();
            tx.each(&LENT_TO, |name, LentTo { session }| lent.extend(session.map(|session| (name, session))))?;
            Ok(lent)
        };
        self.store.survey(lent).await
    }

    /// Whether a namespace is this session's.
    pub fn is_of_session(&self, name: &NamespaceName, session: &ProxySessionId) -> Result<bool> {
        let lent_to = self.store.read(|tx| tx.get(&LENT_TO, name))?;
        Ok(lent_to.and_then(|lent_to| lent_to.session).as_ref() == Some(session))
    }
}
