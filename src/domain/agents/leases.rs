//! Leases: the passwords that hosts were lent for their agents, and that work now.

use super::Agents;
use super::record::{ENROLLED, Enrolled};
use crate::base::{AccountName, HostName, Result, Timestamp};
use crate::domain::accounts::AccountCounts;
use crate::domain::accounts::held::{self, Connected, HeldBy};
use crate::store::Survey;

/// A password of an agent's account.
#[derive(Clone, Debug)]
pub struct AgentLease {
    pub host: HostName,
    /// The broker user whose password it is.
    pub account: AccountName,
    /// When its host should enrol again. It works until then, and on.
    pub until: Timestamp,
    pub held: HeldBy,
    /// When it was last seen in use.
    pub connected: Option<Connected>,
}

impl Agents {
    /// Those of agents with accounts of their own, by host. `counts` is how all broker users stand.
    pub fn leases(tx: &Survey<'_>, counts: &AccountCounts, mut look: impl FnMut(AgentLease)) -> Result<()> {
        let mut all = Vec::new();
        tx.each(&ENROLLED, |host, enrolled: Enrolled| all.push((host, enrolled)))?;
        for (host, Enrolled { account, until, is_shared, .. }) in all {
            if is_shared || counts.unusable.contains(&account) {
                continue;
            }
            let (holders, connected) = held::of(tx, &account)?;
            for held in holders.unwrap_or_default() {
                let (host, account, connected) = (host.clone(), account.clone(), connected.clone());
                look(AgentLease { host, account, until, held, connected });
            }
        }
        Ok(())
    }
}
