//! The brake: what makes a pass stop and ask an operator. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

/// Deletions of one sort that a pass makes without asking. More are only made while they are a small share.
const DELETIONS_MAX: usize = 20;
/// The share of all resources of a sort from which on more than [`DELETIONS_MAX`] deletions need an operator: a tenth.
const DELETIONS_SHARE: usize = 10;
/// Fewer resources in a list are so few that half of them may well be gone.
const MANY: usize = 10;
/// How much more or less time may have passed by the clock than by the counter that nobody can set.
const CLOCK_SLACK: Duration = Duration::from_secs(5 * 60);
/// The longest absence after which the clock is believed without such a counter, which does not survive a restart.
const ABSENCE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The broker lists nothing of ours where it listed many.
    EmptyList,
    /// The broker lists less than half of what it listed.
    ShortList,
    /// Many queues are without a count.
    MissingCounts,
    /// The store has no namespace, or never saw a pass, and the broker has resources of namespaces that it does not know.
    EmptyStore,
    /// The clock went backwards since the last pass.
    ClockBack,
    /// The clock went further forward since the last pass than time did.
    ClockAhead,
    /// The pass would delete too much.
    TooMuch,
}

impl Trouble {
    /// Whether it is over when a later pass does not see it. Otherwise only an operator ends it: a store that was lost
    /// and holds its first new namespace is no better.
    fn passes_by_itself(self) -> bool {
        !matches!(self, Self::EmptyStore | Self::TooMuch)
    }

    /// Whether it is about the clock.
    pub fn is_clock(self) -> bool {
        matches!(self, Self::ClockBack | Self::ClockAhead)
    }

    /// Whether what was read cannot be believed, so that even a notice would be wrong.
    pub fn is_in_the_inputs(self) -> bool {
        self != Self::TooMuch
    }
}

/// Why the brake is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub trouble: Trouble,
    pub why: String,
    /// How many resources it is about.
    pub count: usize,
}

/// The brake, while it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    pub since: Timestamp,
    pub causes: Vec<Cause>,
    /// When an operator released it for the next pass.
    pub released: Option<Timestamp>,
}

impl Brake {
    /// Whether somebody who knows of the other one learns of no other trouble from this one. A release that did not
    /// suffice is always news.
    pub fn is_known_from(&self, other: &Self) -> bool {
        let is_known = |trouble| other.causes.iter().any(|cause| cause.trouble == trouble);
        other.released.is_none() && self.causes.iter().all(|cause| is_known(cause.trouble))
    }

    /// Whether both say the same. What the clock shows is different in every pass.
    pub fn says_as_much_as(&self, other: &Self) -> bool {
        let is_same =
            |(one, other): (&Cause, &Cause)| one == other || one.trouble.is_clock() && one.trouble == other.trouble;
        let are_as_many = self.causes.len() == other.causes.len();
        self.released == other.released && are_as_many && self.causes.iter().zip(&other.causes).all(is_same)
    }
}

/// The causes in one line, and whether an operator looked.
impl std::fmt::Display for Brake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let causes: Vec<&str> = self.causes.iter().map(|cause| cause.why.as_str()).collect();
        f.write_str(&causes.join("; "))?;
        if self.released.is_some() { f.write_str(" (released for the next pass)") } else { Ok(()) }
    }
}

/// How many resources a pass saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub queues: usize,
    pub exchanges: usize,
    pub namespaces: usize,
    /// Namespaces that have some of these queues and exchanges.
    #[serde(default)]
    pub owners: usize,
}

/// What a pass leaves for the next one to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    pub at: Timestamp,
    /// What it left at the broker.
    pub left: Counts,
    pub number: u64,
}

/// What a pass sees before it judges.
#[derive(Clone, Copy, Debug)]
pub struct Readings {
    pub now: Timestamp,
    /// How much time has passed since the last pass, by a counter that nobody can set; unknown after a restart.
    pub elapsed: Option<Duration>,
    pub seen: Counts,
    /// Queues that should have a count and have none.
    pub uncounted: usize,
    /// Queues and exchanges that it would delete because their namespace is not in the store.
    pub unknown: usize,
}

/// What is wrong with the inputs of a pass.
pub fn inputs(readings: &Readings, last: Option<&Pass>) -> Vec<Cause> {
    let Readings { seen, uncounted, unknown, .. } = *readings;
    let mut causes = Vec::new();
    let mut add = |trouble, count, why| causes.push(Cause { trouble, why, count });
    if let Some(last) = last {
        clock(readings, last, &mut add);
        let lists = [("queues", seen.queues, last.left.queues), ("exchanges", seen.exchanges, last.left.exchanges)];
        for (what, seen_now, before) in lists {
            // When namespaces were removed their resources are rightly gone.
            let removed = last.left.namespaces.saturating_sub(seen.namespaces);
            if before >= MANY && seen_now == 0 && removed < last.left.owners.max(1) {
                add(Trouble::EmptyList, before, format!("the broker lists no {what} of ours, and had {before}"));
            } else if before >= MANY && seen_now < before / 2 && removed == 0 {
                let why = format!("the broker lists {seen_now} {what} of ours, and had {before}");
                add(Trouble::ShortList, before - seen_now, why);
            }
        }
    }
    if uncounted >= MANY && uncounted > seen.queues / 2 {
        let why = format!("of {} queues {uncounted} are without a count: is a node of the broker down?", seen.queues);
        add(Trouble::MissingCounts, uncounted, why);
    }
    let resources = seen.queues + seen.exchanges;
    if seen.namespaces == 0 && resources > 0 {
        let why = format!("there is no namespace in the store, and the broker has {resources} queues and exchanges");
        add(Trouble::EmptyStore, resources, why);
    } else if last.is_none() && unknown > 0 {
        // As after a store was lost and somebody claimed before the first pass.
        let why = format!(
            "the store remembers no pass, and {unknown} queues and exchanges belong to namespaces that it does not know"
        );
        add(Trouble::EmptyStore, unknown, why);
    }
    causes
}

fn clock(readings: &Readings, last: &Pass, add: &mut impl FnMut(Trouble, usize, String)) {
    let Readings { now, elapsed, .. } = *readings;
    let expected = last.at.plus(elapsed.unwrap_or_default());
    let ahead_max = if elapsed.is_some() { CLOCK_SLACK } else { ABSENCE_MAX };
    let told = format!("the clock shows {now}; the last pass was at {}", last.at);
    if now.plus(CLOCK_SLACK) < expected {
        add(Trouble::ClockBack, 1, format!("{told}, so it was set back"));
    } else if now > expected.plus(ahead_max) {
        let why = match elapsed {
            Some(elapsed) => format!("{told}, which is {} s ago by a counter that nobody sets", elapsed.as_secs()),
            None => format!("{told}: was it set, or was the appliance off for so long?"),
        };
        add(Trouble::ClockAhead, 1, why);
    }
}

/// Whether a pass that deletes `queues` and `exchanges` of those that it sees would delete too much.
pub fn amount(queues: usize, exchanges: usize, seen: &Counts) -> Option<Cause> {
    let is_much = |deleted, all| deleted > DELETIONS_MAX && deleted > all / DELETIONS_SHARE;
    (is_much(queues, seen.queues) || is_much(exchanges, seen.exchanges)).then(|| Cause {
        trouble: Trouble::TooMuch,
        why: format!(
            "it would delete {queues} of {} queues and {exchanges} of {} exchanges",
            seen.queues, seen.exchanges
        ),
        count: queues + exchanges,
    })
}

/// Whether a pass may go on: `None`, or the brake as it is from now on.
pub fn decide(before: Option<&Brake>, causes: Vec<Cause>, now: Timestamp) -> Option<Brake> {
    let Some(before) = before else {
        return (!causes.is_empty()).then_some(Brake { since: now, causes, released: None });
    };
    if before.released.is_some() && causes.iter().all(|cause| covers(before, cause)) {
        return None;
    }
    let lasting = before.causes.iter().filter(|old| {
        let is_seen = causes.iter().any(|cause| cause.trouble == old.trouble);
        !is_seen && !old.trouble.passes_by_itself() && before.released.is_none()
    });
    let causes: Vec<Cause> = causes.iter().chain(lasting).cloned().collect();
    (!causes.is_empty()).then_some(Brake { since: before.since, causes, released: None })
}

/// Whether the operator knew of this when releasing the brake. The plan may have grown a little since.
fn covers(released: &Brake, cause: &Cause) -> bool {
    let known = released.causes.iter().filter(|known| known.trouble == cause.trouble);
    known.into_iter().any(|known| cause.count <= known.count + DELETIONS_MAX)
}
