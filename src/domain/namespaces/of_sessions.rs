//! Namespaces that are lent to sessions of the task proxy: each is one session's own, and ends with it.

use std::time::Duration;

use futures_util::future::join_all;

use super::record::{LENT_TO, LentTo};
use super::{NAMESPACES, Namespaces, Which};
use crate::base::{NamespaceName, ProxySessionId, Result};
use crate::domain::auth::Caller;
use crate::store::{Survey, WriteTx};

/// For the broker to lose what a namespace had: whoever ends a session waits for it. The loop `expire` does the rest.
const REMOVE_MAX: Duration = Duration::from_secs(5);

impl Namespaces {
    /// Ends these namespaces, as far as they are this session's: nobody is lent them any more when this returns. What the
    /// broker did not lose in time is told, and lost with a later pass of the loop.
    pub async fn end_of_session(
        &self,
        caller: &Caller,
        session: &ProxySessionId,
        names: Vec<NamespaceName>,
    ) -> Result<Vec<String>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let (this, by, of) = (self.clone(), caller.clone(), session.clone());
        let begin = move |tx: &mut WriteTx<'_, '_>| {
            let mut begun = Vec::new();
            for name in names {
                let lent_to = tx.get(&NAMESPACES, &name)?.and_then(|namespace| namespace.session);
                if lent_to.as_ref() == Some(&of) && this.begin_to_end(tx, &name, &by, Which::Any)?.is_some() {
                    begun.push(name);
                }
            }
            Ok(begun)
        };
        let begun = self.store.write(begin).await?;
        let removals = begun.iter().map(async |name| {
            // Only what is ending: the next owner's is not ours to end.
            let removal = tokio::time::timeout(REMOVE_MAX, self.expire(name, caller, Which::Over)).await;
            match removal {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(format!("`{name}` is not gone yet: {}", error.message())),
                Err(_) => Some(format!("`{name}` is not gone yet: the broker takes its time")),
            }
        });
        Ok(join_all(removals).await.into_iter().flatten().collect())
    }

    /// The namespaces that are lent to sessions, and do not end yet.
    pub async fn of_sessions(&self) -> Result<Vec<(NamespaceName, ProxySessionId)>> {
        let lent = |tx: &Survey<'_>| {
            let mut lent = Vec::new();
            tx.each(&LENT_TO, |name, LentTo { session, ending }| {
                lent.extend(session.filter(|_| !ending).map(|session| (name, session)));
            })?;
            Ok(lent)
        };
        self.store.survey(lent).await
    }
}
