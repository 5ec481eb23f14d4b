//! What people may do with the agents of a fleet: whom its scheduler admits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, DONE, Done, Weight, nothing};
use crate::domain::auth::scopes;
use crate::domain::relay::Change;

/// Lines of the whitelist, and why they come or go.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// As they stand in the file: the name of a queue without `mig.agt.`, or `re:` with a pattern behind it.
    #[serde(default)]
    pub lines: Vec<String>,
    // Read for all inputs alike.
    #[serde(default, rename = "reason", skip_serializing)]
    #[schemars(!default)]
    _reason: String,
}

impl Lines {
    /// These.
    pub fn of(lines: Vec<String>) -> Self {
        Self { lines, ..Self::default() }
    }
}

/// A whole whitelist, and why it is another one.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The file.
    #[serde(default)]
    pub text: String,
    // Read for all inputs alike.
    #[serde(default, rename = "reason", skip_serializing)]
    #[schemars(!default)]
    _reason: String,
}

impl Listed {
    /// With this file.
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

const WHITELIST: About =
    About { scope: scopes::AGENT_WHITELIST, weight: Weight::Reasoned, asks_programs: true, ..super::ABOUT };

pub const ADMIT: Action<(), Done, Lines> = Action {
    about: About {
        name: "addToWhitelist",
        route: "POST /agents/whitelist/add",
        command: "agent whitelist add <line> --reason <why>",
        argument: ("LINE", "The name of an agent's queue without `mig.agt.`, or a pattern behind `re:`"),
        example: "linux.web1.example.net.dn0j5d3ugjk0",
        says: "Adds lines to the whitelist of agents.",
        page: ("Add to the whitelist", "Add"),
        ..WHITELIST
    },
    on: nothing,
    plan: work!(|domain, _, (), Lines { lines: add, .. }| {
        domain.relay.plan_whitelist(&Change { add, ..Change::default() }).await
    }),
    run: work!(|domain, caller, (), Lines { lines: add, .. }| {
        domain.relay.change_whitelist(Change { add, ..Change::default() }, &caller).await.map(|()| DONE)
    }),
};

pub const STRIKE: Action<(), Done, Lines> = Action {
    about: About {
        name: "removeFromWhitelist",
        route: "POST /agents/whitelist/remove",
        command: "agent whitelist remove <line> --reason <why>",
        argument: ("LINE", "The line, as it stands in the list"),
        example: "linux.web1.example.net.dn0j5d3ugjk0",
        says: "Removes lines from the whitelist of agents.",
        page: ("Remove from the whitelist", "Remove"),
        ..WHITELIST
    },
    on: nothing,
    plan: work!(|domain, _, (), Lines { lines: remove, .. }| {
        domain.relay.plan_whitelist(&Change { remove, ..Change::default() }).await
    }),
    run: work!(|domain, caller, (), Lines { lines: remove, .. }| {
        domain.relay.change_whitelist(Change { remove, ..Change::default() }, &caller).await.map(|()| DONE)
    }),
};

pub const REPLACE: Action<(), Done, Listed> = Action {
    about: About {
        name: "storeWhitelist",
        route: "PUT /agents/whitelist",
        command: "agent whitelist store <file> --reason <why>",
        argument: ("FILE", "A whitelist, such as one that was edited by hand"),
        example: "/var/cache/mig/agents_whitelist.txt",
        says: "Makes the whitelist of agents what a file has.",
        page: ("Store a whitelist", "Store it"),
        ..WHITELIST
    },
    on: nothing,
    plan: work!(|domain, _, (), Listed { text, .. }| {
        let (change, mut kept) = domain.agents.taken_over(domain.relay.whitelist_change(&text).await?).await?;
        kept.splice(0..0, domain.relay.plan_whitelist(&change).await?);
        Ok(kept)
    }),
    run: work!(|domain, caller, (), Listed { text, .. }| {
        let (change, _) = domain.agents.taken_over(domain.relay.whitelist_change(&text).await?).await?;
        domain.relay.change_whitelist(change, &caller).await.map(|()| DONE)
    }),
};
