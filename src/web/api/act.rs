//! Methods that are made from an action of the domain: with a dry run, and with a reason for the audit log.

use std::any::TypeId;

use axum::routing::MethodFilter;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call::PLAN;
use super::{Call, Endpoint, Params, QueryParameter, Reply, Routes, detached, endpoint, read_input, shapes};
use crate::base::{Error, Reason, Result};
use crate::domain::actions::{About, Action};
use crate::domain::auth::Caller;
use crate::web::state::App;

/// What every action may be asked with.
pub(super) const QUERY: [QueryParameter; 2] = [
    QueryParameter { name: PLAN, pattern: "/^[01]$/", matches: |text| matches!(text, "0" | "1") },
    QueryParameter { name: REASON, pattern: "/./", matches: |text| !text.trim().is_empty() },
];
/// Why, where the body does not say so; and the member of those that do.
pub(super) const REASON: &str = "reason";

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
    pub(super) fn act<T, A, I>(self, action: &'static Action<T, A, I>) -> Self
    where
        T: Send + 'static,
        A: Serialize + JsonSchema + Send + 'static,
        I: DeserializeOwned + JsonSchema + Send + 'static,
    {
        let is_secret = action.about.is_secret;
        self.act_as(action, method::<A, I>(&action.about), move |call| {
            let payload = if has_members::<I>() { &*call.payload } else { &Value::Null };
            // What serde says of a wrong document repeats parts of it.
            read_input(payload).map_err(|error| if is_secret { wrong::<I>() } else { error })
        })
    }

    /// The same, where the input comes in another way.
    pub(super) fn act_as<T, A, I>(
        self,
        action: &'static Action<T, A, I>,
        method: Endpoint,
        read: impl Fn(&Call) -> Result<I> + Copy + Send + Sync + 'static,
    ) -> Self
    where
        T: Send + 'static,
        A: Serialize + Send + 'static,
        I: Send + 'static,
    {
        let target = |app: &App, params: &Params| {
            let names = action.about.path().split('<').skip(1).filter_map(|part| part.split('>').next());
            let given: Vec<&str> = names.filter_map(|name| params.get(name)).map(String::as_str).collect();
            (action.on)(&app.domain, &given.join(" "))
        };
        self.serve(&method, target, move |app, call, target| answer(action, app, call, target, read))
    }
}

/// Whether an input is a document at all.
fn has_members<I: 'static>() -> bool {
    TypeId::of::<I>() != TypeId::of::<()>()
}

fn wrong<I: JsonSchema>() -> Error {
    let schema = shapes::read(shapes::of::<I>);
    let members = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|members| members.keys());
    let members: Vec<&str> = members.map(String::as_str).collect();
    Error::invalid(format!("expected an object with {}, each a text", members.join(", ")))
        .with_code("InputValidationError")
}

/// What documents say of it.
pub(super) fn method<A: JsonSchema, I: JsonSchema + 'static>(about: &About) -> Endpoint {
    let method = match about.method() {
        "DELETE" => MethodFilter::DELETE,
        "PUT" => MethodFilter::PUT,
        _ => MethodFilter::POST,
    };
    let looking = endpoint(about.name, about.path(), about.scope, about.says);
    let method = Endpoint { method, query: &QUERY, hides_input: about.is_secret, ..looking };
    let method = method.command(about.command).answers::<Answer<A>>();
    if has_members::<I>() { method.takes::<I>() } else { method }
}

async fn answer<T, A: Serialize + Send + 'static, I>(
    action: &'static Action<T, A, I>,
    app: App,
    call: Call,
    target: T,
    read: impl Fn(&Call) -> Result<I>,
) -> Result<Reply> {
    let (domain, input) = (app.domain.clone(), read(&call)?);
    if call.query(PLAN) == Some("1") {
        return Reply::json(&Planned { plan: (action.plan)(domain, call.caller, target, input).await? });
    }
    let caller = because(&action.about, &call)?;
    Reply::json(&detached(&app.tasks, (action.run)(domain, caller, target, input)).await?)
}

/// The caller, with the reason that the call gives.
fn because(about: &About, call: &Call) -> Result<Caller> {
    let given = call.payload[REASON].as_str().filter(|reason| !reason.is_empty()).or_else(|| call.query(REASON));
    match given {
        None if !about.asks_programs => Ok(call.caller.clone()),
        given => {
            let reason = Reason::parse(given.unwrap_or_default());
            Ok(call.caller.because(reason.map_err(|error| error.with_code("InputValidationError"))?))
        }
    }
}
