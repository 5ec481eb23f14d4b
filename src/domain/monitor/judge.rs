//! The judgement: numbers in, verdict out. Pure; the only place that decides what is deleted, closed or told.

use std::collections::{HashMap, HashSet};

use super::brake::Counts;
use super::connections::{closings, outliving};
use super::held::held_against;
use super::limits::{Ages, Limits, Over};
use super::managed::Managed;
use super::plan::{Object, Step, What};
use super::sight::{Remembered, Sight};
use super::words;
use crate::base::Timestamp;
use crate::ports::broker::Queue;

/// Passes in a row that a queue must be missing from the list before it counts as gone (rabbitmq.md, fact 7).
const ABSENT_MAX: u8 = 2;

/// What comes of one queue: steps, and what is remembered of it from now on.
#[derive(Debug)]
pub struct Finding {
    pub name: String,
    /// What to remember; `None` for nothing.
    pub state: Option<Remembered>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Default)]
pub struct Verdict {
    /// Queues of which something changed.
    pub findings: Vec<Finding>,
    pub others: Vec<Step>,
    /// How much of ours there is.
    pub seen: Counts,
    /// Queues that should have a count and have none.
    pub uncounted: usize,
}

impl Verdict {
    /// All steps in their order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.findings.iter().flat_map(|finding| &finding.steps).chain(&self.others)
    }
}

/// Judges everything once.
pub fn judge(sight: &Sight<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.seen.namespaces = sight.namespaces.len();
    let (mut present, mut owners) = (HashMap::with_capacity(sight.remembered.len()), HashSet::new());
    let mut note_owner = |name: &Managed| {
        if !owners.contains(name.namespace()) {
            owners.insert(name.namespace().clone());
        }
    };
    for queue in sight.queues {
        let Some(name) = sight.prefixes.queue(&queue.name) else { continue };
        verdict.seen.queues += 1;
        note_owner(&name);
        verdict.uncounted += usize::from(queue.messages.is_none() && queue.stream().is_none());
        if let Some((known, _)) = sight.remembered.get_key_value(&queue.name) {
            present.insert(known.as_str(), ());
        }
        let finding = one_queue(sight, queue, name);
        let before = sight.remembered.get(&finding.name);
        if !finding.steps.is_empty() || finding.state.as_ref() != before {
            verdict.findings.push(finding);
        }
    }
    let missing = sight.remembered.iter().filter(|(name, _)| !present.contains_key(name.as_str()));
    verdict.findings.extend(missing.map(|(name, state)| absent(sight, name, state)));
    verdict.findings.sort_by(|a, b| a.name.cmp(&b.name));
    for exchange in sight.exchanges {
        let Some(name) = sight.prefixes.exchange(&exchange.name) else { continue };
        verdict.seen.exchanges += 1;
        note_owner(&name);
        if !sight.namespaces.contains_key(name.namespace()) {
            verdict.others.push(delete_orphan(name, None));
        }
    }
    verdict.seen.owners = owners.len();
    verdict.others.extend(left_limits(sight));
    verdict.others.extend(closings(sight));
    verdict.others.extend(outliving(sight));
    verdict
}

fn one_queue(sight: &Sight<'_>, queue: &Queue, name: Managed) -> Finding {
    let before = sight.remembered.get(&queue.name).cloned().unwrap_or_default().not_after(sight.now);
    // That it is listed ends both doubts, unless it went meanwhile.
    let condemned = before.condemned.filter(|_| before.vanished);
    let mut state = Remembered { absent: 0, condemned, ..before };
    let mut steps = Vec::new();
    if is_out_of_reach(queue) {
        state.lose_sight(sight.now);
    } else if !sight.namespaces.contains_key(name.namespace()) {
        // The queue of a connection goes with it, and nobody else can delete it (rabbitmq.md 2.6).
        if queue.exclusive != Some(true) {
            steps.push(delete_orphan(name, queue.messages));
        }
    } else {
        let limits = sight.rules.limits(&queue.name).of(queue.stream());
        steps.extend(made_again(queue, &name, &limits, &mut state));
        if limits.are_lifted(sight.now) {
            // What began before says nothing about the time after it.
            (state.over_since, state.idle_since) = (None, None);
            let is_limited = sight.caps.contains_key(&queue.name);
            steps.extend(is_limited.then(|| unlimit(name, words::unruled())));
        } else {
            steps.extend(held_against(sight, queue, &name, &limits, &mut state));
        }
    }
    Finding { name: queue.name.clone(), state: (state != Remembered::default()).then_some(state), steps }
}

/// The deletion of a queue that vanished, if the one that is listed is another one: it is over no limit.
fn made_again(queue: &Queue, name: &Managed, limits: &Limits, state: &mut Remembered) -> Option<Step> {
    if !state.vanished || limits.miss_something(queue) {
        return None;
    }
    state.vanished = false;
    let messages = state.condemned.take()?;
    limits.delete_over(queue, Ages::default()).is_none().then(|| {
        *state = Remembered::default();
        concluded(name.clone(), messages)
    })
}

/// What became of a deletion whose outcome could not be noted.
fn concluded(name: Managed, messages: u64) -> Step {
    let why = "it was deleted, and the broker's answer was lost".to_owned();
    Step { what: What::Conclude, object: Object::Resource(name), why, messages: Some(messages), over: None }
}

/// What comes of a queue that is remembered and not listed.
fn absent(sight: &Sight<'_>, name: &str, before: &Remembered) -> Finding {
    let mut finding = Finding { name: name.to_owned(), state: None, steps: Vec::new() };
    // After the prefix was changed it is no longer ours to remember.
    let Some(managed) = sight.prefixes.queue(name) else { return finding };
    let absent = before.absent.saturating_add(1);
    if absent < ABSENT_MAX {
        let mut state = Remembered { absent, ..before.clone() };
        state.lose_sight(sight.now);
        finding.state = Some(state);
        return finding;
    }
    if sight.caps.contains_key(name) {
        // Remembered until its limit is gone, too.
        finding.state =
            Some(Remembered { absent: ABSENT_MAX, limited: before.limited.clone(), ..Remembered::default() });
        finding.steps.push(unlimit(managed.clone(), words::absent()));
    }
    finding.steps.extend(before.condemned.map(|messages| concluded(managed, messages)));
    finding
}

/// Limits of queues that are neither listed nor remembered: of a store that was lost, or of another time.
fn left_limits(sight: &Sight<'_>) -> Vec<Step> {
    if sight.caps.is_empty() {
        return Vec::new();
    }
    let listed: HashSet<&str> = sight.queues.iter().map(|queue| queue.name.as_str()).collect();
    let left =
        sight.caps.keys().filter(|name| !listed.contains(name.as_str()) && !sight.remembered.contains_key(*name));
    let mut steps: Vec<Step> =
        left.filter_map(|name| Some(unlimit(sight.prefixes.queue(name)?, words::absent()))).collect();
    steps.sort_by(|a, b| a.object.name().cmp(b.object.name()));
    steps
}

/// The end of the limit of a queue.
fn unlimit(name: Managed, why: String) -> Step {
    Step { what: What::Unlimit, object: Object::Resource(name), why, messages: None, over: None }
}

/// Whether it can neither say nor do anything now.
fn is_out_of_reach(queue: &Queue) -> bool {
    queue.state.as_deref() == Some("down") || queue.is_without_majority()
}

/// The deletion of something whose namespace is gone.
fn delete_orphan(name: Managed, messages: Option<u64>) -> Step {
    let why = words::describe_gone(name.namespace());
    Step { what: What::Delete, object: Object::Resource(name), why, messages, over: None }
}

/// Whether a queue that was asked once more is to be deleted or archived all the same.
pub fn is_still_over(over: &Over, queue: &Queue, now: Timestamp) -> bool {
    !is_out_of_reach(queue) && queue.exclusive != Some(true) && over.still(queue, now)
}
