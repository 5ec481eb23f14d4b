//! What is counted of the proxy since the start, and what of it needs somebody.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Proxy;
use super::keys::Key;
use crate::base::Timestamp;
use crate::base::meter::Counter;

/// How long a failure counts that nothing followed: calls come when a task makes them.
const FRESH: Duration = Duration::from_secs(15 * 60);

/// Counters of the ledger.
#[derive(Debug, Default)]
pub(super) struct Meters {
    /// Calls by the first figure of their status; those without one first.
    pub calls: [Counter; 6],
    pub minted: Counter,
    pub not_minted: Counter,
    pub unrecorded: Counter,
    /// The last mint of each upstream that failed, until one succeeds.
    failed: Mutex<BTreeMap<String, (Timestamp, String)>>,
    /// When calls could not be recorded last.
    lost: Mutex<Option<Timestamp>>,
}

/// The proxy in numbers.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Sessions that are open.
    pub sessions: usize,
    /// Tokens that work.
    pub tokens: usize,
    /// Calls by the first figure of their status, `0` for those without one.
    pub calls: [u64; 6],
    /// Tokens that were minted.
    pub minted: u64,
    /// Tokens that could not be.
    pub not_minted: u64,
    /// Calls that were answered with 503 because they could not be recorded.
    pub unrecorded: u64,
}

/// What needs somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is about: `record`, `upstreams`, or `mint` with an upstream.
    pub about: String,
    /// In words.
    pub text: String,
    /// Whether nothing works meanwhile.
    pub is_out: bool,
}

impl Meters {
    pub fn call(&self, status: u16) {
        let class = usize::from(status / 100).min(self.calls.len() - 1);
        self.calls[class].one();
    }

    /// Notes how a mint of an upstream ended.
    pub fn mint(&self, upstream: &str, at: Timestamp, failed: Option<&str>) {
        let mut noted = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failed {
            None => {
                self.minted.one();
                noted.remove(upstream);
            }
            Some(cause) => {
                self.not_minted.one();
                noted.insert(upstream.to_owned(), (at, cause.to_owned()));
            }
        }
    }

    /// Notes that calls could not be recorded.
    pub fn lose(&self, count: usize, at: Timestamp) {
        self.unrecorded.add(count as u64);
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

impl Proxy {
    /// The proxy in numbers.
    pub fn figures(&self) -> Figures {
        let live: Vec<_> = self.live().values().cloned().collect();
        let has_token = |key: &Key| matches!(key, Key::Minted(minted) if minted.alive().is_some());
        let tokens = live.iter().flat_map(|live| &live.opened).filter(|opened| has_token(&opened.key)).count();
        let meters = self.ledger.meters();
        Figures {
            sessions: live.len(),
            tokens,
            calls: std::array::from_fn(|class| meters.calls[class].count()),
            minted: meters.minted.count(),
            not_minted: meters.not_minted.count(),
            unrecorded: meters.unrecorded.count(),
        }
    }

    /// What of the proxy needs somebody.
    pub fn troubles(&self) -> Vec<Trouble> {
        let (now, meters) = (self.clock.now(), self.ledger.meters());
        let failed = meters.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let failed = failed.into_iter().filter(|(_, (at, _))| at.is_within(FRESH, now));
        let mut troubles: Vec<Trouble> = failed
            .map(|(upstream, (_, cause))| Trouble {
                about: format!("mint {upstream}"),
                text: format!("the task proxy gets no token for `{upstream}`: {cause}"),
                is_out: true,
            })
            .collect();
        let lost = *meters.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.is_some_and(|at| at.is_within(FRESH, now)) {
            let text = "calls of the task proxy could not be recorded, and were answered with 503".to_owned();
            troubles.push(Trouble { about: "record".into(), text, is_out: true });
        }
        let of_upstreams = |text| Trouble { about: "upstreams".into(), text, is_out: true };
        troubles.extend(self.unreadable().map(|it| of_upstreams(it.why.clone())));
        troubles
    }
}
