//! Many accounts that are settled one beside another: what they share, so that the broker is all that they wait for.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::Census;
use crate::base::AccountName;

/// Settlements at once. The broker takes eight writes at once (`Http`); the others wait for commits, of which one serves many.
pub const IN_HAND: usize = 32;
/// How old a list of the broker's users may be. Then each is looked for by itself, because somebody may have made a user of
/// its name.
const LIST_AGE_MAX: Duration = Duration::from_secs(5);

/// Of fewer new accounts each is looked for by itself.
const LISTED_MIN: usize = 32;

/// What the settlements of one batch share.
#[derive(Default)]
pub struct Batch {
    /// The names of all users that the broker had at a moment.
    listed: Option<(Instant, BTreeSet<String>)>,
}

impl Batch {
    /// After a look at all users, which began then, with so many accounts to be made.
    pub fn after(began: Instant, census: Census, new: usize) -> Self {
        Self { listed: (new >= LISTED_MIN).then_some((began, census.users)) }
    }

    /// Whether the broker may have a user of this name. One that somebody made in the last seconds is not seen.
    pub(super) fn may_have(&self, name: &AccountName) -> bool {
        let listed = self.listed.as_ref().filter(|(at, _)| at.elapsed() <= LIST_AGE_MAX);
        listed.is_none_or(|(_, names)| names.contains(name.as_str()))
    }
}
