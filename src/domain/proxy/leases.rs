//! Leases: the sessions that are open.

use super::Proxy;
use super::record::Session;
use crate::base::ProxySessionId;

/// A session that is open.
#[derive(Clone, Debug)]
pub struct SessionLease {
    /// What it is called.
    pub id: ProxySessionId,
    /// What it may.
    pub session: Session,
}

impl Proxy {
    /// All that are asked now.
    pub fn leases(&self) -> Vec<SessionLease> {
        let lease = |(id, live): (&ProxySessionId, &std::sync::Arc<super::Live>)| SessionLease {
            id: id.clone(),
            session: live.session.clone(),
        };
        self.live().iter().map(lease).collect()
    }
}
