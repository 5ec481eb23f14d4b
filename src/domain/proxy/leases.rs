//! Leases: the sessions that are open.

use std::ops::Bound;

use super::Proxy;
use super::record::{SESSIONS, Session};
use crate::base::{ProxySessionId, Result};
use crate::store::Survey;

/// Sessions that are looked at: a month of a busy host.
const SESSIONS_MAX: usize = 10_000;

/// A session that is open.
#[derive(Clone, Debug)]
pub struct SessionLease {
    /// What it is called.
    pub id: ProxySessionId,
    /// What it may.
    pub session: Session,
}

impl Proxy {
    /// All that are open.
    pub fn leases(tx: &Survey<'_>, mut look: impl FnMut(SessionLease)) -> Result<()> {
        for (id, session) in tx.scan(&SESSIONS, Bound::Unbounded, SESSIONS_MAX)? {
            if session.ended.is_none() {
                look(SessionLease { id, session });
            }
        }
        Ok(())
    }
}
