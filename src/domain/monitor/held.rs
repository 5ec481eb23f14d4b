//! The judgement of one queue of a namespace that there is: on which rung of the ladder is it, and what follows?

use std::time::Duration;

use super::forecast::Forecast;
use super::limits::{Ages, Limits, Over};
use super::managed::Managed;
use super::plan::{Object, Step, What};
use super::sight::{REPEAT, Remembered, Sight};
use super::words;
use crate::base::Timestamp;
use crate::ports::broker::Queue;

/// How long before its deletion the contact of a fast queue hears of it: time for a person to come and look.
const HORIZON: Duration = Duration::from_secs(60 * 60);
/// A queue below this part of its warning is too small for its rate to mean much: a quarter.
const FORECAST_FROM: u64 = 4;

/// Holds a queue against its limits.
pub(super) fn held_against(
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
    state.watch_consumers(queue, limits, now);
    let ages = Ages {
        head: queue.head.filter(|_| messages > 0).map(|head| now.since(head)),
        idle: state.idle_since.map(|since| now.since(since)),
    };
    let samples = sight.samples.get(&queue.name);
    let forecast = samples.and_then(|samples| limits.forecast(samples));
    let step =
        |what, why, over| Step { what, object: Object::Resource(name.clone()), why, messages: Some(messages), over };

    let over = limits.delete_over(queue, ages);
    let mut is_over_anew = false;
    if let Some(over) = over {
        // How long it may be without a consumer was told with the warning.
        is_over_anew = state.over_since.is_none() && !matches!(over, Over::Unconsumed(_));
        let since = *state.over_since.get_or_insert(now);
        if now.since(since) >= limits.grace && queue.exclusive != Some(true) {
            return vec![step(What::Delete, words::describe_over(&over, queue), Some(over))];
        }
    } else if !is_unsure {
        state.over_since = None;
    }
    let mut steps: Vec<Step> = rungs(sight, queue, limits, ages, is_unsure, state)
        .into_iter()
        .map(|(what, why, over)| step(what, why, over))
        .collect();
    match limits.warn_over(queue, ages).or(over) {
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
    let idle_end =
        || Some(state.idle_since?.plus(limits.delete.unconsumed?)).filter(|_| matches!(over, Over::Unconsumed(_)));
    state.over_since.or_else(idle_end).map(|since| since.plus(limits.grace))
}

/// The forecast, if the contact must hear it now. Told once, until the queue is far from its deletion again.
fn foreseen(messages: u64, limits: &Limits, forecast: Option<Forecast>, state: &mut Remembered) -> Option<Forecast> {
    let Some(forecast) = forecast.filter(|forecast| forecast.to_deletion <= 2 * HORIZON) else {
        state.forecast_told = false;
        return None;
    };
    let (warn, delete) = limits.messages()?;
    let is_near = forecast.to_deletion <= HORIZON && messages <= delete;
    let is_big = messages.saturating_mul(FORECAST_FROM) >= warn;
    (is_near && is_big && !std::mem::replace(&mut state.forecast_told, true)).then_some(forecast)
}

/// The rungs between warning and deletion that it is on.
fn rungs(
    sight: &Sight<'_>,
    queue: &Queue,
    limits: &Limits,
    ages: Ages,
    is_unsure: bool,
    state: &mut Remembered,
) -> Vec<(What, String, Option<Over>)> {
    let mut steps = Vec::new();
    let present = sight.caps.get(&queue.name);
    match limits.limit_over(queue, ages) {
        Some((cap, over)) => {
            let limited = present.zip(state.limited.as_ref());
            if limited.is_none_or(|(present, limited)| !limited.holds(&cap, present)) {
                steps.push((What::Limit, words::describe_over(&over, queue), Some(over)));
            }
        }
        // It goes on until all is in order again, so that it does not come and go with every message.
        None if present.is_none() => state.limited = None,
        None if is_unsure => {}
        None if limits.limit.is_none() => steps.push((What::Unlimit, words::unruled(), None)),
        None if limits.warn_over(queue, ages).is_none() => steps.push((What::Unlimit, words::normal(queue), None)),
        None => {}
    }
    // What belongs to a connection nobody else can read.
    if let Some(over) = limits.archive_over(queue, ages).filter(|_| queue.exclusive != Some(true)) {
        steps.push((What::Archive, words::describe_over(&over, queue), Some(over)));
    }
    steps
}
