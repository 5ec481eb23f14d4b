//! Methods that are made from an action of the domain: with a dry run, and with a reason for the audit log.

use axum::routing::MethodFilter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::PLAN;
use super::clients::{endpoint, read_input};
use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, detached};
use crate::base::{Error, Reason, Result};
use crate::domain::actions::{About, Action};
use crate::domain::auth::Caller;
use crate::web::state::App;

const QUERY: &[QueryParameter] = &[
    QueryParameter { name: PLAN, pattern: "/^[01]$/", matches: |text| matches!(text, "0" | "1") },
    QueryParameter { name: REASON, pattern: "/./", matches: |text| !text.trim().is_empty() },
];
/// Why, where the body does not say so.
const REASON: &str = "reason";

/// Why something is ended.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Because {
    reason: String,
}

/// What a change would do now, a sentence each.
#[derive(Serialize, JsonSchema)]
struct Planned {
    plan: Vec<String>,
}

/// What a method answers, or what it would do when it is asked for a plan.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Answer<A> {
    Done(A),
    Planned(Planned),
}

impl Routes {
    pub(super) fn act<T, A>(self, action: &'static Action<T, A>) -> Self
    where
        T: Send + 'static,
        A: Serialize + JsonSchema + Send + 'static,
    {
        let target = |app: &App, params: &Params| {
            // Its route has one argument.
            (action.on)(&app.domain, params.values().next().map_or("", String::as_str))
        };
        self.serve(&method::<A>(&action.about), target, |app, call, target| answer(action, app, call, target))
    }
}

/// What documents say of it.
fn method<A: JsonSchema>(about: &About) -> Endpoint {
    let About { name, route, scope, says, .. } = *about;
    let verb = if about.method == "DELETE" { MethodFilter::DELETE } else { MethodFilter::POST };
    let method = Endpoint {
        query: QUERY,
        command: Some(about.command),
        ..endpoint(name, verb, route, scope, says).answers::<Answer<A>>()
    };
    if about.asks_programs { method.takes::<Because>() } else { method }
}

async fn answer<T, A: Serialize + Send + 'static>(
    action: &'static Action<T, A>,
    app: App,
    call: Call,
    target: T,
) -> Result<Reply> {
    if call.query(PLAN) == Some("1") {
        return Reply::json(&Planned { plan: (action.plan)(app.domain.clone(), target).await? });
    }
    let caller = because(&action.about, &call)?;
    Reply::json(&detached(&app.tasks, (action.run)(app.domain.clone(), caller, target)).await?)
}

/// The caller, with the reason that the call gives.
fn because(about: &About, call: &Call) -> Result<Caller> {
    let reason = if about.asks_programs {
        let Because { reason } = read_input(&call.payload)?;
        Some(reason)
    } else {
        call.query(REASON).map(str::to_owned)
    };
    let with_code = |error: Error| error.with_code("InputValidationError");
    let reason = reason.map(|reason| Reason::parse(&reason)).transpose().map_err(with_code)?;
    Ok(reason.map_or_else(|| call.caller.clone(), |reason| call.caller.because(reason)))
}
