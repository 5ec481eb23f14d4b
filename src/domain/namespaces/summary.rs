//! Namespaces as a list for people: so little of each that all of them can be read for one page.

use super::record::{BRIEF, Brief, DUE, Due, NAMESPACES, WITH_USERS};
use super::{HeldBy, Namespaces, Slot, leases};
use crate::base::{NamespaceName, Result, Timestamp};

/// Where a namespace is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Whoever may claim it gets it.
    Lent,
    /// Its resting user was given a new password, which becomes the one that is lent.
    Rotating,
    /// Its time is over: it is removed soon, unless it is claimed again.
    Over,
    Ending,
}

/// A namespace in a list.
#[derive(Clone, Debug)]
pub struct Summary {
    pub namespace: NamespaceName,
    /// Where it is in its life.
    pub phase: Phase,
    pub contact: Option<String>,
    /// When it may be removed.
    pub expires: Timestamp,
    /// The slot whose password is lent now.
    pub active: Slot,
    /// When the slots change places.
    pub next_rotation: Timestamp,
    /// Who was last lent one of its passwords; none until [`Namespaces::note_last_claims`] has looked, or when nobody was.
    pub last_claim: Option<HeldBy>,
}

/// What comes next, of all namespaces.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// How many there are, by where they are in their lives.
    pub phases: [(Phase, usize); 4],
    /// Those that change places next, with when.
    pub next: Vec<(Timestamp, String)>,
}

impl Namespaces {
    /// All namespaces at one moment, in the order of their names, without their last claims.
    pub async fn summaries(&self) -> Result<Vec<Summary>> {
        let survey = self.store.survey(|tx| {
            let mut all = Vec::new();
            tx.each(&BRIEF, |name, namespace| all.push(summary(name, namespace, tx.now())))?;
            Ok(all)
        });
        survey.await
    }

    /// The same with their last claims.
    pub async fn summaries_with_last_claims(&self) -> Result<Vec<Summary>> {
        let survey = self.store.survey(|tx| {
            let (mut holders, mut all) = (leases::last_holders(tx)?, Vec::new());
            tx.each(&WITH_USERS, |name, brief| {
                let held = brief.accounts.iter().filter_map(|account| holders.remove(account));
                let last_claim = held.max_by_key(|held| held.last);
                all.push(Summary { last_claim, ..summary(name, brief, tx.now()) });
            })?;
            Ok(all)
        });
        survey.await
    }

    /// Looks up who was last lent each of these.
    pub fn note_last_claims<'s>(&self, summaries: impl Iterator<Item = &'s mut Summary>) -> Result<()> {
        self.store.read(|tx| {
            for each in summaries {
                if let Some(namespace) = tx.get(&NAMESPACES, &each.namespace)? {
                    each.last_claim = leases::last_holder(tx, &namespace.accounts)?;
                }
            }
            Ok(())
        })
    }

    /// How many there are, and those that change places next, the soonest first, at most `limit`.
    pub async fn outlook(&self, limit: usize) -> Result<Outlook> {
        let survey = self.store.survey(move |tx| {
            let mut phases = [Phase::Lent, Phase::Rotating, Phase::Over, Phase::Ending].map(|phase| (phase, 0));
            let mut next: Vec<(Timestamp, String)> = Vec::new();
            tx.each(&DUE, |name, Due { expires, next_rotation, incoming, ending }| {
                let phase = phase(expires, incoming, ending, tx.now());
                phases.iter_mut().filter(|(each, _)| *each == phase).for_each(|(_, count)| *count += 1);
                let place = next.partition_point(|(known, _)| *known <= next_rotation);
                if matches!(phase, Phase::Lent | Phase::Rotating) && place < limit {
                    next.truncate(limit - 1);
                    next.insert(place, (next_rotation, name));
                }
            })?;
            Ok(Outlook { phases, next })
        });
        survey.await
    }
}

/// Where a namespace is that expires then, and is being rotated or removed.
pub(super) fn phase(expires: Timestamp, incoming: bool, ending: bool, now: Timestamp) -> Phase {
    match (ending, incoming) {
        (true, _) => Phase::Ending,
        _ if expires <= now => Phase::Over,
        (_, true) => Phase::Rotating,
        _ => Phase::Lent,
    }
}

fn summary<Accounts>(name: NamespaceName, namespace: Brief<Accounts>, now: Timestamp) -> Summary {
    Summary {
        namespace: name,
        phase: phase(namespace.expires, namespace.incoming, namespace.ending, now),
        contact: namespace.contact,
        expires: namespace.expires,
        active: namespace.active,
        next_rotation: namespace.next_rotation,
        last_claim: None,
    }
}
