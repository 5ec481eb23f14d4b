//! What people may do with the relay, and the words in which its plan is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Because, DONE, Done, Weight, nothing};
use crate::base::{AccountName, VhostName};
use crate::domain::auth::scopes;
use crate::domain::relay::{Adoption, End, Object, Outcome, Step};
use crate::proto::relay_profile::OnDrift;

/// A step of a plan, or one that was taken.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldStep {
    /// `create`, `change`, `take over`, `remove`, or `leave`: it is not as declared, and stays so.
    what: &'static str,
    /// `vhost`, `exchange`, `queue`, `binding`, `policy`, `operator policy`, `limit`, `default queue type`,
    /// `account`, or `user`: one of somebody else.
    kind: &'static str,
    name: String,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<VhostName>,
    why: String,
    /// Of what was applied and is otherwise since: `repair` or `report`.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_drift: Option<&'static str>,
    /// When it was taken: `done`, `failed`, or `left`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

impl From<Step> for ToldStep {
    fn from(Step { what, object, why, drift, .. }: Step) -> Self {
        let Object { kind, name, vhost } = object;
        let on_drift = drift.map(OnDrift::as_str);
        Self { what: what.word(), kind, name, vhost, why, on_drift, outcome: None, cause: None }
    }
}

impl From<Outcome> for ToldStep {
    fn from(Outcome { step, end }: Outcome) -> Self {
        let (outcome, cause) = match end {
            End::Done => ("done", None),
            End::Left => ("left", None),
            End::Failed(cause) => ("failed", Some(cause)),
        };
        Self { outcome: Some(outcome), cause, ..step.into() }
    }
}

/// What applying came to.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Every step, in the order in which they were taken.
    steps: Vec<ToldStep>,
    done: usize,
    failed: usize,
    left: usize,
}

pub const APPLY: Action<(), Applied, Because> = Action {
    about: About {
        name: "applyRelay",
        route: "POST /relay/apply",
        scope: scopes::RELAY_APPLY,
        command: "relay apply --reason <why>",
        says: "Makes the broker what the profile of the relay declares.",
        page: ("Apply the profile of the relay", "Apply it"),
        weight: Weight::Destroys,
        asks_programs: true,
        ..super::ABOUT
    },
    on: nothing,
    plan: work!(|domain, _, (), _| {
        let plan = domain.relay.plan().await?;
        if plan.steps.is_empty() {
            return Ok(vec!["The broker is as it is declared.".into()]);
        }
        Ok(plan.steps.iter().map(ToString::to_string).collect())
    }),
    run: work!(|domain, caller, (), _| {
        let outcomes = domain.relay.apply(&caller).await?;
        let count = |is: fn(&End) -> bool| outcomes.iter().filter(|outcome| is(&outcome.end)).count();
        let (done, left) = (count(|end| *end == End::Done), count(|end| *end == End::Left));
        let failed = count(|end| matches!(end, End::Failed(_)));
        Ok(Applied { done, failed, left, steps: outcomes.into_iter().map(ToldStep::from).collect() })
    }),
};

/// How an account is rotated, and why.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// Whether the connections that use the former password are closed.
    #[serde(default)]
    pub close_connections: bool,
    // Read for all inputs alike.
    #[serde(default, rename = "reason", skip_serializing)]
    #[schemars(!default)]
    _reason: String,
}

impl Rotation {
    /// One that closes connections or leaves them open.
    pub fn closing(close_connections: bool) -> Self {
        Self { close_connections, ..Self::default() }
    }
}

pub const ROTATE: Action<AccountName, Done, Rotation> = Action {
    about: About {
        name: "rotateRelayAccount",
        route: "POST /relay/accounts/<account>/rotate",
        scope: scopes::RELAY_ROTATE,
        command: "relay rotate <account> --reason <why>",
        argument: ("ACCOUNT", "The account, as the profile calls it"),
        example: "scheduler",
        says: "Gives an account of the relay a new password, in the way that the profile says.",
        page: ("Rotate <account>", "Rotate now"),
        weight: Weight::Destroys,
        asks_programs: true,
        ..super::ABOUT
    },
    on: |_, text| AccountName::parse(text),
    plan: work!(|domain, _, name, Rotation { close_connections, .. }| {
        domain.relay.plan_rotation(&name, close_connections).await
    }),
    run: work!(|domain, caller, name, Rotation { close_connections, .. }| {
        let rotated = domain.relay.rotate(&name, &caller, close_connections).await;
        // What was begun need not wait: neither for the broker nor for connections to be closed.
        rotated.inspect_err(|_| domain.loops.nudge("rotate")).map(|()| DONE)
    }),
};

/// Whose an adopted user is, and why it is adopted.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adopting {
    /// Who answers for it, for people.
    #[serde(default)]
    pub owner: String,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Whether its rights are put back when somebody changes them; otherwise that is only told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repair: bool,
    // Read for all inputs alike.
    #[serde(default, rename = "reason", skip_serializing)]
    #[schemars(!default)]
    _reason: String,
}

impl Adopting {
    /// With what is known of it.
    pub fn by(owner: &str, note: &str, repair: bool) -> Self {
        Self { owner: owner.to_owned(), note: note.to_owned(), repair, ..Self::default() }
    }
}

pub const ADOPT: Action<AccountName, Done, Adopting> = Action {
    about: About {
        name: "adoptRelayUser",
        route: "POST /relay/users/<user>/adopt",
        scope: scopes::RELAY_ADOPT,
        command: "relay adopt <user> --owner <who> --reason <why>",
        argument: ("USER", "The broker user"),
        example: "shop",
        says: "Takes a user that somebody else made under management, as it is.",
        page: ("Adopt <user>", "Adopt it"),
        weight: Weight::Reasoned,
        asks_programs: true,
        ..super::ABOUT
    },
    on: |_, text| AccountName::parse(text),
    plan: work!(|domain, _, name, _| domain.relay.plan_adoption(&name).await),
    run: work!(|domain, caller, name, Adopting { owner, note, repair, .. }| {
        let adoption = Adoption::new(&owner, &note, repair)?;
        domain.relay.adopt(&name, &caller, adoption).await.map(|()| DONE)
    }),
};

pub const RELEASE: Action<AccountName, Done, Because> = Action {
    about: About {
        name: "releaseRelayUser",
        route: "POST /relay/users/<user>/release",
        scope: scopes::RELAY_ADOPT,
        command: "relay release <user> --reason <why>",
        argument: ("USER", "The user that was adopted, or the account"),
        example: "shop",
        says: "Gives an adopted user, or an account of the relay, back as it is: nobody here answers for it any more.",
        page: ("Release <user>", "Release it"),
        weight: Weight::Reasoned,
        asks_programs: true,
        ..super::ABOUT
    },
    on: |_, text| AccountName::parse(text),
    plan: work!(|domain, _, name, _| domain.relay.plan_release(&name).await),
    run: work!(|domain, caller, name, _| domain.relay.release(&name, &caller).await.map(|()| DONE)),
};

/// A profile that is stored, and why.
#[derive(Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profiled {
    /// Its text, in TOML.
    #[serde(default)]
    pub text: String,
    // Read for all inputs alike.
    #[serde(default, rename = "reason", skip_serializing)]
    #[schemars(!default)]
    _reason: String,
}

impl Profiled {
    /// With this text.
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

pub const STORE: Action<(), Done, Profiled> = Action {
    about: About {
        name: "storeRelayProfile",
        route: "PUT /relay/profile",
        scope: scopes::RELAY_PROFILE,
        command: "relay store <file> --reason <why>",
        argument: ("FILE", "The profile"),
        example: "/etc/keylender-relay.toml",
        says: "Stores a profile, which declares the relay from now on.",
        page: ("Store a profile of the relay", "Store it"),
        weight: Weight::Reasoned,
        asks_programs: true,
        ..super::ABOUT
    },
    on: nothing,
    plan: work!(|domain, _, (), Profiled { text, .. }| domain.relay.plan_profile(&text)),
    run: work!(|domain, caller, (), Profiled { text, .. }| {
        domain.relay.store_profile(text, &caller).await.map(|()| DONE)
    }),
};
