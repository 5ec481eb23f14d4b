//! What an operator may do: four roles, each a list of scopes of the own API.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{Error, Result, Scope};
use crate::domain::auth::scopes::{self, RequiredScope};

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
const LOOK: &[RequiredScope] = &[
    scopes::AGENT_READ,
    scopes::ARCHIVE_LIST,
    scopes::BACKUP_LIST,
    scopes::BROKER_READ,
    scopes::CONNECTION_LIST,
    scopes::DOCTOR_READ,
    scopes::EXCHANGE_LIST,
    scopes::EXCHANGE_SHOW.for_all(),
    scopes::HOST_LIST,
    scopes::HOST_RULES,
    scopes::LEASE_LIST,
    scopes::LOOP_LIST,
    scopes::LOOP_PLAN.for_all(),
    scopes::NAMESPACE_LIST,
    scopes::NAMESPACE_SHOW.for_all(),
    scopes::NOTICE_LIST,
    scopes::PROXY_READ,
    scopes::QUEUE_LIST,
    scopes::QUEUE_RULES,
    scopes::QUEUE_SHOW.for_all(),
    scopes::RELAY_READ,
    scopes::SERVICES_READ,
];
/// What changes what is lent and what is kept, and can be told apart in the audit log.
const WORK: &[RequiredScope] = &[
    scopes::AGENT_ADMIT,
    scopes::AGENT_ENROL.for_all(),
    scopes::AGENT_REVOKE.for_all(),
    scopes::AGENT_WHITELIST,
    scopes::ALARM_ACKNOWLEDGE,
    scopes::ARCHIVE_DELETE.for_all(),
    scopes::ARCHIVE_READ.for_all(),
    scopes::ARCHIVE_REPLAY.for_all(),
    scopes::ARCHIVE_TAKE.for_all(),
    scopes::BACKUP_TAKE,
    scopes::BACKUP_VERIFY,
    scopes::CONNECTION_CLOSE.for_all(),
    scopes::HOST_EXPLAIN,
    scopes::HOST_RULE.for_all(),
    scopes::LEASE_REVOKE,
    scopes::LOOP_PAUSE.for_all(),
    scopes::LOOP_RELEASE.for_all(),
    scopes::LOOP_RUN.for_all(),
    scopes::NAMESPACE_EXPIRE.for_all(),
    scopes::NAMESPACE_EXTEND.for_all(),
    scopes::NAMESPACE_NOTE.for_all(),
    scopes::NAMESPACE_OWNERS.for_all(),
    scopes::NAMESPACE_ROTATE.for_all(),
    scopes::NOTICE_DROP.for_all(),
    scopes::NOTICE_RESEND.for_all(),
    scopes::NOTICE_TEST,
    scopes::PROXY_END.for_all(),
    scopes::QUEUE_DELETE.for_all(),
    scopes::QUEUE_PURGE.for_all(),
    scopes::QUEUE_RULE.for_all(),
    scopes::RELAY_ROTATE.for_all(),
    scopes::SERVICES_STOP.for_all(),
];
/// Who did what, and who may.
const EXAMINE: &[RequiredScope] = &[
    scopes::AUDIT_FIND_SECRET,
    scopes::AUDIT_READ,
    scopes::BACKUP_VERIFY,
    scopes::CLIENT_LIST,
    scopes::HOLDING_READ,
    scopes::HOST_EXPLAIN,
    scopes::KEY_SHOW,
    scopes::OPERATOR_LIST,
    scopes::ROLE_LIST,
    scopes::SESSION_LIST,
    scopes::SETTING_LIST,
];

impl Role {
    /// All of them, from little to much.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Auditor, Self::Admin];

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
            Self::Operator => "sees how things are, and acts on namespaces, queues, hosts, agents and loops",
            Self::Auditor => "sees how things are and everything that was done, and changes nothing",
            Self::Admin => "may do everything",
        }
    }

    /// Its scopes: the same that clients of the API need for the same calls.
    pub fn scopes(self) -> Vec<Scope> {
        let lists: &[&[RequiredScope]] = match self {
            Self::Viewer => &[LOOK],
            Self::Operator => &[LOOK, WORK],
            Self::Auditor => &[LOOK, EXAMINE],
            Self::Admin => return Scope::parse("*").into_iter().collect(),
        };
        lists.iter().copied().flatten().filter_map(|scope| Scope::parse(&scope.to_string()).ok()).collect()
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
