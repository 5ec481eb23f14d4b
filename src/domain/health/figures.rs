//! Figures for metrics and the console.

use super::Health;
use crate::base::{Result, Timestamp};
use crate::domain::loops::Status;
use crate::ports::broker::Calls;
use crate::ports::system::{self, Process};
use crate::store::Entry;

#[derive(Clone, Debug)]
pub struct Figures {
    pub namespaces: u64,
    /// Broker users we answer for.
    pub accounts: u64,
    /// Of these, how many the broker is not known to have as wished.
    pub accounts_unsettled: u64,
    /// Addresses of machines that asked for credentials.
    pub hosts: u64,
    /// Deliveries of notices that wait.
    pub outbox_waiting: u64,
    /// The last entry of the audit log.
    pub audit_sequence: u64,
    /// When it was committed; absent while the log is empty.
    pub audit_last: Option<Timestamp>,
    /// Bytes of the store's file; absent for one in memory.
    pub store_bytes: Option<u64>,
    pub process: Process,
    pub started: Timestamp,
    /// Seconds since then.
    pub uptime_seconds: f64,
    pub loops: Vec<Status>,
    /// Whether the broker refused our administrator; absent while no broker is configured.
    pub administrator_refused: Option<bool>,
}

impl Health {
    pub async fn figures(&self) -> Result<Figures> {
        let parts = &self.parts;
        let counts = parts.accounts.counts().await?;
        let (audit_sequence, audit_last) = self.last_entry()?;
        let store = system::file(&self.around.places.data_dir.join(crate::store::FILE_NAME)).ok().flatten();
        Ok(Figures {
            namespaces: parts.namespaces.count()?,
            accounts: counts.count,
            accounts_unsettled: counts.unsettled,
            hosts: parts.hosts.count_known()?,
            outbox_waiting: parts.notices.waiting()?,
            audit_sequence,
            audit_last,
            store_bytes: store.map(|store| store.len),
            process: Process::now(),
            started: self.started_at,
            uptime_seconds: self.uptime().as_secs_f64(),
            loops: self.loops.list()?,
            administrator_refused: parts.administrator.is_refused(),
        })
    }

    /// How the calls of the broker went; `None` while none is configured.
    pub fn broker_calls(&self) -> Option<&Calls> {
        self.around.cluster.get().ok().map(|cluster| cluster.counts())
    }

    fn last_entry(&self) -> Result<(u64, Option<Timestamp>)> {
        self.parts.store.read(|tx| {
            let Some(seq) = tx.last_entry()? else { return Ok((0, None)) };
            let last = tx.entry(seq)?.and_then(|bytes| serde_json::from_slice::<Entry>(&bytes).ok());
            Ok((seq, last.map(|entry| entry.time)))
        })
    }
}
