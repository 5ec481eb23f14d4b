//! Asking DNS who an address is: which servers, in which order, at most how often.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Cause;
use super::verify::{Step, Verdict, judge};
use crate::base::{Clock, HostName};
use crate::ports::dns::{Answer, Data, Dns, Kind, Question};

/// Times that the servers are gone through for one question: a datagram may get lost.
const ROUNDS: usize = 2;
/// Look-ups at once; more wait. Each has a few questions under way.
const LOOKUPS_MAX: usize = 64;
/// After it a look-up asks nothing more, the wait for a place included: the client's patience is over.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(12);
/// How long a refusal is believed: whoever mends a record waits no longer.
const REFUSED_FRESH: Duration = Duration::from_secs(10);
/// How long it is believed that DNS gives no answer.
const UNANSWERED_FRESH: Duration = Duration::from_secs(1);
/// Addresses that are remembered at once.
const SLOTS_MAX: usize = 20_000;

/// A verdict and the answers that led to it.
#[derive(Clone, Debug)]
pub struct Checked {
    pub verdict: Verdict,
    /// All that was asked and answered, also by servers that failed.
    pub answers: Arc<[Answer]>,
    /// Until when it is believed, on the steady clock.
    until: Duration,
}

/// Who addresses are. Cheap to share.
pub(super) struct Lookups {
    dns: Dns,
    agree: usize,
    fresh_max: Duration,
    clock: Clock,
    slots: Mutex<HashMap<IpAddr, Arc<Slot>>>,
    places: Semaphore,
}

#[derive(Clone, Copy)]
enum Way {
    /// One after the other, until one answers.
    InTurn,
    /// Only this one.
    One(usize),
}

/// What is known of one address.
#[derive(Default)]
struct Slot {
    last: Mutex<Option<Arc<Checked>>>,
    asking: tokio::sync::Mutex<()>,
    /// How often somebody has asked.
    asked: AtomicU64,
}

impl Lookups {
    /// `agree` servers must give the same verdict, which is believed for `fresh_max` at most.
    pub fn new(dns: Dns, agree: usize, fresh_max: Duration, clock: Clock) -> Self {
        Self { dns, agree, fresh_max, clock, slots: Mutex::default(), places: Semaphore::new(LOOKUPS_MAX) }
    }

    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    /// Who an address is, as of now or of a short while ago. Whoever comes while somebody asks shares the answer.
    pub async fn check(&self, address: IpAddr) -> Arc<Checked> {
        let slot = self.slot(address);
        let asked = slot.asked.load(Ordering::Acquire);
        if let Some(fresh) = slot.last().filter(|last| self.clock.elapsed() < last.until) {
            return fresh;
        }
        let _asking = slot.asking.lock().await;
        if let Some(last) = slot.last()
            && (slot.asked.load(Ordering::Acquire) != asked || self.clock.elapsed() < last.until)
        {
            return last;
        }
        let checked = Arc::new(self.check_now(address).await);
        *slot.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(checked.clone());
        slot.asked.fetch_add(1, Ordering::Release);
        checked
    }

    /// The same without what is remembered.
    pub async fn check_now(&self, address: IpAddr) -> Checked {
        let late = Instant::now() + LOOKUP_TIMEOUT;
        let (verdict, answers) = match tokio::time::timeout_at(late, self.places.acquire()).await {
            Ok(_place) if self.agree > 1 => self.ask_all(address, late).await,
            Ok(_place) => self.inquire(address, Way::InTurn, late).await,
            Err(_) => (Verdict::Refused(Cause::Unanswered("too many others are asked for".into())), Vec::new()),
        };
        let until = self.clock.elapsed() + self.fresh(&verdict, &answers);
        Checked { verdict, answers: answers.into(), until }
    }

    /// Whether there is an address of this name, of either family; `None` without an answer.
    pub async fn has_address(&self, name: &HostName) -> Option<bool> {
        let late = Instant::now() + LOOKUP_TIMEOUT;
        for kind in [Kind::A, Kind::Aaaa] {
            let question = Question { name: name.as_str().to_owned(), kind };
            let answer = match self.dns.ask_hosts_file(&question).await {
                Some(answer) => answer,
                None => self.ask(&question, Way::InTurn, late).await.pop()?,
            };
            if answer.is_failed() {
                return None;
            }
            if answer.records.iter().any(|record| matches!(record.data, Data::Address(_))) {
                return Some(true);
            }
        }
        Some(false)
    }

    fn slot(&self, address: IpAddr) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= SLOTS_MAX && !slots.contains_key(&address) {
            let now = self.clock.elapsed();
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.last().is_some_and(|last| now < last.until));
            if slots.len() >= SLOTS_MAX {
                slots.retain(|_, slot| Arc::strong_count(slot) > 1);
            }
        }
        slots.entry(address).or_default().clone()
    }

    /// No longer than any record allows.
    fn fresh(&self, verdict: &Verdict, answers: &[Answer]) -> Duration {
        let records = answers.iter().flat_map(|answer| &answer.records);
        let ttl = records.map(|record| Duration::from_secs(record.ttl_seconds.into())).min();
        let max = match verdict {
            Verdict::Verified(_) => self.fresh_max,
            Verdict::Refused(Cause::Unanswered(_)) => UNANSWERED_FRESH,
            Verdict::Refused(_) => REFUSED_FRESH.min(self.fresh_max),
        };
        ttl.unwrap_or(max).min(max)
    }

    /// Every server for itself. Exactly one name must be what enough of them say.
    async fn ask_all(&self, address: IpAddr, late: Instant) -> (Verdict, Vec<Answer>) {
        let servers = 0..self.dns.servers().len();
        let all =
            futures_util::future::join_all(servers.map(|server| self.inquire(address, Way::One(server), late))).await;
        let mut votes: Vec<(&Verdict, usize)> = Vec::new();
        for (verdict, _) in &all {
            match votes.iter_mut().find(|(other, _)| *other == verdict) {
                Some((_, count)) => *count += 1,
                None => votes.push((verdict, 1)),
            }
        }
        let mut agreed = votes.iter().filter(|(_, count)| *count >= self.agree).map(|(verdict, _)| *verdict);
        let verdict = match (agreed.next(), agreed.next()) {
            (Some(verdict), None) => verdict.clone(),
            _ => Verdict::Refused(Cause::Disagreement),
        };
        (verdict, all.into_iter().flat_map(|(_, answers)| answers).collect())
    }

    /// Asks what the judgement wants to know, until it is content or time is over. The hosts file goes first.
    async fn inquire(&self, address: IpAddr, way: Way, late: Instant) -> (Verdict, Vec<Answer>) {
        let (mut answers, mut all) = (Vec::new(), Vec::new());
        loop {
            let question = match judge(address, &answers) {
                Step::Ask(_) if Instant::now() >= late => {
                    return (Verdict::Refused(Cause::Unanswered("it took too long".into())), all);
                }
                Step::Ask(question) => question,
                Step::Done(verdict) => return (verdict, all),
            };
            let asked = match self.dns.ask_hosts_file(&question).await {
                Some(answer) => vec![answer],
                None => self.ask(&question, way, late).await,
            };
            answers.extend(asked.last().cloned());
            all.extend(asked);
        }
    }

    /// The answers to one question; the last one counts, and those before it failed. Never empty.
    async fn ask(&self, question: &Question, way: Way, late: Instant) -> Vec<Answer> {
        // Always from the first on: if it were skipped after a failure, whoever makes it fail would choose the server that
        // judges the others.
        let servers: Vec<usize> = match way {
            Way::InTurn => (0..self.dns.servers().len().max(1)).collect(),
            Way::One(server) => vec![server],
        };
        let mut answers = Vec::new();
        for server in servers.repeat(ROUNDS) {
            let answer = self.dns.ask(server, question).await;
            let is_over = !answer.is_failed() || Instant::now() >= late;
            answers.push(answer);
            if is_over {
                break;
            }
        }
        answers
    }
}

impl Slot {
    fn last(&self) -> Option<Arc<Checked>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Checked {
    /// The name, if the address has one that holds.
    pub fn name(&self) -> Option<&HostName> {
        match &self.verdict {
            Verdict::Verified(name) => Some(name),
            Verdict::Refused(_) => None,
        }
    }
}
