//! The judgement: numbers in, verdict out. Pure; the only place that decides what is deleted, closed or told.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::brake::Counts;
use super::forecast::{Forecast, Samples};
use super::managed::{Managed, Prefixes};
use super::plan::{Object, Step, What};
use super::rules::{Limits, Over, RuleBook};
use super::words;
use crate::base::{NamespaceName, Timestamp};
use crate::domain::namespaces::MonitoredNamespace;
use crate::ports::broker::{Connection, Exchange, Queue};

/// How often a warning is repeated while its cause lasts.
const REPEAT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before its deletion the contact of a fast queue hears of it: time for a person to come and look.
const HORIZON: Duration = Duration::from_secs(60 * 60);
/// A queue below this part of its warning is too small for its rate to mean much: a quarter.
const FORECAST_FROM: u64 = 4;
/// Time in which nobody could look that is overlooked. Longer, and a consumer may well have been there.
const UNSEEN_MAX: Duration = Duration::from_secs(15 * 60);
/// The same as a part of the time that is counted, and in passes: a tenth, and three.
const UNSEEN_MAX_SHARE: u32 = 10;
const UNSEEN_MAX_PASSES: u32 = 3;
/// Passes in a row that a queue must be missing from the list before it counts as gone (rabbitmq.md, fact 7).
const ABSENT_MAX: u8 = 2;
/// Connections closed in one pass, so that clients that connected together do not come back together.
const CLOSINGS_MAX: usize = 50;

/// What is remembered of a queue that is not simply in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// When its contact was last told that it is over the warning; `None` while it is in order.
    pub warned: Option<Timestamp>,
    /// Since when it is over a limit of deletion.
    pub over_since: Option<Timestamp>,
    /// Since when it has no consumer, for queues with a rule about that.
    pub idle_since: Option<Timestamp>,
    /// Since when it could not be looked at, while something was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen_since: Option<Timestamp>,
    /// Whether its contact was told that it will soon be deleted.
    pub forecast_told: bool,
    /// Passes in a row that it was missing from the list.
    pub absent: u8,
    /// Its messages when we set out to delete it. Gone when the outcome is noted, or when it is seen again.
    pub condemned: Option<u64>,
    /// Whether it was not there any more when we deleted it: its node was down, or an earlier try took effect whose answer
    /// was lost. It may be made again before the next pass.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub vanished: bool,
}

impl Remembered {
    /// What was written down for the future, while the clock was wrong, began now: otherwise it would be without effect
    /// until then.
    fn not_after(mut self, now: Timestamp) -> Self {
        for moment in [&mut self.warned, &mut self.over_since, &mut self.idle_since, &mut self.unseen_since] {
            *moment = moment.map(|moment| moment.min(now));
        }
        self
    }

    /// It cannot be looked at in this pass.
    fn lose_sight(&mut self, now: Timestamp) {
        if self.over_since.is_some() || self.idle_since.is_some() {
            self.unseen_since.get_or_insert(now);
        }
    }

    /// It can be looked at again. What was counted over a long time in which nobody looked is counted anew: nobody
    /// knows whether it lasted.
    fn regain_sight(&mut self, sight: &Sight<'_>, limits: &Limits) {
        let Some(since) = self.unseen_since.take().or(sight.last) else { return };
        let unseen = sight.now.since(since);
        let at_least = UNSEEN_MAX.max(sight.period.saturating_mul(UNSEEN_MAX_PASSES));
        let is_too_long = |counted: Duration| unseen > at_least.max(counted / UNSEEN_MAX_SHARE);
        self.over_since = self.over_since.filter(|_| !is_too_long(limits.grace));
        self.idle_since = self.idle_since.filter(|_| !is_too_long(limits.unconsumed.unwrap_or_default()));
    }
}

/// All that a judgement looks at.
pub struct Sight<'a> {
    pub now: Timestamp,
    /// When the last sound pass was.
    pub last: Option<Timestamp>,
    /// How often there is a pass.
    pub period: Duration,
    pub prefixes: &'a Prefixes,
    /// All queues of the vhost.
    pub queues: &'a [Queue],
    /// All exchanges of the vhost.
    pub exchanges: &'a [Exchange],
    pub connections: &'a [Connection],
    /// The namespaces that there are. **Invariant:** read after the lists of the broker, so that the namespace of a
    /// thing in them is here unless it is gone.
    pub namespaces: &'a HashMap<NamespaceName, MonitoredNamespace>,
    /// What is remembered of queues.
    pub remembered: &'a HashMap<String, Remembered>,
    /// When contacts of namespaces were last told of connections that outlive a promise.
    pub told: &'a HashMap<NamespaceName, Timestamp>,
    /// The last counts of queues, with those of now.
    pub samples: &'a HashMap<String, Samples>,
    pub rules: &'a RuleBook,
    /// How old a connection may be.
    pub connection_max_lifetime: Duration,
}

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
        verdict.uncounted += usize::from(queue.messages.is_none() && !is_stream(queue));
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
            verdict.others.push(gone(name, None));
        }
    }
    verdict.seen.owners = owners.len();
    verdict.others.extend(closings(sight));
    verdict.others.extend(outliving(sight));
    verdict
}

/// Streams have no count in lists, and what was read stays in them (rabbitmq.md 2.6): a count would say nothing.
fn is_stream(queue: &Queue) -> bool {
    queue.kind.as_deref() == Some("stream")
}

fn one_queue(sight: &Sight<'_>, queue: &Queue, name: Managed) -> Finding {
    let before = sight.remembered.get(&queue.name).cloned().unwrap_or_default().not_after(sight.now);
    // That it is listed ends both doubts, unless it went meanwhile.
    let condemned = before.condemned.filter(|_| before.vanished);
    let mut state = Remembered { absent: 0, condemned, ..before };
    let mut steps = Vec::new();
    if queue.state.as_deref() == Some("down") {
        state.lose_sight(sight.now);
    } else if !sight.namespaces.contains_key(name.namespace()) {
        // The queue of a connection goes with it, and nobody else can delete it (rabbitmq.md 2.6).
        if queue.exclusive != Some(true) {
            steps.push(gone(name, queue.messages));
        }
    } else if !is_stream(queue) {
        let limits = sight.rules.limits(&queue.name);
        steps.extend(made_again(queue, &name, &limits, &mut state));
        if limits.exempt_until.is_none_or(|until| sight.now >= until) {
            steps.extend(held_against(sight, queue, &name, &limits, &mut state));
        } else {
            // What began before says nothing about the time after it.
            (state.over_since, state.idle_since) = (None, None);
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
    limits.delete_over(queue, None).is_none().then(|| {
        *state = Remembered::default();
        concluded(name.clone(), messages)
    })
}

/// What became of a deletion whose outcome could not be noted.
fn concluded(name: Managed, messages: u64) -> Step {
    let why = "it was deleted, and the broker's answer was lost".to_owned();
    Step { what: What::Conclude, object: Object::Thing(name), why, messages: Some(messages), over: None }
}

/// Holds a queue against its limits.
fn held_against(
    sight: &Sight<'_>,
    queue: &Queue,
    name: &Managed,
    limits: &Limits,
    state: &mut Remembered,
) -> Vec<Step> {
    let now = sight.now;
    let is_unsure = limits.miss_something(queue);
    if is_unsure {
        state.lose_sight(now)
    } else {
        state.regain_sight(sight, limits)
    }
    let Some(messages) = queue.messages else { return Vec::new() };
    if limits.unconsumed.is_none() || queue.consumers.is_some_and(|consumers| consumers > 0) {
        state.idle_since = None;
    } else if queue.consumers == Some(0) {
        state.idle_since.get_or_insert(now);
    }
    let idle = state.idle_since.map(|since| now.since(since));
    let samples = sight.samples.get(&queue.name);
    let forecast = samples.and_then(|samples| samples.forecast(limits.warn, limits.delete));
    let step =
        |what, why, over| Step { what, object: Object::Thing(name.clone()), why, messages: Some(messages), over };

    let over = limits.delete_over(queue, idle);
    let mut is_over_anew = false;
    if let Some(over) = over {
        // How long it may be without a consumer was told with the warning.
        is_over_anew = state.over_since.is_none() && !matches!(over, Over::Unconsumed(_));
        let since = *state.over_since.get_or_insert(now);
        if now.since(since) >= limits.grace && queue.exclusive != Some(true) {
            return vec![step(What::Delete, words::over(&over, queue), Some(over))];
        }
    } else if !is_unsure {
        state.over_since = None;
    }
    let mut steps = Vec::new();
    match limits.warn_over(queue, idle).or(over) {
        Some(over) => {
            // What belongs to a connection is told and left alone.
            let deletion = deletion(&over, limits, state).filter(|_| queue.exclusive != Some(true));
            let is_news = is_over_anew && deletion.is_some();
            if is_news || state.warned.is_none_or(|told| now.since(told) >= REPEAT) {
                let is_again = state.warned.is_some();
                let why = words::warning(&over, queue, is_again, forecast.as_ref(), deletion, limits.grace);
                steps.push(step(What::Warn, why, Some(over)));
                state.warned = Some(now);
            }
        }
        None if is_unsure => {}
        None => {
            if state.warned.take().is_some() {
                steps.push(step(What::Normal, words::normal(queue), None));
            }
        }
    }
    // Too few samples, as after a restart, say nothing: neither danger nor its end.
    let is_known = forecast.is_some() || samples.is_some_and(|samples| samples.per_hour().is_some());
    if let Some(forecast) = is_known.then(|| foreseen(messages, limits, forecast, state)).flatten() {
        steps.push(step(What::Forecast, words::forecast(messages, limits, &forecast), None));
    }
    steps
}

/// When a queue that is over this limit is deleted if nothing changes, as far as only time has to pass.
fn deletion(over: &Over, limits: &Limits, state: &Remembered) -> Option<Timestamp> {
    let idle_end = || Some(state.idle_since?.plus(limits.unconsumed?)).filter(|_| matches!(over, Over::Unconsumed(_)));
    state.over_since.or_else(idle_end).map(|since| since.plus(limits.grace))
}

/// The forecast, if the contact must hear it now. Told once, until the queue is far from its deletion again.
fn foreseen(messages: u64, limits: &Limits, forecast: Option<Forecast>, state: &mut Remembered) -> Option<Forecast> {
    let Some(forecast) = forecast.filter(|forecast| forecast.to_deletion <= 2 * HORIZON) else {
        state.forecast_told = false;
        return None;
    };
    let is_near = forecast.to_deletion <= HORIZON && messages <= limits.delete;
    let is_big = messages.saturating_mul(FORECAST_FROM) >= limits.warn;
    (is_near && is_big && !std::mem::replace(&mut state.forecast_told, true)).then_some(forecast)
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
    } else if let Some(messages) = before.condemned {
        finding.steps.push(concluded(managed, messages));
    }
    finding
}

/// The deletion of something whose namespace is gone.
fn gone(name: Managed, messages: Option<u64>) -> Step {
    let why = words::gone(name.namespace());
    Step { what: What::Delete, object: Object::Thing(name), why, messages, over: None }
}

fn closings(sight: &Sight<'_>) -> Vec<Step> {
    let mut closings: Vec<(bool, Option<Timestamp>, Step)> = Vec::new();
    for connection in sight.connections {
        let Some(managed) = sight.prefixes.connection(connection) else { continue };
        let is_live = sight.namespaces.contains_key(managed.namespace());
        let end = connection.connected_at.map(|at| at.plus(sight.connection_max_lifetime));
        let why = match end {
            _ if !is_live => words::gone(managed.namespace()),
            Some(end) if end <= sight.now => words::too_old(sight.connection_max_lifetime),
            _ => continue,
        };
        let object = Object::Connection(managed);
        let step = Step { what: What::Close, object, why, messages: None, over: None };
        closings.push((is_live, connection.connected_at, step));
    }
    closings.sort_by_key(|(is_live, since, _)| (*is_live, *since));
    closings.into_iter().take(CLOSINGS_MAX).map(|(_, _, step)| step).collect()
}

/// Namespaces with connections of their resting user after the promise of its password has ended.
fn outliving(sight: &Sight<'_>) -> Vec<Step> {
    let mut by_user: HashMap<&str, usize> = HashMap::new();
    for connection in sight.connections {
        *by_user.entry(connection.user.as_str()).or_default() += 1;
    }
    let mut steps: Vec<Step> = Vec::new();
    for watched in sight.namespaces.values() {
        let Some(count) = by_user.get(watched.resting.as_str()) else { continue };
        let was_promised = watched.resting_until > Timestamp::MIN;
        let is_over = was_promised && sight.now >= watched.resting_until;
        let is_due = |told: &Timestamp| sight.now.since(*told) >= REPEAT || *told > sight.now;
        if is_over && sight.told.get(&watched.name).is_none_or(is_due) {
            let why = words::outlive(*count, watched);
            let object = Object::Namespace(watched.name.clone());
            steps.push(Step { what: What::Outlive, object, why, messages: None, over: None });
        }
    }
    steps.sort_by(|a, b| a.object.name().cmp(b.object.name()));
    steps
}

/// Whether a queue that was asked once more is to be deleted all the same.
pub fn is_still_over(over: &Over, queue: &Queue) -> bool {
    queue.state.as_deref() != Some("down") && queue.exclusive != Some(true) && over.still(queue)
}
