//! What people may do with a connection of a namespace's user.

use super::{About, Action, Because, Done, Weight, any_name};
use crate::base::Error;
use crate::domain::auth::scopes;

pub const CLOSE: Action<String, Done, Because> = Action {
    about: About {
        name: "closeConnection",
        route: "POST /connections/<connection>/close",
        scope: scopes::CONNECTION_CLOSE,
        command: "connection close <connection> --reason <why>",
        argument: ("NAME", "As `connection list` shows it"),
        example: "'10.1.2.3:40000 -> 10.1.2.4:5672' --reason 'old password'",
        says: "Closes a connection; its client reads the reason.",
        page: ("Close a connection", "Close it"),
        weight: Weight::Reasoned,
        asks_programs: true,
        ..super::ABOUT
    },
    on: any_name,
    plan: work!(|domain, _, name, _| {
        let found = domain.connections.list().await?.into_iter().find(|ours| ours.connection.name == name);
        let found = found.ok_or_else(|| Error::not_found("This connection is not there any more."))?;
        Ok(vec![
            format!("{name} of {} is closed. Its client reads the reason.", found.connection.user),
            "What it took from a queue and did not acknowledge is delivered again.".into(),
            "Most clients connect again at once, with the password they have: to keep one out, rotate or revoke that."
                .into(),
        ])
    }),
    run: done!(|domain, caller, name, _| domain.connections.close(&caller, &name)),
};
