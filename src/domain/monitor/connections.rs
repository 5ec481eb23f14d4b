//! The judgement of connections: which are closed, and of which a contact hears.

use std::collections::HashMap;

use super::plan::{Object, Step, What};
use super::sight::{REPEAT, Sight};
use super::words;
use crate::base::Timestamp;

/// Connections closed in one pass, so that clients that connected together do not come back together.
const CLOSINGS_MAX: usize = 50;

/// Connections that are to be closed.
pub(super) fn closings(sight: &Sight<'_>) -> Vec<Step> {
    let mut closings: Vec<(bool, Option<Timestamp>, Step)> = Vec::new();
    for connection in sight.connections {
        let Some(managed) = sight.prefixes.connection(connection) else { continue };
        let is_live = sight.namespaces.contains_key(managed.namespace());
        let end = connection.connected_at.map(|at| at.plus(sight.connection_max_lifetime));
        let why = match end {
            _ if !is_live => words::describe_gone(managed.namespace()),
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
pub(super) fn outliving(sight: &Sight<'_>) -> Vec<Step> {
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
