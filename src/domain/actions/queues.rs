//! What people may do with a queue of a namespace.

use super::{About, Action, DONE, Done, Weight, any_name};
use crate::base::Result;
use crate::domain::Domain;
use crate::domain::auth::scopes;

const ABOUT: About = About {
    name: "",
    method: "POST",
    route: "",
    scope: scopes::QUEUE_LIST,
    command: "",
    argument: ("NAME", "The queue"),
    example: "",
    says: "",
    title: "",
    button: "",
    weight: Weight::Destroys,
    asks_programs: true,
};

pub const PURGE: Action<String, Done> = Action {
    about: About {
        name: "purgeQueue",
        route: "/queues/<queue>/purge",
        scope: scopes::QUEUE_PURGE,
        command: "queue purge <queue>",
        example: "queue/taskcluster-builds/jobs --reason 'poisoned'",
        says: "Throws away the messages of a queue that wait.",
        title: "Purge a queue",
        button: "Throw them away",
        ..ABOUT
    },
    on: any_name,
    plan: |domain, name| {
        Box::pin(async move {
            let messages = messages(&domain, &name).await?;
            Ok(vec![
                format!("The messages of {name} that wait are thrown away: {messages} are in it now."),
                "Those that a consumer has in hand stay. The queue and its bindings stay.".into(),
            ])
        })
    },
    run: |domain, caller, name| {
        Box::pin(async move { domain.traffic.purge_queue(&caller, &name).await.map(|()| DONE) })
    },
};

pub const DELETE: Action<String, Done> = Action {
    about: About {
        name: "deleteQueue",
        route: "/queues/<queue>/delete",
        scope: scopes::QUEUE_DELETE,
        command: "queue delete <queue>",
        example: "queue/taskcluster-builds/jobs --reason 'nobody reads it'",
        says: "Deletes a queue with its messages.",
        title: "Delete a queue",
        button: "Delete it",
        ..ABOUT
    },
    on: any_name,
    plan: |domain, name| {
        Box::pin(async move {
            let messages = messages(&domain, &name).await?;
            Ok(vec![
                format!("{name} is deleted with its messages and bindings: {messages} are in it now."),
                "Its consumers are told by the broker. Whoever declares it again gets an empty one.".into(),
            ])
        })
    },
    run: |domain, caller, name| {
        Box::pin(async move { domain.traffic.delete_queue(&caller, &name).await.map(|()| DONE) })
    },
};

/// How many are in it, in words.
async fn messages(domain: &Domain, name: &str) -> Result<String> {
    let count = domain.traffic.queue(name).await?.told.messages;
    Ok(count.map_or_else(|| "not told how many".to_owned(), |count| count.to_string()))
}
