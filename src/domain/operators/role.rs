//! What an operator may do: four roles, each a list of scopes of the own API.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{Error, Result, Scope};

/// What a person at the console is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Works: rotates, expires, snoozes, runs loops.
    Operator,
    /// Looks at everything that was done, and changes nothing.
    Auditor,
    /// May do everything.
    Admin,
}

/// How things are. Whoever may sign in may see it.
const LOOK: &[&str] = &[
    "keylender:backup:list",
    "keylender:broker:read",
    "keylender:connection:list",
    "keylender:doctor:read",
    "keylender:exchange:list",
    "keylender:exchange:show:*",
    "keylender:host:list",
    "keylender:host:rules",
    "keylender:lease:list",
    "keylender:loop:list",
    "keylender:loop:plan:*",
    "keylender:namespace:list",
    "keylender:namespace:show:*",
    "keylender:notice:list",
    "keylender:queue:list",
    "keylender:queue:rules",
    "keylender:queue:show:*",
];
/// What changes what is lent and what is kept, and can be told apart in the audit log.
const WORK: &[&str] = &[
    "keylender:alarm:acknowledge",
    "keylender:backup:take",
    "keylender:backup:verify",
    "keylender:connection:close:*",
    "keylender:host:explain",
    "keylender:host:rule:*",
    "keylender:lease:revoke",
    "keylender:loop:pause:*",
    "keylender:loop:release:*",
    "keylender:loop:run:*",
    "keylender:namespace:expire:*",
    "keylender:namespace:extend:*",
    "keylender:namespace:note:*",
    "keylender:namespace:owners:*",
    "keylender:namespace:rotate:*",
    "keylender:notice:drop:*",
    "keylender:notice:resend:*",
    "keylender:notice:test",
    "keylender:queue:delete:*",
    "keylender:queue:purge:*",
    "keylender:queue:rule:*",
];
/// Who did what, and who may.
const EXAMINE: &[&str] = &[
    "keylender:audit:find-secret",
    "keylender:audit:read",
    "keylender:backup:verify",
    "keylender:client:list",
    "keylender:holding:read",
    "keylender:host:explain",
    "keylender:key:show",
    "keylender:operator:list",
    "keylender:role:list",
    "keylender:session:list",
    "keylender:setting:list",
];
/// All that there is.
const EVERYTHING: &[&str] = &["*"];

impl Role {
    /// All of them, from little to much.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Auditor, Self::Admin];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// What it is for, in a sentence.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Viewer => "sees how things are",
            Self::Operator => "sees how things are, and acts on namespaces, queues, hosts and loops",
            Self::Auditor => "sees how things are and everything that was done, and changes nothing",
            Self::Admin => "may do everything",
        }
    }

    /// Its scopes: the same that clients of the API need for the same calls.
    pub fn scopes(self) -> Vec<Scope> {
        let lists: &[&[&str]] = match self {
            Self::Viewer => &[LOOK],
            Self::Operator => &[LOOK, WORK],
            Self::Auditor => &[LOOK, EXAMINE],
            Self::Admin => &[EVERYTHING],
        };
        lists.iter().copied().flatten().filter_map(|scope| Scope::parse(scope).ok()).collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| Error::invalid("not a role: expected viewer, operator, auditor or admin"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_of_a_role_is_one_and_no_role_but_admin_makes_others() {
        for (role, count) in [
            (Role::Viewer, LOOK.len()),
            (Role::Operator, LOOK.len() + WORK.len()),
            (Role::Auditor, LOOK.len() + EXAMINE.len()),
            (Role::Admin, 1),
        ] {
            let scopes = role.scopes();
            assert_eq!(scopes.len(), count, "{role}");
            let makes = scopes.iter().any(|scope| crate::proto::scopes::satisfies(scope, "keylender:client:create:x"));
            assert_eq!(makes, role == Role::Admin, "{role}");
            assert_eq!(role.name().parse::<Role>().unwrap(), role);
        }
    }
}
