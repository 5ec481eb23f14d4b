//! Namespaces as a list for people: so little of each that all of them can be read for one page.

use std::ops::Bound;

use super::{HeldBy, NAMESPACES, Namespace, Namespaces, Slot, leases};
use crate::base::{AccountName, NamespaceName, Result, Timestamp};

/// Namespaces decoded at once, so that memory stays flat while most of a record is dropped.
const CHUNK: usize = 250;

/// Where a namespace is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Whoever may claim it gets it.
    Lent,
    /// Its resting user was given a new password, which becomes the one that is lent.
    Rotating,
    /// Its time is over: it is removed soon, unless it is claimed again.
    Over,
    /// It is being removed.
    Ending,
}

/// A namespace in a list.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The name.
    pub namespace: NamespaceName,
    /// Where it is in its life.
    pub phase: Phase,
    /// Whom to tell.
    pub contact: Option<String>,
    /// When it may be removed.
    pub expires: Timestamp,
    /// The slot whose password is lent now.
    pub active: Slot,
    /// When the slots change places.
    pub next_rotation: Timestamp,
    /// Who was last lent one of its passwords; none until [`Namespaces::note_last_claims`] has looked, or when nobody was.
    pub last_claim: Option<HeldBy>,
    accounts: [AccountName; 2],
}

impl Namespaces {
    /// All namespaces at one moment, in the order of their names, without their last claims.
    pub fn summaries(&self) -> Result<Vec<Summary>> {
        self.store.read(|tx| {
            let (mut all, mut last) = (Vec::new(), None);
            loop {
                let rows = tx.scan(&NAMESPACES, last.as_ref().map_or(Bound::Unbounded, Bound::Excluded), CHUNK)?;
                let Some((name, _)) = rows.last() else { return Ok(all) };
                last = Some(name.clone());
                all.extend(rows.into_iter().map(|(name, namespace)| summary(name, namespace, tx.now())));
            }
        })
    }

    /// Looks up who was last lent each of these.
    pub fn note_last_claims(&self, summaries: &mut [Summary]) -> Result<()> {
        self.store.read(|tx| {
            for each in summaries {
                each.last_claim = leases::last_holder(tx, &each.accounts)?;
            }
            Ok(())
        })
    }
}

pub(super) fn phase(namespace: &Namespace, now: Timestamp) -> Phase {
    match namespace {
        Namespace { ending: true, .. } => Phase::Ending,
        Namespace { expires, .. } if *expires <= now => Phase::Over,
        Namespace { incoming: true, .. } => Phase::Rotating,
        _ => Phase::Lent,
    }
}

fn summary(name: NamespaceName, namespace: Namespace, now: Timestamp) -> Summary {
    Summary {
        namespace: name,
        phase: phase(&namespace, now),
        accounts: namespace.accounts,
        contact: namespace.contact,
        expires: namespace.expires,
        active: namespace.active,
        next_rotation: namespace.next_rotation,
        last_claim: None,
    }
}
