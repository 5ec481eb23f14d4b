//! What people may do with the operators of the console and with their sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Done, Plain, Weight, any_name};
use crate::base::{Error, OperatorName, Result, Secret};
use crate::domain::Domain;
use crate::domain::auth::{Caller, scopes};
use crate::domain::operators::Role;

const ABOUT: About = About { argument: ("NAME", "The operator"), example: "ada", ..super::ABOUT };

/// What a new operator is to be.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    #[schemars(with = "Role")]
    pub role: String,
    /// One is made when there is none.
    #[schemars(extend("writeOnly" = true))]
    pub password: Option<Plain>,
}

/// The password that somebody gets.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Password {
    /// One is made when there is none.
    #[schemars(extend("writeOnly" = true))]
    password: Option<Plain>,
}

/// The role that somebody gets.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InRole {
    #[schemars(with = "Role")]
    pub role: String,
}

/// An operator, with the password that was made for them.
#[derive(JsonSchema, Serialize)]
pub struct Made {
    operator: OperatorName,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Plain>,
}

pub const CREATE: Action<OperatorName, Made, New> = Action {
    about: About {
        name: "createOperator",
        route: "PUT /operators/<operator>",
        scope: scopes::OPERATOR_CREATE,
        command: "operator create <operator> --role <role>",
        says: "Makes an operator, and shows the password that was made this once.",
        is_secret: true,
        ..ABOUT
    },
    on: |_, text| OperatorName::parse(text),
    plan: work!(|domain, caller, name, New { role, .. }| {
        let role: Role = role.parse()?;
        caller.require_all(&role.scopes())?;
        if domain.operators.operator(&name).is_ok() {
            return Err(Error::conflict(format!("operator `{name}` exists: reset or delete them")));
        }
        Ok(vec![format!("There is an operator {name}. They are {role}, who {}.", role.purpose())])
    }),
    run: work!(|domain, caller, name, New { role, password }| {
        let (role, (password, made)) = (role.parse()?, chosen(password));
        domain.operators.create(&caller, name.clone(), role, Some(password)).await?;
        Ok(Made { operator: name, role, password: made })
    }),
};

pub const RESET: Action<OperatorName, Made, Password> = Action {
    about: About {
        name: "resetOperator",
        route: "POST /operators/<operator>/reset",
        scope: scopes::OPERATOR_RESET,
        command: "operator reset <operator>",
        says: "Gives an operator another password, and shows one that was made this once.",
        page: ("Reset <operator>", "Reset now"),
        weight: Weight::Reasoned,
        is_secret: true,
        ..ABOUT
    },
    on: |_, text| OperatorName::parse(text),
    plan: work!(|domain, caller, name, _| {
        let effect = "They get a new password, which is shown to you once. Their second factor is taken away.";
        with_sessions(&domain, &caller, &name, effect.into())
    }),
    run: work!(|domain, caller, name, Password { password }| {
        let (password, made) = chosen(password);
        domain.operators.reset(&caller, name.clone(), password).await?;
        Ok(Made { role: domain.operators.operator(&name)?.role, operator: name, password: made })
    }),
};

pub const ROLE: Action<OperatorName, Done, InRole> = Action {
    about: About {
        name: "setOperatorRole",
        route: "PUT /operators/<operator>/role",
        scope: scopes::OPERATOR_ROLE,
        command: "operator role <operator> <role>",
        says: "Gives an operator another role.",
        page: ("Make <operator and role>", "Change it"),
        ..ABOUT
    },
    on: |_, text| OperatorName::parse(text),
    plan: work!(|domain, caller, name, InRole { role }| {
        let (role, old): (Role, Role) = (role.parse()?, domain.operators.operator(&name)?.role);
        caller.require_all(&role.scopes())?;
        let effect = format!("Instead of {old} they are {role}, who {}.", role.purpose());
        with_sessions(&domain, &caller, &name, effect)
    }),
    run: done!(|domain, caller, name, InRole { role }| domain.operators.set_role(&caller, name, role.parse()?)),
};

pub const DISABLE: Action<OperatorName, Done> = Action {
    about: About {
        name: "disableOperator",
        route: "POST /operators/<operator>/disable",
        scope: scopes::OPERATOR_DISABLE,
        command: "operator disable <operator>",
        says: "Refuses an operator until they are enabled again.",
        page: ("Disable <operator>", "Disable now"),
        weight: Weight::Reasoned,
        ..ABOUT
    },
    on: |_, text| OperatorName::parse(text),
    plan: work!(|domain, caller, name, ()| with_sessions(&domain, &caller, &name, "They cannot sign in.".into())),
    run: done!(|domain, caller, name, ()| domain.operators.disable(&caller, name, true)),
};

pub const ENABLE: Action<OperatorName, Done> = Action {
    about: About {
        name: "enableOperator",
        route: "POST /operators/<operator>/enable",
        scope: scopes::OPERATOR_DISABLE,
        command: "operator enable <operator>",
        says: "Lets an operator in again who was disabled.",
        page: ("Enable <operator>", "Enable now"),
        ..ABOUT
    },
    on: |_, text| OperatorName::parse(text),
    plan: work!(|domain, caller, name, ()| with_sessions(&domain, &caller, &name, "They can sign in again.".into())),
    run: done!(|domain, caller, name, ()| domain.operators.disable(&caller, name, false)),
};

pub const DELETE: Action<OperatorName, Done> = Action {
    about: About {
        name: "deleteOperator",
        route: "DELETE /operators/<operator>",
        scope: scopes::OPERATOR_DELETE,
        command: "operator delete <operator>",
        says: "Deletes an operator, and ends their sessions.",
        page: ("Delete <operator>", "Delete now"),
        weight: Weight::Destroys,
        ..ABOUT
    },
    on: |_, text| OperatorName::parse(text),
    plan: work!(|domain, caller, name, ()| with_sessions(&domain, &caller, &name, "They are removed.".into())),
    run: done!(|domain, caller, name, ()| domain.operators.delete(&caller, name)),
};

pub const REVOKE_SESSION: Action<String, Done> = Action {
    about: About {
        name: "revokeSession",
        route: "DELETE /sessions/<session>",
        scope: scopes::SESSION_REVOKE,
        command: "operator revoke <session>",
        argument: ("SESSION", "The session, as `keylender operator sessions` names it"),
        example: "5f1c…",
        says: "Ends a session of the console.",
        page: ("End a session", "End it"),
        ..super::ABOUT
    },
    on: any_name,
    plan: work!(|domain, _, id, ()| {
        let found = domain.operators.sessions().await?.into_iter().find(|shown| shown.id == id);
        let found = found.ok_or_else(|| Error::not_found("There is no such session: it may be over by now."))?;
        Ok(vec![format!("The browser of {} at {} is signed out at once.", found.operator, found.address)])
    }),
    run: done!(|domain, caller, id, ()| domain.operators.revoke_session(&caller, id)),
};

/// What a change does, and what every change of an operator does, too. It fails for who holds less than they do.
fn with_sessions(domain: &Domain, caller: &Caller, name: &OperatorName, effect: String) -> Result<Vec<String>> {
    caller.require_all(&domain.operators.operator(name)?.role.scopes())?;
    Ok(vec![effect, "Their sessions end at once.".into()])
}

/// The password that was given, or one that is made, and shown.
fn chosen(given: Option<Plain>) -> (Secret, Option<Plain>) {
    let made = Secret::generate();
    given.map_or_else(|| (made.clone(), Some(Plain(made))), |Plain(given)| (given, None))
}
