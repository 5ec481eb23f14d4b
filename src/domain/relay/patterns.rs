//! Patterns of accounts: whether the broker can read them is asked before anything is made with them.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt};

use super::Relay;
use super::step::{Plan, Step, Work};
use crate::base::Result;
use crate::domain::accounts::Terms;
use crate::proto::broker_pattern::BrokerPattern;
use crate::proto::relay_profile::Grant;

/// Patterns that a plan asks about, because they are not read here. Of a profile that has more, those of its last
/// accounts are refused when they are made.
const ASKED_MAX: usize = 200;
/// At once: the broker gains nothing beyond eight (rabbitmq.md 3).
const ASKED_AT_ONCE: usize = 8;

impl Relay {
    /// Leaves accounts as they are that would get a pattern which the broker cannot read.
    ///
    /// # Errors
    /// Any of the broker.
    pub(super) async fn judge_patterns(&self, plan: &mut Plan) -> Result<()> {
        let patterns: BTreeSet<&str> = plan.steps.iter().filter_map(terms).flat_map(all).map(|(_, it)| it).collect();
        // Of most one can tell that every broker takes them: thousands of accounts are no reason to ask for each.
        let asked = patterns.into_iter().filter(|pattern| !BrokerPattern::is_taken(pattern));
        let cluster = self.cluster.get()?;
        let asks = asked.take(ASKED_MAX).map(async |pattern| {
            cluster.reads_pattern(pattern).await.map(|reads| (!reads).then(|| pattern.to_owned()))
        });
        let asks = futures_util::stream::iter(asks.collect::<Vec<_>>());
        let unreadable: Vec<Option<String>> = asks.buffer_unordered(ASKED_AT_ONCE).try_collect().await?;
        let unreadable: BTreeSet<String> = unreadable.into_iter().flatten().collect();
        for step in &mut plan.steps {
            let found = terms(step).and_then(|terms| all(terms).find(|(_, pattern)| unreadable.contains(*pattern)));
            if let Some((vhost, pattern)) = found {
                let why = format!("the broker cannot read the pattern `{pattern}` for {vhost}: mend it");
                *step = Step::leave(step.object.clone(), why);
            }
        }
        Ok(())
    }

    /// The patterns that are declared for accounts, each with whose it is, for people.
    pub fn patterns(&self) -> Vec<(String, String)> {
        let Ok(declared) = self.declared() else { return Vec::new() };
        let accounts = declared.profile.accounts().iter();
        let of = |Grant { vhost, configure, write, read, topics, .. }: &Grant, account: &str| {
            let topics = topics.iter().flat_map(|topic| [&topic.write, &topic.read]);
            let patterns = [configure, write, read].into_iter().chain(topics);
            patterns.map(|pattern| (format!("the account {account} in {vhost}"), pattern.clone())).collect::<Vec<_>>()
        };
        accounts.flat_map(|it| it.grants.iter().flat_map(move |grant| of(grant, it.name.as_str()))).collect()
    }
}

/// What a step makes of an account.
fn terms(step: &Step) -> Option<&Terms> {
    match &step.work {
        Work::Make { terms, .. } | Work::TakeOver { terms, .. } | Work::Adjust(_, terms) => Some(terms),
        _ => None,
    }
}

/// All patterns of an account, but those that fit nothing, with their vhosts.
fn all(terms: &Terms) -> impl Iterator<Item = (&str, &str)> {
    let all = terms.grants.iter().flat_map(|grant| {
        let access = [&grant.access.configure, &grant.access.write, &grant.access.read];
        let topics = grant.topics.iter().flat_map(|topic| [&topic.write, &topic.read]);
        access.into_iter().chain(topics).map(|pattern| (grant.vhost.as_str(), pattern.as_str()))
    });
    all.filter(|(_, pattern)| !pattern.is_empty())
}
