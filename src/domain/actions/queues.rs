//! What people may do with a queue of a namespace.

use super::{About, Action, Because, Done, Weight, any_name};
use crate::base::{Error, Result};
use crate::domain::Domain;
use crate::domain::auth::scopes;
use crate::domain::monitor::{Pattern, QueueRule};

const ABOUT: About = About {
    scope: scopes::QUEUE_LIST,
    argument: ("NAME", "The queue"),
    weight: Weight::Destroys,
    asks_programs: true,
    ..super::ABOUT
};

pub const PURGE: Action<String, Done, Because> = Action {
    about: About {
        name: "purgeQueue",
        route: "POST /queues/<queue>/purge",
        scope: scopes::QUEUE_PURGE,
        command: "queue purge <queue> --reason <why>",
        example: "queue/taskcluster-builds/jobs --reason 'poisoned'",
        says: "Throws away the messages of a queue that wait.",
        page: ("Purge a queue", "Throw them away"),
        ..ABOUT
    },
    on: any_name,
    plan: work!(|domain, _, name, _| {
        let messages = messages(&domain, &name).await?;
        Ok(vec![
            format!("The messages of {name} that wait are thrown away: {messages} are in it now."),
            "Those that a consumer has in hand stay. The queue and its bindings stay.".into(),
        ])
    }),
    run: done!(|domain, caller, name, _| domain.queues.purge(&caller, &name)),
};

pub const DELETE: Action<String, Done, Because> = Action {
    about: About {
        name: "deleteQueue",
        route: "POST /queues/<queue>/delete",
        scope: scopes::QUEUE_DELETE,
        command: "queue delete <queue> --reason <why>",
        example: "queue/taskcluster-builds/jobs --reason 'nobody reads it'",
        says: "Deletes a queue with its messages.",
        page: ("Delete a queue", "Delete it"),
        ..ABOUT
    },
    on: any_name,
    plan: work!(|domain, _, name, _| {
        let messages = messages(&domain, &name).await?;
        Ok(vec![
            format!("{name} is deleted with its messages and bindings: {messages} are in it now."),
            "Its consumers are told by the broker. Whoever declares it again gets an empty one.".into(),
        ])
    }),
    run: done!(|domain, caller, name, _| domain.queues.delete(&caller, &name)),
};

pub const RULE: Action<Pattern, Done, QueueRule> = Action {
    about: About {
        name: "setQueueRule",
        route: "PUT /queues/rules/<pattern>",
        scope: scopes::QUEUE_RULE,
        command: "queue rule <pattern> --warn <messages>",
        says: "Sets the rule for the queues of a pattern.",
        weight: Weight::Reasoned,
        ..super::ABOUT
    },
    on: |_, text| Pattern::parse(text),
    plan: work!(|domain, _, pattern, rule| {
        let limits = domain.monitor.ruled(&rule)?;
        let known = domain.monitor.queue_rules().await?.into_iter().any(|(known, _)| known == pattern);
        let mut effects = limits.effects(&pattern);
        effects.extend(known.then(|| "The rule that this pattern has is replaced.".to_owned()));
        Ok(effects)
    }),
    run: done!(|domain, caller, pattern, rule| domain.monitor.set_queue_rule(&caller, pattern, rule)),
};

pub const UNRULE: Action<Pattern, Done> = Action {
    about: About {
        name: "removeQueueRule",
        route: "DELETE /queues/rules/<pattern>",
        command: "queue unrule <pattern>",
        argument: ("PATTERN", "The pattern"),
        example: "'queue/taskcluster-builds/*'",
        says: "Removes a rule: the settings hold again.",
        page: ("Remove the rule of <pattern>", "Remove the rule"),
        ..RULE.about
    },
    on: |_, text| Pattern::parse(text),
    plan: work!(|domain, _, pattern, ()| {
        let missing = || Error::not_found(format!("there is no rule for '{pattern}'"));
        let rules = domain.monitor.queue_rules().await?;
        rules.iter().find(|(known, _)| *known == pattern).ok_or_else(missing)?;
        Ok(vec![
            "Queues of this pattern count by the next rule that fits them, or as the settings say.".into(),
            "One that is over that limit is warned of or deleted at the next pass of the monitor.".into(),
        ])
    }),
    run: done!(|domain, caller, pattern, ()| domain.monitor.remove_queue_rule(&caller, pattern)),
};

/// How many are in it, in words.
async fn messages(domain: &Domain, name: &str) -> Result<String> {
    let count = domain.queues.show(name).await?.queue.messages;
    Ok(count.map_or_else(|| "not told how many".to_owned(), |count| count.to_string()))
}
