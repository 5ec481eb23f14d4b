//! What people may do with the relay, and the words in which its plan is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, Action, Because, DONE, Done, Weight, nothing};
use crate::base::{AccountName, VhostName};
use crate::domain::auth::scopes;
use crate::domain::relay::{End, Object, Outcome, Step};
use crate::proto::relay_profile::OnDrift;

/// A step of a plan, or one that was taken.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldStep {
    /// `create`, `change`, `remove`, or `leave`: it is not as declared, and stays so.
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
